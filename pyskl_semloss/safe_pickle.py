"""Pickles as plain data: a reader that can execute nothing, a writer that every numpy from 1.21 to 2.x can read.

Reading replaces each function that a pickle may name by one of ours and refuses every other name before it is looked
up. numpy's own rebuilding is never called: a forged dtype state could make an array read beyond its memory. So array
and dtype are stand-ins while the file is read, and become real arrays, from bytes of the right length, at the end.

Writing uses ``numpy.ndarray(shape, dtype, buffer)`` alone: that name is the same in every numpy, whereas numpy's own
pickles name ``numpy._core``, which numpy before 1.26 does not have.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.files import atomic_write
from pyskl_semloss.pickle_scan import check_extent

_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,6})")
_SCALARS = (str, bytes, bytearray, bool, int, float, complex, type(None), np.generic)
_ACCEPTED = "only plain containers, strings, numbers and numpy arrays are read from a pickle"


class _Refused(Exception):
    """Well-formed content that is not plain data."""


class _Maker:
    """A function that a pickle may call but, unlike a bare function, cannot set attributes of."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise _Refused("it sets attributes of a function; " + _ACCEPTED)


class _DType:
    """Stands for a numpy dtype while a file is read; only its byte order can be set."""

    def __init__(self, code: object, align: object = False, copy: object = False) -> None:
        if isinstance(code, str) and code.lstrip("<>=|").startswith("O"):
            raise _Refused("it holds an object array; " + _ACCEPTED)
        if not (isinstance(code, str) and _DTYPE.fullmatch(code)):
            raise _Refused(f"it holds an array of dtype {code!r}; " + _ACCEPTED)
        self.real = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *structure = state[:5]
        if any(part is not None for part in structure):
            raise _Refused("it holds a structured array; " + _ACCEPTED)
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"a byte order {order!r}")
        self.real = self.real.newbyteorder(order)


