"""Attributes that a checkpoint sets of its dicts, tensors and logs, each of which could hide a method of theirs.

A pickle may set any attribute of an ordered dict: one called ``get`` is what ``meta.get("epoch")`` calls then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
from torch import Tensor

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import shown

# torch writes it for state dicts: the version of each module's format.
_METADATA = "_metadata"
_HISTORIES = ("_log_history", "_count_history")
_OF_HISTORY = {*_HISTORIES, "max_length", "_max_length", "_statistics_methods"}


def check_attributes(content: Any) -> None:
    """Refuse attributes that neither torch nor mmengine sets, wherever they are in the content of a checkpoint.

    Args:
        content: As torch has read it.

    Raises:
        InputError: Names the first.
    """
    seen: set[int] = set()
    stack = [content]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Tensor):
            if node._backward_hooks:
                raise _refused("a tensor", ["_backward_hooks"])
        elif isinstance(node, dict):
            _check_dict(node)
            stack.extend(node.values())
        elif isinstance(node, (list, tuple, set, frozenset)):
            stack.extend(node)
        elif type(node).__name__ == "HistoryBuffer":
            _check_history(node)


def _check_dict(node: dict[Any, Any]) -> None:
    attributes = vars(node) if isinstance(node, OrderedDict) else {}
    if attributes.keys() - {_METADATA}:
        raise _refused("an ordered dict", attributes.keys() - {_METADATA})
    if _METADATA in attributes and not _is_metadata(attributes[_METADATA]):
        raise _refused("an ordered dict", [f"{_METADATA} of another form than torch's"])


def _is_metadata(value: object) -> bool:
    """Name of a module -> dict(version=number), with more plain values for modules of other packages."""
    plain = (int, float, str, type(None))
    return _is_bare(value) and all(
        isinstance(name, str)
        and _is_bare(about)
        and all(isinstance(key, str) and isinstance(one, plain) for key, one in about.items())
        and isinstance(about.get("version"), (int, type(None)))
        for name, about in value.items()
    )


def _is_bare(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict) and not getattr(value, "__dict__", None)


def _check_history(node: Any) -> None:
    attributes: Mapping[str, Any] = vars(node)
    if attributes.keys() - _OF_HISTORY:
        raise _refused("a log history", attributes.keys() - _OF_HISTORY)
    log, count = (attributes.get(name) for name in _HISTORIES)
    if not (_is_list(log) and _is_list(count) and log.shape == count.shape):
        raise InputError("expected a log history of two lists of numbers, got something else", field="message_hub")


def _is_list(value: object) -> TypeGuard[np.ndarray]:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu"


def _refused(whose: str, names: Iterable[str]) -> InputError:
    said = ", ".join(shown(name) for name in sorted(names, key=str)[:3])
    return InputError(f"expected tensors and plain data only, but {whose} in it has attributes of its own ({said})")
