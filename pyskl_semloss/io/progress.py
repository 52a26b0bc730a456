"""Type of the progress callbacks of long operations."""

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Called with the number of finished steps and the total; the total is 0 where it is unknown."""
