"""Standard streams that survive missing characters, closed pipes and full disks."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

from pyskl_semloss.cli.commands import as_typed
from pyskl_semloss.errors import escape_control_characters

_READER_GONE = 128 + 13
"""The status of a process that SIGPIPE ended, which a shell shows for ``tool | head``."""


def say(line: object, *, error: bool = False) -> None:
    """Print a line with its control characters escaped.

    File names may hold anything. Commands are named as the user typed them.

    Args:
        line: The text.
        error: Print to standard error.
    """
    print(escape_control_characters(as_typed(str(line))), file=sys.stderr if error else sys.stdout, flush=True)


@contextlib.contextmanager
def steady_outputs() -> Iterator[None]:
    """Context in which printing never stops a tool; failures are reported at its end.

    Characters that the encoding lacks are escaped. If the reader of a pipe has left, nothing more is printed and the
    status is 141, that of a process ended by SIGPIPE. If the disk is full, a line on standard error says so, with
    status 2. The tool's own failure status is kept. Closed streams act as ``/dev/null``.

    Raises:
        SystemExit: Something could not be printed.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    sinks = {name: sink for name in ("stdout", "stderr") if (sink := _steady(name)) is not None}
    try:
        yield
    except SystemExit as end:
        if end.code:
            raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before
    failures = [(name, sink.failure) for name, sink in sinks.items() if sink.failure is not None]
    if any(failure.errno == errno.EPIPE for _, failure in failures):
        raise SystemExit(_READER_GONE)
    for name, failure in failures:
        from pyskl_semloss.io.files import explain_write_error

        problem, fix = explain_write_error(failure)
        stream_name = f"standard {'output' if name == 'stdout' else 'error'}"
        with contextlib.suppress(OSError):
            print(f"error: {stream_name}: it cannot be written: {problem}. {fix}", file=sys.stderr, flush=True)
        raise SystemExit(2)


class _Sink(io.FileIO):
    """A stream that goes on to ``/dev/null`` where it cannot be written; it keeps the first failure."""

    def __init__(self, handle: int) -> None:
        super().__init__(handle, "wb", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = self.failure or error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)


def is_printing(frame: FrameType | None) -> bool:
    """Whether a frame is writing to a stream.

    An exception raised there would make Python print the same bytes again.
    """
    return frame is not None and frame.f_code is _Sink.write.__code__


def _steady(name: str) -> _Sink | None:
    """Put a steady stream in the place of one of the process's own; None where somebody captures it."""
    stream: TextIO = getattr(sys, name)
    try:
        if stream is not getattr(sys, f"__{name}__"):
            return None
        sink = _Sink(stream.fileno())
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return None
    text = io.TextIOWrapper(
        io.BufferedWriter(sink), stream.encoding, "backslashreplace", line_buffering=name == "stderr" or stream.isatty()
    )
    setattr(sys, name, text)
    return sink


def _open_closed() -> None:
    """Open what the shell closed (``>&-``): the first file that is opened would take its place, and what is printed."""
    for handle, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if name == "stdin" else os.O_WRONLY)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
