"""Progress lines on a stream: percentage, count and time left."""

from __future__ import annotations

import time
from typing import TextIO

from pyskl_semloss.errors import escape_control_characters


class _Line:
    """On a terminal one line that is written over, else a line for each tenth."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun: tuple[float, int] | None = None
        self._tenth, self._open = -1, False

    def _rate(self, done: int) -> float:
        """Units a second since the first call; 0 where it is not known yet."""
        now = time.monotonic()
        self._begun = self._begun or (now, done)
        begun, before = self._begun
        return (done - before) / (now - begun) if done > before and now > begun else 0.0

    def _show(self, line: str, percent: int, last: bool = False) -> None:
        if self._stream.isatty():
            self._stream.write(f"\r{line}\x1b[K" + "\n" * last)
            self._open = not last
        elif last or percent // 10 > self._tenth:
            self._tenth = percent // 10
            self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Close the line."""
        if self._open:
            self._stream.write("\n")
            self._open = False


class ProgressLine(_Line):
    """Progress of a count: one rewritten line on a terminal, else a line per tenth.

    Args:
        stream: Output stream, usually ``sys.stderr``.
        unit: Plural noun of the counted things.
    """

    def __init__(self, stream: TextIO, unit: str = "videos") -> None:
        super().__init__(stream)
        self._unit = escape_control_characters(unit)

    def __call__(self, done: int, total: int) -> None:
        """Show ``done`` of ``total``; the rate counts from the first call."""
        rate, percent = self._rate(done), 100 * done // max(total, 1)
        left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
        self._show(f"{percent:3d} %  {done} of {total} {self._unit}{left}", percent, done >= total)


class FrameProgress(_Line):
    """Progress over the frames of several videos; their number may exceed the expected total."""

    def __call__(self, frames: int, total: int, videos: int, all_videos: int) -> None:
        """Show ``frames`` of ``total`` and ``videos`` of ``all_videos``; the rate counts from the first call."""
        rate = self._rate(frames) if frames else 0.0
        percent = min(100, 100 * frames // max(total, 1))
        left = f", {rate:.1f} frames/s, {(total - frames) / rate:.0f} s left" if rate else ""
        line = f"{percent:3d} %  {frames} of {total} frames{left}, {videos} of {all_videos} videos done"
        if frames or self._stream.isatty():
            self._show(line, percent)
