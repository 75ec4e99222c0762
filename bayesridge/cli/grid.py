"""A table as lines of text in which a name may be folded and a number never is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, chop_cells

_NAME = 10  # columns that names get at least, where they want them
_GAP = "  "

Cell = tuple[str, ...]  # its lines


def grid(heading: str, names: Sequence[str], columns: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """Lay out a table.

    Parameters
    ----------
    heading : str
        Over the names.
    names : sequence of str
        Of the rows; folded where they are too long.
    columns : mapping of str to sequence of str
        Heading and cells of each column: as wide as its widest cell, its heading folded between words.
    width : int
        Characters in a line. Columns that do not fit stand below, beside the names once more.

    Returns
    -------
    list of str
        Lines without trailing blanks. Only where one column and a few letters are wider than `width` are lines longer.
    """
    longest = max(map(cell_len, [heading, *names]))
    need = {title: max(map(cell_len, [title, *cells])) for title, cells in columns.items()}
    if longest + _taken(need) > width:
        need = {title: max(map(cell_len, [*cells, *title.split()])) for title, cells in columns.items()}
    for_names = min(longest, max(_NAME, width - _taken(need)))
    lines: list[str] = []
    for piece in _pieces(need, width - for_names):
        widths = [for_names, *[need[title] for title in piece]]
        head = [_folded(heading, for_names), *[_words(title, need[title]) for title in piece]]
        lines += [""] if lines else []
        lines += _row(head, widths)
        lines.append("─" * (sum(widths) + len(_GAP) * len(piece)))
        for i, name in enumerate(names):
            lines += _row([_folded(name, for_names), *[(columns[title][i],) for title in piece]], widths)
    return lines


def _taken(need: Mapping[str, int]) -> int:
    return sum(need.values()) + len(_GAP) * len(need)


def _pieces(need: Mapping[str, int], space: int) -> Iterator[list[str]]:
    """Part the columns into as many tables as it takes."""
    piece: list[str] = []
    left = space
    for title, wide in need.items():
        if piece and wide + len(_GAP) > left:
            yield piece
            piece, left = [], space
        piece.append(title)
        left -= wide + len(_GAP)
    yield piece


def _folded(name: str, width: int) -> Cell:
    return tuple(part for word in _words(name, width) for part in chop_cells(word, width)) or ("",)


def _words(title: str, width: int) -> Cell:
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if cell_len(longer) <= width or not lines[-1] else [*lines, word]
    return tuple(lines)


def _row(cells: Sequence[Cell], widths: Sequence[int]) -> list[str]:
    """Lines of one row: the name to the left, numbers to the right and beside its first line."""
    height = max(len(cell) for cell in cells)
    lines = []
    for i in range(height):
        parts = [cell[i] if i < len(cell) else "" for cell in cells]
        blanks = [" " * (wide - cell_len(part)) for part, wide in zip(parts, widths, strict=True)]
        others = [_GAP + blank + part for part, blank in zip(parts[1:], blanks[1:], strict=True)]
        lines.append((parts[0] + blanks[0] + "".join(others)).rstrip())
    return lines
