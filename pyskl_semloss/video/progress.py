"""A progress line for frames of videos: percentage, frames a second, time left."""

from __future__ import annotations

import time
from typing import TextIO


class FrameProgress:
    """Shows how many frames are done; on a terminal in one line, else in a line for each tenth.

    Args:
        stream: Where to, usually ``sys.stderr``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._terminal = stream, stream.isatty()
        self._begun: tuple[float, int] | None = None
        self._tenth, self._open = -1, False

    def __call__(self, frames: int, total: int, videos: int, all_videos: int) -> None:
        """Show that ``frames`` of ``total`` are done, and ``videos`` of ``all_videos``."""
        now = time.monotonic()
        if frames and self._begun is None:
            self._begun = (now, frames)
        percent = min(100, 100 * frames // max(total, 1))
        line = f"{percent:3d} %  {frames} of {total} frames"
        begun, before = self._begun or (now, frames)
        if frames > before and now > begun:
            rate = (frames - before) / (now - begun)
            line += f", {rate:.1f} frames/s, {(total - frames) / rate:.0f} s left"
        line += f", {videos} of {all_videos} videos done"
        if self._terminal:
            self._stream.write(f"\r{line}\x1b[K")
            self._open = True
        elif percent // 10 > self._tenth and frames:
            self._tenth = percent // 10
            self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Close the line."""
        if self._open:
            self._stream.write("\n")
            self._open = False