class _Array:
    """Stands for an array between its creation and its state in a file of numpy's own making."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.real: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        shape, dtype, fortran, data = state[-4:]
        self.real = _array(shape, dtype, data, "F" if fortran else "C")


def _array(shape: Any, dtype: Any, data: Any, order: str = "C") -> np.ndarray:
    real = (dtype if isinstance(dtype, _DType) else _DType(dtype)).real
    if isinstance(data, str):
        data = data.encode("latin1")  # the byte strings of Python 2 arrive as text
    if isinstance(data, list):
        raise _Refused("it holds an object array; " + _ACCEPTED)
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if order not in ("C", "F") or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("malformed array header")
    if math.prod(shape) * real.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} and dtype {real} has {len(data)} bytes of data")
    if not len(data):
        return np.zeros(shape, real)
    return np.frombuffer(data, real).reshape(shape, order=order).copy(order)  # type: ignore[call-overload]


def _ndarray(shape: Any, dtype: Any, buffer: Any) -> np.ndarray:
    return _array(shape, dtype, buffer)


_NDARRAY = _Maker(_ndarray)


def _reconstruct(subtype: object, shape: object, typecode: object) -> _Array:
    if subtype is not _NDARRAY:
        raise _Refused(f"it holds an array of a class of its own ({subtype!r}); " + _ACCEPTED)
    return _Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: str, axes: object = None) -> np.ndarray:
    if axes is not None:
        raise ValueError("an array with permuted axes")
    return _array(shape, dtype, data, order)


def _scalar(dtype: Any, data: Any) -> Any:
    return _array((), dtype, data)[()]


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _bytes(data: Any = b"", *encoding: str) -> bytes:
    if isinstance(data, str):
        return _encode(data, *encoding)
    if not isinstance(data, (bytes, bytearray)):
        raise ValueError("bytes made from no bytes")  # bytes(10**12) would fill the memory
    return bytes(data)


def _bytearray(data: Any = b"", *encoding: str) -> bytearray:
    return bytearray(_bytes(data, *encoding))


_PLAIN: dict[tuple[str, str], _Maker] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Maker(_DType),
    ("_codecs", "encode"): _Maker(_encode),
}
for _core in ("numpy.core", "numpy._core"):
    _PLAIN[f"{_core}.multiarray", "_reconstruct"] = _Maker(_reconstruct)
    _PLAIN[f"{_core}.multiarray", "scalar"] = _Maker(_scalar)
    _PLAIN[f"{_core}.numeric", "_frombuffer"] = _Maker(_frombuffer)
for _builtins in ("builtins", "__builtin__"):
    _PLAIN[_builtins, "bytes"] = _Maker(_bytes)
    _PLAIN[_builtins, "bytearray"] = _Maker(_bytearray)
    _PLAIN[_builtins, "set"] = _Maker(set)
    _PLAIN[_builtins, "frozenset"] = _Maker(frozenset)
    _PLAIN[_builtins, "complex"] = _Maker(complex)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, extra: Mapping[tuple[str, str], object]) -> None:
        super().__init__(stream, encoding="latin1")
        self._known = {**_PLAIN, **extra}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[module, name]
        except KeyError:
            raise _Refused(f"it names the global '{module}.{name}', which was not executed; " + _ACCEPTED) from None


def _settle(node: Any, seen: dict[int, Any], extra: bool) -> Any:
    """Put the real arrays in the places of their stand-ins, in dicts and lists in place."""
    if isinstance(node, _SCALARS) or type(node) is np.ndarray:
        return node
    if id(node) not in seen:
        seen[id(node)] = node
        if isinstance(node, (dict, list)):
            _settle_in_place(node, seen, extra)
        else:
            seen[id(node)] = _settled(node, seen, extra)
    return seen[id(node)]


def _settle_in_place(node: dict[Any, Any] | list[Any], seen: dict[int, Any], extra: bool) -> None:
    if isinstance(node, list):
        node[:] = [_settle(item, seen, extra) for item in node]
    else:
        for key in node:
            _settle(key, seen, extra)
            node[key] = _settle(node[key], seen, extra)


def _settled(node: Any, seen: dict[int, Any], extra: bool) -> Any:
    if isinstance(node, _Array):
        if node.real is None:
            raise ValueError("an array without data")
        return node.real
    if type(node) in (tuple, set, frozenset):
        return type(node)([_settle(item, seen, extra) for item in node])
    if not extra or isinstance(node, (_DType, _Maker)):
        raise _Refused(f"it holds a bare {type(node).__name__.strip('_')}; " + _ACCEPTED)
    return node


def loads(
    data: bytes,
    extra: Mapping[tuple[str, str], object] | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
) -> Any:
    """Read plain data from the bytes of a pickle, of any protocol and of numpy 1.x or 2.x.

    Args:
        data: The pickle.
        extra: Further globals to accept, ``{(module, name): what stands for it}``. Numpy arrays that are arguments or
            state of such a global are not supported (they reach it as stand-ins).
        file: The name to give in messages.

    Raises:
        InputError: The pickle is truncated or damaged, or holds anything but dicts, lists, tuples, sets, strings,
            bytes, numbers, None, and numpy arrays and scalars of numbers or strings. Nothing in it was executed.
    """
    try:
        check_extent(data)
        node = _Unpickler(io.BytesIO(data), extra or {}).load()
        return _settle(node, {}, bool(extra))
    except _Refused as refusal:
        raise InputError(str(refusal), file=file) from None
    # A damaged pickle can raise nearly anything: it is a program for a small stack machine.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"expected a pickle, but it is damaged, truncated or another format ({reason})", file=file
        ) from None


def load(path: str | os.PathLike[str], extra: Mapping[tuple[str, str], object] | None = None) -> Any:
    """Read plain data from a pickle file; see :func:`loads`.

    Raises:
        InputError: The file is absent or unreadable, or for the reasons of :func:`loads`.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError("there is no such file", file=path) from None
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", file=path) from None
    return loads(data, extra, file=path)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray:
            if not _DTYPE.fullmatch(obj.dtype.str):
                raise _Refused(f"an array of dtype {obj.dtype}")
            # A bytearray, not bytes: the array that is read back must be writable.
            return np.ndarray, (obj.shape, obj.dtype.str, bytearray(obj.tobytes()))
        if isinstance(obj, (bytearray, complex)) or obj in (np.ndarray, bytearray, complex):
            return NotImplemented
        raise _Refused(f"an object of type {type(obj).__module__}.{type(obj).__qualname__}")


def _without_scalars(node: Any) -> Any:
    """Numpy scalars as Python numbers: their pickles would name a module that moved between numpy 1 and 2."""
    if isinstance(node, np.generic):
        return node.item()
    if type(node) is dict:
        return {_without_scalars(key): _without_scalars(value) for key, value in node.items()}
    if type(node) in (list, tuple, set, frozenset):
        return type(node)(_without_scalars(item) for item in node)
    return node


def dump(obj: object, path: str | os.PathLike[str]) -> None:
    """Write plain data as a pickle (protocol 4) that plain ``pickle.load`` reads on Python 3.4+ and numpy 1.21 to 2.x.

    The file appears whole or not at all. Numpy scalars become Python numbers; arrays come back writable, in C order.

    Raises:
        InputError: ``obj`` holds something other than plain containers, strings, bytes, numbers, None and numpy arrays
            of numbers or strings, or the file cannot be written.
    """
    try:
        with atomic_write(path) as stream:
            pickler = _Pickler(stream, protocol=4)
            # Without it every array's bytes stay in memory until the last is written.
            pickler.fast = True
            pickler.dump(_without_scalars(obj))
    except _Refused as refusal:
        raise InputError(
            f"only plain containers and arrays are written to a pickle, got {refusal}", file=path
        ) from None
