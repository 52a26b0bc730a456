"""The callback of everything that takes long."""

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Takes how many are done, and of how many; 0 where nobody knows how many there are."""
