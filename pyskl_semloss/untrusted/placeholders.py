"""What stands for the functions and types that a pickle of plain data names; none of numpy's own is ever called.

numpy's own rebuilding trusts a pickle: a forged dtype state makes an array read beyond its memory. So array and dtype
are stand-ins while a file is read, and become real arrays, from bytes of the right length, at the end.
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
"""Bytes of memory for an item of a set."""
_MOST_AXES, _LARGEST_SIZE = 64, 1 << 62


class Refused(Exception):
    """Well-formed content that is not plain data."""


class Budget:
    """The bytes of memory that the calls of one pickle may still take.

    A pickle can hand one large string to a million calls, each of which would copy it.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory

    def spend(self, size: int) -> None:
        """Take off ``size`` bytes.

        Raises:
            Refused: There are not so many left.
        """
        self.memory -= size
        if self.memory < 0:
            raise Refused("what it makes would take far more memory than its size explains")


class AllowedFunction:
    """A function that a pickle may call but, unlike a bare function, cannot set attributes of."""

    __slots__ = ("_budget", "make")

    def __init__(self, make: Callable[..., Any], budget: Budget) -> None:
        self.make, self._budget = make, budget

    def __call__(self, *args: Any) -> Any:
        """Call it; what it is given is taken off the budget."""
        self._budget.spend(sum(map(_size, args)))
        return self.make(*args)

    def __setstate__(self, state: object) -> None:
        raise Refused("it sets attributes of a function; " + ACCEPTED)


def _size(value: object) -> int:
    if isinstance(value, (str, bytes, bytearray)):
        return len(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        return _ITEM * len(value)
    # What a reader lets stand for something else tells its bytes by its length.
    return len(value) if isinstance(value, Sized) and not isinstance(value, type) else 0


class PendingFrozenSet:
    """Stands for a frozenset that a call makes, which is no key: comparing two of them would take long."""

    __slots__ = ("members",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self.members = _set(items)

    def __setstate__(self, state: object) -> None:
        raise Refused("it sets attributes of a set; " + ACCEPTED)


def _set(items: Any = ()) -> set[Any]:
    """A set of what has no chosen hash; opcodes, which the newer protocols have for sets, are looked at before."""
    for item in items:
        plain = isinstance(item, (str, bytes, float, type(None), np.generic)) and not isinstance(
            item, np.complexfloating
        )
        if not plain and not (isinstance(item, int) and item.bit_length() <= 64):
            raise Refused(f"a set made by a call holds {short_repr(item)}, expected texts and numbers of up to 64 bits")
    return set(items)


def checked_shape(shape: object) -> tuple[int, ...]:
    """The shape of an array: few whole numbers that a machine can count to.

    Multiplying thousands of numbers of 255 bytes would take minutes.

    Raises:
        ValueError: It is something else.
    """
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if len(sizes) > _MOST_AXES or not all(type(size) is int and 0 <= size < _LARGEST_SIZE for size in sizes):
        raise ValueError("malformed array header")
    return sizes


class PendingDType:
    """Stands for a numpy dtype while a file is read; only its byte order can be set."""

    __slots__ = ("real",)

    def __init__(self, code: object, align: object = False, copy: object = False) -> None:
        if isinstance(code, str) and code.lstrip("<>=|").startswith("O"):
            raise Refused("it holds an object array; " + ACCEPTED)
        if not (isinstance(code, str) and PLAIN_DTYPE.fullmatch(code)):
            raise Refused(f"it holds an array of dtype {short_repr(code)}; " + ACCEPTED)
        self.real = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *structure = state[:5]
        if any(part is not None for part in structure):
            raise Refused("it holds a structured array; " + ACCEPTED)
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"a byte order {short_repr(order)}")
        self.real = self.real.newbyteorder(order)


class PendingArray:
    """Stands for an array until the whole file is read."""

    __slots__ = ("_header",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, *header: Any) -> None:
        self._header = header

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        self._header = (shape, dtype, data, "F" if fortran else "C")

    def real(self, budget: Budget | None = None) -> np.ndarray:
        """The array, a copy of its bytes.

        Raises:
            Refused: It holds objects, or the budget is spent.
            ValueError: It never got data, or they do not fit its shape.
        """
        if not self._header:
            raise ValueError("an array without data")
        shape, dtype, data, order = self._header
        real = (dtype if isinstance(dtype, PendingDType) else PendingDType(dtype)).real
        if isinstance(data, list):
            raise Refused("it holds an object array; " + ACCEPTED)
        if budget is not None:
            budget.spend(len(data))
        if isinstance(data, str):
            data = data.encode("latin1")  # the byte strings of Python 2 arrive as text
        shape = checked_shape(shape)
        if order not in ("C", "F"):
            raise ValueError("malformed array header")
        if math.prod(shape) * real.itemsize != len(data) or not real.itemsize:
            raise ValueError(f"an array of shape {short_repr(shape)} and dtype {real} has {len(data)} bytes of data")
        if not len(data):
            return np.zeros(shape, real)
        array = np.frombuffer(data, real).reshape(shape, order=order).copy(order)
        check_characters(array)
        return array


def _ndarray(shape: Any, dtype: Any, buffer: Any) -> PendingArray:
    return PendingArray(shape, dtype, buffer, "C")


def _reconstruct(subtype: object, shape: object, typecode: object) -> PendingArray:
    if not (isinstance(subtype, AllowedFunction) and subtype.make is _ndarray):
        raise Refused(f"it holds an array of a class of its own ({short_repr(subtype)}); " + ACCEPTED)
    if shape not in ((0,), [0]) or typecode not in ("b", b"b"):
        raise ValueError("an array that is made before its state is known")  # numpy's own reader would make it
    return PendingArray()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: str, axes: object = None) -> PendingArray:
    if axes is not None:
        raise ValueError("an array with permuted axes")
    return PendingArray(shape, dtype, data, order)


def _scalar(dtype: Any, data: Any) -> Any:
    return PendingArray((), dtype, data, "C").real()[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in the encoding {short_repr(encoding)}")
    return text.encode("latin1")


def _bytes(data: Any = b"", *encoding: str) -> bytes:
    if isinstance(data, str):
        return _encode(data, *encoding)
    if not isinstance(data, (bytes, bytearray)):
        raise ValueError("bytes made from no bytes")  # bytes(10**12) would fill the memory
    return bytes(data)


def _bytearray(data: Any = b"", *encoding: str) -> bytearray:
    return bytearray(_bytes(data, *encoding))


PLAIN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): PendingDType,
    ("_codecs", "encode"): _encode,
}
"""Module and name of the functions and types of plain data, and what stands for them."""
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
