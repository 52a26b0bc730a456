"""Cached parts of a long conversion, valid only under their key."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.arrays import read_npz, write_npz
from pyskl_semloss.io.reading import AnyPath

_KEY = "key"


def write_part(path: AnyPath, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write the arrays of a part atomically.

    Args:
        path: npz archive.
        key: All that the arrays depend on.
        arrays: Arrays by name.

    Raises:
        InputError: The file cannot be written.
    """
    write_npz(path, {**arrays, _KEY: np.array(key)})


def read_part(path: AnyPath, keys: Collection[str]) -> dict[str, np.ndarray] | None:
    """Arrays of a part, or None if absent, damaged or of another key."""
    # Whatever is wrong with a part, the remedy is to make it anew.
    with contextlib.suppress(InputError):
        if os.path.isfile(path):
            arrays = read_npz(path)
            return arrays if str(arrays.pop(_KEY, "")) in keys else None
    return None
