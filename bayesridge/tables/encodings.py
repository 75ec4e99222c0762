"""How a file's text is encoded."""

from __future__ import annotations

import codecs
import gzip
import io
import re
from pathlib import Path
from typing import cast

from bayesridge.errors import DataError

LATIN = "cp1252"  # Windows' Latin-1


def find_encoding(file: Path, asked: str | None) -> str:
    """Find how the text is encoded: as asked, UTF-8, UTF-16 by its mark, or Latin-1 where it can be."""
    if asked is not None:
        try:
            codecs.lookup(asked)
        except LookupError as error:
            raise DataError(
                f"there is no encoding {asked!r}; there are utf-8, latin-1, cp1252, utf-16 and others."
            ) from error
        return "utf-8-sig" if codecs.lookup(asked).name == "utf-8" else asked
    opener = gzip.open if file.name.lower().endswith(".gz") else open
    with cast("io.BufferedIOBase", opener(file, "rb")) as stream:
        start = stream.read(4)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := stream.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            stream.seek(0)
            return LATIN if all(map(_is_latin, iter(lambda: stream.read(1 << 20), b""))) else "utf-8-sig"
    return "utf-8-sig"


def _is_latin(block: bytes) -> bool:
    """Whether bytes may be Windows' Latin-1: none of those that it lacks, nor of those that no text has."""
    return not re.search(rb"[\x00-\x08\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]", block)
