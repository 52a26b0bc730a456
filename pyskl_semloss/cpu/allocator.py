"""Keep large blocks of memory between uses: a third of a training step on a CPU is page faults without it."""

from __future__ import annotations

import ctypes
import os
import sys

# glibc's malloc.h: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, in bytes; the largest value that an int holds.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 2**31 - 1
SWITCH = "PYSKL_SEMLOSS_MALLOC"


def keep_large_blocks() -> bool:
    """Tell glibc to keep freed blocks instead of returning each to the kernel, which must clear it before its next use.

    The process then holds the memory of its largest moment until it ends. Nothing is done where there is no glibc, or
    where the environment variable PYSKL_SEMLOSS_MALLOC is ``default``.

    Returns:
        Whether the setting was made.
    """
    if os.environ.get(SWITCH) == "default" or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _NEVER)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
