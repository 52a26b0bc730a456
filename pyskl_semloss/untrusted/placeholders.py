"""Safe replacements for the functions and types named in a pickle.

numpy's own unpickling trusts the file: with a forged dtype state, an array reads beyond its memory. So arrays and
dtypes are placeholders while a file is read. At the end they become real arrays, of bytes of the right length.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sized
from typing import Any

import numpy as np

from pyskl_semloss.io.arrays import check_characters
from pyskl_semloss.io.reading import short_repr

ACCEPTED = "only plain containers, strings, numbers and numpy arrays are read from a pickle"
PLAIN_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,6})")
_ITEM = 64
"""Bytes of memory of an item of a set."""
_MOST_AXES, _LARGEST_SIZE = 64, 1 << 62


class Refused(Exception):
    """Error for well-formed content that is not plain data."""


class Budget:
    """Bytes of memory left for the calls of a pickle.

    A pickle can pass the same large string to a million calls, each of which would copy it.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory

    def spend(self, size: int) -> None:
        """Subtract ``size`` bytes.

        Raises:
            Refused: Fewer bytes are left.
        """
        self.memory -= size
        if self.memory < 0:
            raise Refused("what it makes would take far more memory than its size explains")


class AllowedFunction:
    """Function that a pickle can call, but whose attributes it cannot set."""

    __slots__ = ("_budget", "function")

    def __init__(self, function: Callable[..., Any], budget: Budget) -> None:
        self.function, self._budget = function, budget

    def __call__(self, *args: Any) -> Any:
        """Call the function and subtract the size of its arguments from the budget."""
        self._budget.spend(sum(map(_size, args)))
        return self.function(*args)

    def __setstate__(self, state: object) -> None:
        raise Refused("it sets attributes of a function; " + ACCEPTED)


def _size(value: object) -> int:
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return _ITEM * len(value)
    # The length of a placeholder is its size in bytes.
    return len(value) if isinstance(value, Sized) and not isinstance(value, type) else 0


class PendingFrozenSet:
    """Placeholder of a frozenset from a call; not hashable, as comparing two can take long."""

    __slots__ = ("members",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self.members = _set(items)

    def __setstate__(self, state: object) -> None:
        raise Refused("it sets attributes of a set; " + ACCEPTED)


def _set(items: Any = ()) -> set[Any]:
    """Set of items whose hashes an attacker cannot choose; pickle_scan checks the opcodes for sets."""
    for item in items:
        plain = isinstance(item, (str, bytes, float, type(None), np.generic))
        if (not plain or isinstance(item, np.complexfloating)) and not (
            isinstance(item, int) and item.bit_length() <= 64
        ):
            raise Refused(f"a set made by a call holds {short_repr(item)}, expected texts and numbers of up to 64 bits")
    return set(items)


def checked_shape(shape: object) -> tuple[int, ...]:
    """Shape of an array: at most 64 whole numbers below 2**62.

    Multiplying thousands of numbers of 255 bytes would take minutes.

    Raises:
        ValueError: The shape is anything else.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if len(sizes) > _MOST_AXES or not all(type(size) is int and 0 <= size < _LARGEST_SIZE for size in sizes):
        raise ValueError("malformed array header")
    return sizes


class PendingDType:
    """Placeholder of a numpy dtype; only its byte order can be set."""

    __slots__ = ("dtype",)

    def __init__(self, code: object, align: object = False, copy: object = False) -> None:
        if isinstance(code, str) and code.lstrip("<>=|").startswith("O"):
            raise Refused("it holds an object array; " + ACCEPTED)
        if not (isinstance(code, str) and PLAIN_DTYPE.fullmatch(code)):
            raise Refused(f"it holds an array of dtype {short_repr(code)}; " + ACCEPTED)
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *structure = state[:5]
        if any(item is not None for item in structure):
            raise Refused("it holds a structured array; " + ACCEPTED)
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"a byte order {short_repr(order)}")
        self.dtype = self.dtype.newbyteorder(order)


class PendingArray:
    """Placeholder of an array until the whole file is read."""

    __slots__ = ("_header",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *header: Any) -> None:
        self._header = header

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        self._header = (shape, dtype, data, "F" if fortran else "C")

    def resolve(self, budget: Budget | None = None) -> np.ndarray:
        """Real array, a copy of the bytes.

        Raises:
            Refused: The array holds objects, or the budget is spent.
            ValueError: The array has no data, or they do not fit its shape.
        """
        if not self._header:
            raise ValueError("an array without data")
        shape, dtype, data, order = self._header
        real_dtype = (dtype if isinstance(dtype, PendingDType) else PendingDType(dtype)).dtype
        if isinstance(data, list):
            raise Refused("it holds an object array; " + ACCEPTED)
        if budget is not None:
            budget.spend(len(data))
        if isinstance(data, str):
            data = data.encode("latin1")  # the byte strings of Python 2 arrive as text
        shape = checked_shape(shape)
        if order not in ("C", "F"):
            raise ValueError("malformed array header")
        if math.prod(shape) * real_dtype.itemsize != len(data) or not real_dtype.itemsize:
            raise ValueError(
                f"an array of shape {short_repr(shape)} and dtype {real_dtype} has {len(data)} bytes of data"
            )
        if not len(data):
            return np.zeros(shape, real_dtype)
        array = np.frombuffer(data, real_dtype).reshape(shape, order=order).copy(order)
        check_characters(array)
        return array


def _ndarray(shape: Any, dtype: Any, buffer: Any) -> PendingArray:
    return PendingArray(shape, dtype, buffer, "C")


def _reconstruct(subtype: object, shape: object, typecode: object) -> PendingArray:
    if not (isinstance(subtype, AllowedFunction) and subtype.function is _ndarray):
        raise Refused(f"it holds an array of a class of its own ({short_repr(subtype)}); " + ACCEPTED)
    if shape not in ((0,), [0]) or typecode not in ("b", b"b"):
        raise ValueError("an array that is made before its state is known")  # numpy itself would allocate it
    return PendingArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: str, axes: object = None) -> PendingArray:
    if axes is not None:
        raise ValueError("an array with permuted axes")
    return PendingArray(shape, dtype, data, order)


def _scalar(dtype: Any, data: Any) -> Any:
    return PendingArray((), dtype, data, "C").resolve()[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in the encoding {short_repr(encoding)}")
    return text.encode("latin1")


def _bytes(data: Any = b"", *encoding: str) -> bytes:
    if isinstance(data, str):
        return _encode(data, *encoding)
    if not isinstance(data, (bytes, bytearray)):
        raise ValueError("bytes made from no bytes")  # bytes(10**12) would allocate a terabyte
    return bytes(data)


def _bytearray(data: Any = b"", *encoding: str) -> bytearray:
    return bytearray(_bytes(data, *encoding))


PLAIN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): PendingDType,
    ("_codecs", "encode"): _encode,
}
"""Module and name of the functions and types of plain data, and their replacements."""
for _core in ("numpy.core", "numpy._core"):
    PLAIN[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    PLAIN[f"{_core}.multiarray", "scalar"] = _scalar
    PLAIN[f"{_core}.numeric", "_frombuffer"] = _frombuffer
for _builtins in ("builtins", "__builtin__"):
    PLAIN[_builtins, "bytes"] = _bytes
    PLAIN[_builtins, "bytearray"] = _bytearray
    PLAIN[_builtins, "set"] = _set
    PLAIN[_builtins, "frozenset"] = PendingFrozenSet
    PLAIN[_builtins, "complex"] = complex
