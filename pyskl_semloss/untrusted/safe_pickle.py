"""Pickle reader that executes no code, and writer for numpy 1.21 to 2.x.

The reader replaces each allowed function by a safe one, and refuses every other name before it is looked up. numpy's
own unpickling trusts the file: with a forged dtype state, an array reads beyond its memory. So arrays and dtypes are
placeholders while a file is read. At the end they become real arrays, of bytes of the right length.

The writer uses only ``numpy.ndarray(shape, dtype, buffer)``, whose name is the same in every numpy; numpy's own pickles
name ``numpy._core``, which numpy before 1.26 does not have.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import check_characters
from pyskl_semloss.io.reading import AnyPath, data_size, open_regular, read_bytes, reason, short_repr
from pyskl_semloss.io.results import result_file
from pyskl_semloss.untrusted.pickle_scan import check_extent

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


_SCALARS = (str, bytes, bytearray, bool, int, float, complex, type(None), np.generic)
Replacements = Mapping[tuple[str, str], object]


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, data: bytes, extra: Replacements, persistent: Callable[[Any], Any] | None, budget: Budget
    ) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._extra, self._persistent, self._budget = extra, persistent, budget

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._extra:
            replacement = self._extra[module, name]
            if isinstance(replacement, types.FunctionType):
                return AllowedFunction(replacement, self._budget)
            return replacement
        if (module, name) not in PLAIN:
            raise Refused(f"it names the global '{module[:80]}.{name[:80]}', which was not executed; " + ACCEPTED)
        return AllowedFunction(PLAIN[module, name], self._budget)

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise Refused("it names something outside itself; " + ACCEPTED)
        return self._persistent(pid)


class _Resolver:
    """Replacement of placeholders by real arrays; dicts and lists are changed in place."""

    def __init__(self, budget: Budget, extra: bool) -> None:
        self._budget, self._extra = budget, extra
        # A reference to the node keeps its id unique.
        self._seen: dict[int, tuple[Any, Any]] = {}

    def resolve(self, node: Any) -> Any:
        if isinstance(node, _SCALARS) or type(node) is np.ndarray:
            return node
        if id(node) not in self._seen:
            self._seen[id(node)] = node, node
            if isinstance(node, list):
                node[:] = [self.resolve(item) for item in node]
            elif isinstance(node, dict):
                for key in node:
                    self.resolve(key)
                    node[key] = self.resolve(node[key])
            else:
                self._seen[id(node)] = node, self._resolve_new(node)
        return self._seen[id(node)][1]

    def _resolve_new(self, node: Any) -> Any:
        if isinstance(node, PendingArray):
            return node.resolve(self._budget)
        if isinstance(node, PendingFrozenSet):
            return frozenset(self.resolve(item) for item in node.members)
        if type(node) in (tuple, set, frozenset):
            return type(node)([self.resolve(item) for item in node])
        if not self._extra or isinstance(node, (PendingDType, AllowedFunction)):
            kind = {PendingDType: "dtype", AllowedFunction: "function"}.get(type(node), type(node).__name__)
            raise Refused(f"it holds a bare {kind}; " + ACCEPTED)
        return node


def loads(
    data: bytes,
    extra: Replacements | None = None,
    *,
    file: AnyPath | None = None,
    persistent: Callable[[Any], Any] | None = None,
    size: int | None = None,
) -> Any:
    """Read plain data from the bytes of a pickle of any protocol.

    Plain data are dicts, lists, tuples, sets, strings, bytes, numbers, None, and numpy arrays and scalars of numbers or
    strings (numpy 1.x or 2.x). No code of the pickle is executed.

    Args:
        data: Pickle.
        extra: Replacements of further globals, ``{(module, name): replacement}``. Only functions may copy their
            arguments, whose bytes are limited. Arrays among the arguments or in the state are passed as placeholders.
        file: File name for messages.
        persistent: Function of a persistent id; without it, persistent ids are refused.
        size: Size in bytes without holes, if the file has holes.

    Raises:
        InputError: The pickle is truncated or corrupt, holds other than plain data, takes more memory than
            :func:`pyskl_semloss.io.reading.memory_limit`, or has more slow keys than
            :data:`pyskl_semloss.untrusted.pickle_scan.MOST_KEYS`.

    Example:
        >>> loads(pickle.dumps({"label": 3, "keypoint": np.zeros((1, 2))}))
        {'label': 3, 'keypoint': array([[0., 0.]])}
    """
    try:
        budget = Budget(check_extent(data, size=size).memory)
        node = _Unpickler(data, extra or {}, persistent, budget).load()
        return _Resolver(budget, bool(extra)).resolve(node)
    except Refused as refusal:
        fix = "Write the file anew with these: tensors as tensor.numpy(), paths as text, own objects as dicts."
        raise InputError(str(refusal), file=file, fix=fix) from None
    # A pickle is a program for a stack machine: a corrupt one can raise nearly any error.
    except Exception as error:
        kind = type(error).__name__
        problem = f"expected a pickle, but it is damaged, truncated or another format ({kind}: {reason(error)})"
        raise InputError(problem, file=file) from None


def load(path: AnyPath, extra: Replacements | None = None) -> Any:
    """Read plain data from a pickle file; see :func:`loads`.

    Raises:
        InputError: The file is absent or cannot be read, or as :func:`loads`.
    """
    with open_regular(path) as stream:
        size = data_size(stream.fileno())
    return loads(read_bytes(path), extra, file=path, size=size)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray:
            if not PLAIN_DTYPE.fullmatch(obj.dtype.str):
                raise Refused(f"an array of dtype {obj.dtype}")
            # A bytearray, because an array that is read from bytes is not writable.
            return np.ndarray, (obj.shape, obj.dtype.str, bytearray(obj.tobytes()))
        if isinstance(obj, (bytearray, complex)) or obj in (np.ndarray, bytearray, complex):
            return NotImplemented
        raise Refused(f"an object of type {type(obj).__module__}.{type(obj).__qualname__}")


def _without_scalars(node: Any) -> Any:
    """Copy with Python numbers for numpy scalars, whose pickles depend on the numpy version."""
    if isinstance(node, np.generic):
        return node.item()
    if type(node) is dict:
        return {_without_scalars(key): _without_scalars(value) for key, value in node.items()}
    if type(node) in (list, tuple, set, frozenset):
        return type(node)(_without_scalars(item) for item in node)
    return node


def dump(obj: object, path: AnyPath) -> None:
    """Write plain data as a pickle (protocol 4) atomically.

    ``pickle.load`` reads the file with numpy 1.21 to 2.x. Numpy scalars become Python numbers; arrays are read writable
    and in C order.

    Raises:
        InputError: ``obj`` holds other than plain data (see :func:`loads`), or the file cannot be written.
    """
    try:
        with result_file(path) as stream:
            pickler = _Pickler(stream, protocol=4)
            # Without it the bytes of all arrays stay in memory until the last is written.
            pickler.fast = True
            pickler.dump(_without_scalars(obj))
    except Refused as refusal:
        raise InputError(
            f"only plain containers and arrays are written to a pickle, got {refusal}", file=path
        ) from None
