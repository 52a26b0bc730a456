"""End of every tool: a one-line message, an exit status, one-line warnings."""

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
    """Decorator of a tool's ``main``: user errors are one line, status 2.

    User errors are wrong input (also in a loader's worker), the death of a worker, a full disk, and a package that is
    not installed. Ctrl-C, SIGTERM and SIGHUP also print one line; the status is 130, 143 or 129. Each warning is a
    line. Printing never fails, see :func:`pyskl_semloss.cli.outputs.steady_outputs`. A step of another program ends
    together with that program. With ``PYSKL_SEMLOSS_TRACEBACK=1`` in the environment Python's traceback is shown.
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
