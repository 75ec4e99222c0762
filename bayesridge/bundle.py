"""A file of one JSON text and arrays of numbers that can be read from a stranger: nothing in it is executed.

It is a zip archive of ``manifest.json`` and ``.npy`` arrays, stored without compression, so that nothing in it can be
larger than the file. The manifest holds the size, type, shape and SHA-256 of each array, the archive's comment the
SHA-256 of the manifest. The same content makes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import ModelFileError, check_path

_MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_TYPES = ("<f8", "<i8", "|b1")


class Bundle(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    manifest : dict
        What JSON can say (NaN and infinite numbers as Python's JSON writes them).
    arrays : mapping of str to ndarray
        Of float64, int64 or bool.
    """

    manifest: dict[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def pack(bundle: Bundle) -> bytes:
    """Write a bundle to bytes."""
    files = {f"{name}.npy": _npy(values) for name, values in bundle.arrays.items()}
    about = {
        name: {"sha256": hashlib.sha256(files[f"{name}.npy"]).hexdigest(), "reversed": _reversed_axes(values)}
        for name, values in bundle.arrays.items()
    }
    text = json.dumps({**bundle.manifest, "arrays": about}, ensure_ascii=False, indent=1).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = hashlib.sha256(text).hexdigest().encode()
        for name, data in {_MANIFEST: text, **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return out.getvalue()


def unpack(path: str | Path) -> Bundle:
    """Read a bundle.

    Raises
    ------
    ModelFileError
        If the file is not one, is truncated, or was altered.
    OSError
        If it cannot be read.
    """
    data = check_path(path).read_bytes()
    try:
        return _unpack(data)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        NotImplementedError,
    ) as error:
        raise ModelFileError(f"{path} is not a saved model, or is damaged ({error})") from error


def _unpack(data: bytes) -> Bundle:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        if len(entries) != len(archive.infolist()):
            raise ModelFileError("it holds an entry twice")
        for info in entries.values():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
                raise ModelFileError(f"entry {info.filename!r} is compressed or encrypted, which no saved model's is")
        if sum(info.file_size for info in entries.values()) > len(data):
            raise ModelFileError("its entries are said to be larger than the file")
        text = archive.read(_MANIFEST)
        if hashlib.sha256(text).hexdigest().encode() != archive.comment:
            raise ModelFileError("the manifest does not match its checksum: the file was altered")
        manifest = json.loads(text)
        about = manifest.pop("arrays")
        if set(entries) != {_MANIFEST, *(f"{name}.npy" for name in about)}:
            raise ModelFileError("its entries are not those that the manifest names")
        arrays = {name: _array(name, archive.read(f"{name}.npy"), facts) for name, facts in about.items()}
    return Bundle(manifest, arrays)


def _reversed_axes(values: NDArray[Any]) -> list[int]:
    return [axis for axis, stride in enumerate(values.strides) if stride < 0]


def _npy(values: NDArray[Any]) -> bytes:
    """Write an array so that it is read with the memory order it has: matrix products keep their last digits."""
    if values.dtype.newbyteorder("<").str not in _TYPES:
        raise TypeError(f"arrays of {values.dtype} are not stored")
    out = io.BytesIO()
    stored = np.flip(values, tuple(_reversed_axes(values))).astype(values.dtype.newbyteorder("<"), copy=False)
    np.lib.format.write_array(out, stored, version=(1, 0), allow_pickle=False)
    return out.getvalue()


def _array(name: str, data: bytes, facts: Mapping[str, Any]) -> NDArray[Any]:
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ModelFileError(f"array {name!r} does not match its checksum: the file was altered")
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ModelFileError(f"array {name!r} is of another version of the npy format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    body = memoryview(data)[stream.tell() :]
    # held against the bytes that are there before anything of that size is made
    if dtype.str not in _TYPES or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise ModelFileError(f"array {name!r} is not what its header says")
    values = np.frombuffer(body, dtype).copy().reshape(shape, order="F" if fortran else "C")
    values.flags.writeable = False
    return np.flip(values, tuple(int(axis) for axis in facts["reversed"]))
