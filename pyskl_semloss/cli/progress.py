"""A progress line on a stream: percentage, count and time left."""

from __future__ import annotations

import time
from typing import TextIO

from pyskl_semloss.errors import one_line


class ProgressLine:
    """Shows how much is done; on a terminal in one line, else in a line for each tenth.

    Args:
        stream: Where to, usually ``sys.stderr``.
        unit: What is counted.
    """

    def __init__(self, stream: TextIO, unit: str = "videos") -> None:
        self._stream, self._unit = stream, one_line(unit)
        self._begun: tuple[float, int] | None = None
        self._tenth = -1

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done; the time left counts from the first call."""
        now = time.monotonic()
        self._begun = self._begun or (now, done)
        begun, before = self._begun
        line = f"{100 * done // max(total, 1):3d} %  {done} of {total} {self._unit}"
        if done > before and done < total:
            line += f", {(now - begun) / (done - before) * (total - done):.0f} s left"
        if self._stream.isatty():
            self._stream.write(f"\r{line}\x1b[K" + "\n" * (done >= total))
        elif done >= total or 10 * done // max(total, 1) > self._tenth:
            self._tenth = 10 * done // max(total, 1)
            self._stream.write(line + "\n")
        self._stream.flush()
