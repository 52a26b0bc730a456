"""How a tool ends: one line and a status, with warnings as lines."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator

from pyskl_semloss.cli.commands import as_typed
from pyskl_semloss.cli.interruption import stop_on_signal
from pyskl_semloss.cli.outputs import say, steady_outputs
from pyskl_semloss.cpu.workers import end_with_starter
from pyskl_semloss.errors import TRACEBACK, escape_control_characters
from pyskl_semloss.hosts.faults import explain


def exit_on_error(main: Callable[[], None]) -> Callable[[], None]:
    """Make a tool's ``main`` end with one line on stderr and status 2 on what a user can mend.

    That is an error of the input, also one that a loader's worker met, the death of a worker, a full disk, or a package
    that is not installed. Ctrl-C, SIGTERM and SIGHUP are one line, too, with the status 130, 143 or 129; what is in
    progress cleans up behind itself. Warnings are a line each, and printing never fails, see
    :func:`pyskl_semloss.cli.outputs.steady_outputs`. A step of another program ends with that. With
    ``PYSKL_SEMLOSS_TRACEBACK=1`` in the environment Python's own traceback is shown.
    """

    @functools.wraps(main)
    def wrapper() -> None:
        end_with_starter()
        with steady_outputs(), _warnings_as_lines():
            try:
                stop_on_signal(main)
            except Exception as error:
                message = explain(error)
                if message is None or os.environ.get(TRACEBACK):
                    raise
                # What was made by half, such as a loader without its workers, complains in its destructor.
                sys.unraisablehook = lambda _: None
                print(as_typed(f"error: {message}"), file=sys.stderr)
                raise SystemExit(2) from None
            except KeyboardInterrupt:
                if os.environ.get(TRACEBACK):
                    raise
                say("stopped by SIGINT", error=True)
                raise SystemExit(130) from None

    return wrapper


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {escape_control_characters(as_typed(str(message)))}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before
