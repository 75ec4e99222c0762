"""Files and folders of results that are complete or absent, whatever happens while they are written.

Everything is written beside its place under a hidden name, forced to the disk, and then renamed. A full disk, an
interrupt or a kill leaves the old result as it was; a kill, which nothing can catch, may leave the hidden name too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bayesridge.errors import DataError, check_path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def open_atomically(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file to write bytes to, which stands in its place once all is written; what was there stays till then.

    Parameters
    ----------
    path : str or Path
        A symbolic link is replaced by the file; what it points to is not touched. A device or a pipe is written to.

    Yields
    ------
    file
        Where it is left by an exception, nothing has changed.

    Raises
    ------
    DataTypeError
        If `path` is none.
    OSError
        If it cannot be written, as on a full disk.
    """
    target = check_path(path)
    mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode):
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(f"{target} is a folder, and a file is to be written")
        with target.open("wb") as device:
            yield device
        return
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder to write to", str(target.parent))
    temporary = _beside(target)
    try:
        with _faults_name(target, temporary):
            # not tempfile's 0600: a new file gets the permissions that files get here
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
                yield file
                file.flush()
                if mode is not None and not target.is_symlink():
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(target.parent)


def write_atomically(path: str | Path, content: bytes | str) -> Path:
    """Write a file, or leave what was there, see :func:`open_atomically`; text in UTF-8, its line ends as they are."""
    with open_atomically(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)


def check_folder(path: str | Path, names: Set[str]) -> Path:
    """Return the folder that results may be written to, before the work that makes them.

    Parameters
    ----------
    path : str or Path
    names : set of str
        The files that are written there, which may be replaced.

    Raises
    ------
    DataError
        If it is a link, a file, the current folder, or holds anything else: a folder is replaced as a whole.
    """
    folder = Path(os.path.normpath(Path(path).absolute()))
    if folder.is_symlink():
        raise DataError(f"{path} is a symbolic link: results replace a whole folder, name the folder itself")
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{path} is a file: name a folder for the results")
    if Path.cwd().is_relative_to(folder):
        raise DataError(f"{path} is the current folder: results replace a whole folder, name one of their own")
    others = sorted({entry.name for entry in folder.iterdir()} - names) if folder.exists() else []
    if others:
        raise DataError(
            f"{path} holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}): results replace "
            "a whole folder, name one of their own"
        )
    return folder


@contextmanager
def write_folder(path: str | Path, names: Set[str]) -> Iterator[Path]:
    """Give an empty folder to write to, which becomes the folder `path` if all goes well.

    Parameters
    ----------
    path : str or Path
    names : set of str
        The files that may be replaced, see :func:`check_folder`.

    Yields
    ------
    Path
        Of the hidden folder. Where it is left by an exception, nothing has changed.
    """
    folder = check_folder(path, names)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(folder)
    try:
        with _faults_name(folder, temporary):
            temporary.mkdir()
            yield temporary
            for entry in temporary.iterdir():
                _sync(entry)
            _sync(temporary)
            _put(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # what was written in vain, or the old folder
    _sync(folder.parent)


def _put(new: Path, folder: Path) -> None:
    """Rename a folder to where there is nothing, or another one, which then has the new one's former name."""
    if not folder.exists() or not any(folder.iterdir()):
        new.replace(folder)
    elif not _exchange(new, folder):
        aside = _beside(folder)
        try:
            folder.rename(aside)
            new.rename(folder)
        except BaseException:
            if aside.exists() and not folder.exists():
                aside.rename(folder)
            raise
        aside.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, where the system can (Linux)."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if renameat2 is None:
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0


@contextmanager
def _faults_name(path: Path, hidden: Path) -> Iterator[None]:
    """Let the errors of what is written under a hidden name speak of the name that was given."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _FULL:
            raise OSError(error.errno, error.strerror, str(path)) from error
        name = str(error.filename)
        if not name.startswith(str(hidden)):
            raise
        raise OSError(error.errno, error.strerror, f"{path}{name[len(str(hidden)) :]}") from error


def _mode(path: Path) -> int | None:
    """Type and permissions of what a path leads to, None where there is nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _beside(path: Path) -> Path:
    return path.parent / f".bayesridge-{secrets.token_hex(6)}"


def _sync(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
