"""Pickles as plain data: a reader that can execute nothing, a writer that every numpy from 1.21 to 2.x can read.

Reading replaces each function that a pickle may name by one of ours (see :mod:`pyskl_semloss.untrusted.placeholders`) and
refuses every other name before it is looked up.

Writing uses ``numpy.ndarray(shape, dtype, buffer)`` alone: that name is the same in every numpy, whereas numpy's own
pickles name ``numpy._core``, which numpy before 1.26 does not have.
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
Extra = Mapping[tuple[str, str], object]


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, extra: Extra, persistent: Callable[[Any], Any] | None, budget: Budget) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._extra, self._persistent, self._budget = extra, persistent, budget

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._extra:
            found = self._extra[module, name]
            return AllowedFunction(found, self._budget) if isinstance(found, types.FunctionType) else found
        if (module, name) not in PLAIN:
            raise Refused(f"it names the global '{module[:80]}.{name[:80]}', which was not executed; " + ACCEPTED)
        return AllowedFunction(PLAIN[module, name], self._budget)

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise Refused("it names something outside itself; " + ACCEPTED)
        return self._persistent(pid)


class _Settler:
    """Puts the real arrays in the places of their stand-ins, in dicts and lists in place."""

    def __init__(self, budget: Budget, extra: bool) -> None:
        self._budget, self._extra = budget, extra
        # The node itself is kept, so that no other object gets its id.
        self._seen: dict[int, tuple[Any, Any]] = {}

    def settle(self, node: Any) -> Any:
        if isinstance(node, _SCALARS) or type(node) is np.ndarray:
            return node
        if id(node) not in self._seen:
            self._seen[id(node)] = node, node
            if isinstance(node, list):
                node[:] = [self.settle(item) for item in node]
            elif isinstance(node, dict):
                for key in node:
                    self.settle(key)
                    node[key] = self.settle(node[key])
            else:
                self._seen[id(node)] = node, self._made(node)
        return self._seen[id(node)][1]

    def _made(self, node: Any) -> Any:
        if isinstance(node, PendingArray):
            return node.real(self._budget)
        if isinstance(node, PendingFrozenSet):
            return frozenset(self.settle(item) for item in node.members)
        if type(node) in (tuple, set, frozenset):
            return type(node)([self.settle(item) for item in node])
        if not self._extra or isinstance(node, (PendingDType, AllowedFunction)):
            raise Refused(f"it holds a bare {type(node).__name__}; " + ACCEPTED)
        return node


def loads(
    data: bytes,
    extra: Extra | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    persistent: Callable[[Any], Any] | None = None,
    size: int | None = None,
) -> Any:
    """Read plain data from the bytes of a pickle, of any protocol and of numpy 1.x or 2.x.

    Args:
        data: The pickle.
        extra: Further globals to accept, ``{(module, name): what stands for it}``. What stands for it must not copy
            what it is given, unless it is a function: the bytes that those are given are limited. Numpy arrays that are
            arguments or state of such a global are not supported (they reach it as stand-ins).
        file: The name to give in messages.
        persistent: Takes a persistent id; without it, those are refused.
        size: Bytes of the pickle that took room on the disk, where it was read from a file with holes.

    Raises:
        InputError: The pickle is truncated or damaged, holds anything but dicts, lists, tuples, sets, strings, bytes,
            numbers, None, and numpy arrays and scalars of numbers or strings, unfolds to more memory than
            :func:`pyskl_semloss.io.reading.memory_limit` says, or has more keys that take time than
            :data:`pyskl_semloss.untrusted.pickle_scan.MOST_KEYS` allows. Nothing in it was executed.
    """
    try:
        budget = Budget(check_extent(data, size=size).memory)
        node = _Unpickler(data, extra or {}, persistent, budget).load()
        return _Settler(budget, bool(extra)).settle(node)
    except Refused as refusal:
        fix = "Write the file anew with these: tensors as tensor.numpy(), paths as text, own objects as dicts."
        raise InputError(str(refusal), file=file, fix=fix) from None
    # A damaged pickle can raise nearly anything: it is a program for a small stack machine.
    except Exception as error:
        kind = type(error).__name__
        problem = f"expected a pickle, but it is damaged, truncated or another format ({kind}: {reason(error)})"
        raise InputError(problem, file=file) from None


def load(path: str | os.PathLike[str], extra: Extra | None = None) -> Any:
    """Read plain data from a pickle file; see :func:`loads`.

    Raises:
        InputError: The file is absent or unreadable, or for the reasons of :func:`loads`.
    """
    with open_regular(path) as stream:
        size = data_size(stream.fileno())
    return loads(read_bytes(path), extra, file=path, size=size)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray:
            if not PLAIN_DTYPE.fullmatch(obj.dtype.str):
                raise Refused(f"an array of dtype {obj.dtype}")
            # A bytearray, not bytes: the array that is read back must be writable.
            return np.ndarray, (obj.shape, obj.dtype.str, bytearray(obj.tobytes()))
        if isinstance(obj, (bytearray, complex)) or obj in (np.ndarray, bytearray, complex):
            return NotImplemented
        raise Refused(f"an object of type {type(obj).__module__}.{type(obj).__qualname__}")


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
        with result_file(path) as stream:
            pickler = _Pickler(stream, protocol=4)
            # Without it every array's bytes stay in memory until the last is written.
            pickler.fast = True
            pickler.dump(_without_scalars(obj))
    except Refused as refusal:
        raise InputError(
            f"only plain containers and arrays are written to a pickle, got {refusal}", file=path
        ) from None
