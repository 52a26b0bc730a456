"""Pickle reader that executes no code, and writer for numpy 1.21 to 2.x.

The reader replaces each allowed function by a safe one (see :mod:`pyskl_semloss.untrusted.placeholders`), and refuses
every other name before it is looked up. The writer uses only ``numpy.ndarray(shape, dtype, buffer)``, whose name is the
same in every numpy; numpy's own pickles name ``numpy._core``, which numpy before 1.26 does not have.
"""

from __future__ import annotations

import io
import os
import pickle
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import data_size, open_regular, read_bytes, reason
from pyskl_semloss.io.results import result_file
from pyskl_semloss.untrusted.pickle_scan import check_extent
from pyskl_semloss.untrusted.placeholders import (
    ACCEPTED,
    PLAIN,
    PLAIN_DTYPE,
    AllowedFunction,
    Budget,
    PendingArray,
    PendingDType,
    PendingFrozenSet,
    Refused,
)

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
    file: str | os.PathLike[str] | None = None,
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


def load(path: str | os.PathLike[str], extra: Replacements | None = None) -> Any:
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


def dump(obj: object, path: str | os.PathLike[str]) -> None:
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
