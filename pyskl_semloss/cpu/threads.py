"""Kernels that need no interpreter lock, on as many threads as torch uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np


def in_parts(work: Callable[[int, int], Any], count: int, threads: int) -> list[Any]:
    """Do a work of ``count`` pieces in equal parts, a thread for each.

    Args:
        work: Called with the first piece and the one behind the last of a part.
        count: Number of pieces.
        threads: At most so many parts.

    Returns:
        What the parts returned, in order.
    """
    threads = max(1, min(threads, count))
    borders = np.linspace(0, count, threads + 1).astype(int).tolist()
    parts: Sequence[tuple[int, int]] = list(zip(borders[:-1], borders[1:], strict=True))
    if threads == 1:
        return [work(*parts[0])]
    return list(_pool(threads, os.getpid()).map(lambda part: work(*part), parts))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process; those of a parent are not there after a fork."""
    return ThreadPoolExecutor(threads)
