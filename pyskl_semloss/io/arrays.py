"""Bounded reading of npz and npy files without pickles; atomic writing."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import weakref
import zipfile
from collections.abc import Collection, Iterator, Mapping
from typing import IO, Literal

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.io.reading import WHOLE_LIMIT, AnyPath, data_size, memory_limit, open_regular, reason, short_repr

_MAGIC = b"\x93NUMPY"
_MEMBER = re.compile(r"\w[\w.-]*\.npy")


def read_npz(path: AnyPath, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an npz archive.

    Nothing is unpacked to the disk. Pickled members are refused.

    Args:
        path: npz archive.
        names: Members to read; None reads all.

    Raises:
        InputError: The file is absent, no npz archive or corrupt. It has a pickled (object) member, two members with
            the same name, or a member with the name of a path. Its size when decompressed exceeds
            :func:`pyskl_semloss.io.reading.memory_limit`.
    """
    with open_regular(path, WHOLE_LIMIT) as stream:
        if stream.read(len(_MAGIC)) == _MAGIC:
            raise InputError("expected an npz archive, got a single npy array", file=path)
        limit = memory_limit(data_size(stream.fileno()))
        try:
            with zipfile.ZipFile(stream) as archive:
                members = _members(archive, limit)
                wanted = members.keys() if names is None else members.keys() & set(names)
                return {name: _read_member(archive, members[name]) for name in members if name in wanted}
        # zipfile, zlib and numpy's header parser raise various errors on corrupt bytes.
        except Exception as error:
            problem = f"expected an npz archive of plain arrays, but it cannot be read ({reason(error)})"
            raise InputError(problem, file=path) from None


def read_npy(path: AnyPath) -> np.ndarray:
    """Read an npy file.

    Raises:
        InputError: The file is absent, no npy file, corrupt, or holds objects.
    """
    with _open_npy(path, WHOLE_LIMIT) as stream:
        return _read_array(stream, os.fstat(stream.fileno()).st_size)


def write_npz(path: AnyPath, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an npz archive of number and text arrays atomically.

    Raises:
        InputError: The file cannot be written.
    """
    # In memory first: on a full disk numpy 1.x leaves its archive open and prints a warning.
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with atomic_write(path) as stream:
        stream.write(content.getbuffer())


class NpyRows:
    """Rows of an npy file, read on access.

    Rows are read, not memory-mapped: truncation of a mapped file, or loss of its network disk, ends the process by a
    signal that cannot be caught. Here it is an error. Forked processes share the open file.

    Args:
        path: npy file.

    Attributes:
        shape: Shape of the whole array, the number of rows first.
        dtype: Type of the numbers.
        c_contiguous: Whether the array is C-contiguous. If it is not, the whole file is read at once.

    Raises:
        InputError: As :func:`read_npy`, or it is a single number.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = path
        with _open_npy(path) as stream:
            self.shape, order, self.dtype = _read_header(stream, os.fstat(stream.fileno()).st_size)
            if not self.shape:
                raise ValueError("it holds a single number, expected rows")
            self.c_contiguous = order == "C" or len(self.shape) == 1
            self._start = stream.tell()
            self._handle = os.dup(stream.fileno())
        weakref.finalize(self, os.close, self._handle)
        self._whole: np.ndarray | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, row: int) -> np.ndarray:
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        return self.read(row, row + 1)[0]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` - 1 as a new array.

        Raises:
            InputError: The file was truncated after it was opened, or cannot be read.
        """
        if not self.c_contiguous:
            self._whole = read_npy(self.path) if self._whole is None else self._whole
            return self._whole[start:stop].copy()
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        step = self.dtype.itemsize * math.prod(self.shape[1:])
        data, filled = rows.reshape(-1).view(np.uint8), 0
        while filled < data.size:
            try:
                count = os.preadv(self._handle, [data[filled:].data], self._start + start * step + filled)
            except OSError as error:
                raise InputError(f"the file cannot be read ({reason(error)})", file=self.path) from None
            if not count:
                raise InputError("the file has been cut off since it was opened", file=self.path)
            filled += count
        return rows


def check_characters(array: np.ndarray) -> None:
    """Refuse a text array with invalid code points.

    numpy itself fails only when such an item is accessed.

    Raises:
        ValueError: A code point is invalid.
    """
    if array.dtype.kind != "U" or not array.nbytes:
        return
    codes = np.ascontiguousarray(array).reshape(-1).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
    if codes.max() > 0x10FFFF or (codes >> 11 == 0x1B).any():
        raise ValueError("it holds text with characters that do not exist")


@contextlib.contextmanager
def _open_npy(path: AnyPath, limit: int | None = None) -> Iterator[IO[bytes]]:
    with open_regular(path, limit) as stream:
        if stream.read(2) == b"PK":
            raise InputError("expected an array of numbers (.npy), got an archive of several", file=path)
        stream.seek(0)
        try:
            yield stream
        # numpy's header parser raises various errors on corrupt bytes.
        except Exception as error:
            problem = f"expected an array of numbers (.npy), but it cannot be read ({reason(error)})"
            raise InputError(problem, file=path) from None


def _members(archive: zipfile.ZipFile, limit: int) -> dict[str, zipfile.ZipInfo]:
    """Members by array name; reading enforces the sizes that they declare."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if not _MEMBER.fullmatch(info.filename):
            raise ValueError(f"a member is called {short_repr(info.filename)}, expected NAME.npy")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"member {info.filename}: another compression than deflate")
        if members.setdefault(info.filename.removesuffix(".npy"), info) is not info:
            raise ValueError(f"two members are called {info.filename}")
    total = sum(info.file_size for info in members.values())
    if total > limit:
        raise ValueError(f"it would unfold to {total} bytes; of an archive of its size at most {limit} are read")
    return members


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as stream:
        try:
            array = _read_array(stream, info.file_size)
        except ValueError as error:
            raise ValueError(f"member {info.filename}: {error}") from None
        # zipfile compares the checksum only at the end of the member.
        if stream.read(1):
            raise ValueError(f"member {info.filename} is longer than it claims")
        return array


def _read_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], Literal["C", "F"], np.dtype]:
    """Shape, order and dtype of an npy file of exactly ``size`` bytes."""
    # Later versions serve only field names, and their headers have no length limit.
    if (version := np.lib.format.read_magic(stream)) != (1, 0):
        raise ValueError(f"version {version} of the format, which arrays of numbers do not need")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise ValueError("it holds objects, which are pickles")
    if dtype.kind not in "biufcSU" or not dtype.itemsize:
        raise ValueError(f"it holds {dtype.str}, expected numbers or text")
    expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected != size:
        raise ValueError(
            f"an array {short_repr(shape)} of {dtype.str} needs {short_repr(expected)} bytes, it has {size}"
        )
    return shape, "F" if fortran else "C", dtype


def _read_array(stream: IO[bytes], size: int) -> np.ndarray:
    shape, order, dtype = _read_header(stream, size)
    data = np.empty(size - stream.tell(), np.uint8)
    if stream.readinto(data.data) != data.size:  # type: ignore[attr-defined]
        raise ValueError("it ends too early")
    array = data.view(dtype).reshape(shape, order=order) if data.size else np.zeros(shape, dtype)
    check_characters(array)
    return array
