"""Clean end of a tool on SIGTERM, SIGHUP and Ctrl-C.

One line is printed. No traceback, process or temporary file is left behind.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from pyskl_semloss.cli.outputs import is_printing
from pyskl_semloss.cpu.workers import starter
from pyskl_semloss.errors import TRACEBACK

# Windows has neither SIGHUP nor alarms: there nothing that was raised is put off, or raised again.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_HAS_ALARM = hasattr(signal, "setitimer")
_AGAIN, _SOON, _LATE = 1.0, 0.001, 0.2
"""Seconds until what was raised and lost is raised again; until what was put off is, and for how long that is done."""


class Stopped(SystemExit):
    """Exit by a signal: status 128 + its number, 130 for Ctrl-C, 143 for SIGTERM."""


def exit_on_signal(option: str = "") -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Decorator of a resumable tool's ``main``: an interruption names the command to resume.

    Args:
        option: Option that resumes, such as ``"--resume"``; empty: the same command resumes.
    """

    def decorate(main: Callable[[], None]) -> Callable[[], None]:
        @functools.wraps(main)
        def wrapper() -> None:
            stop_on_signal(main, lambda: f"go on with: {command_to_resume(option)}")

        return wrapper

    return decorate


def stop_on_signal(main: Callable[[], None], advice: Callable[[], str] | None = None) -> None:
    """Call ``main`` and turn signals that end the process into an exception.

    A signal that was ignored before stays ignored, as Ctrl-C is in jobs that a script starts in the background, and
    SIGHUP below nohup. A step of another program prints nothing, see :func:`pyskl_semloss.cpu.workers.starter`.

    Args:
        main: The tool.
        advice: Function that returns how to resume, for the printed line.

    Raises:
        SystemExit: A signal came; the status is 128 plus its number.
    """
    if threading.current_thread() is not threading.main_thread():
        main()
        return
    heard = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = {number: before for number, before in heard.items() if before is not signal.SIG_IGN}
    if advice is None and os.environ.get(TRACEBACK):
        # Who asks for tracebacks wants to see where it was.
        heard.pop(signal.SIGINT, None)
    came: list[int] = []
    before_all = {**heard, signal.SIGALRM: signal.getsignal(signal.SIGALRM)} if _HAS_ALARM else heard
    try:
        _handle(heard, functools.partial(_stop, came, os.getpid()))
        main()
    except BaseException:
        # Not always Stopped itself: mmengine, for one, turns whatever happens while it formats a config into
        # an error of its own.
        if not came:
            raise
        _handle(heard, signal.SIG_IGN)
        _set_alarm(0)
        _end_workers()
        # Who started this one as a step says it, and how to go on.
        if _is_first_process() and starter() is None:
            line = f"stopped by {signal.Signals(came[0]).name}"
            print(line if advice is None else f"{line}; {advice()}", file=sys.stderr, flush=True)
        raise SystemExit(128 + came[0]) from None
    finally:
        _set_alarm(0)
        for number, before in before_all.items():
            signal.signal(number, before)


def _set_alarm(seconds: float, handler: Callable[[int, FrameType | None], None] | None = None) -> None:
    """Call the handler in some seconds; 0 for never."""
    if _HAS_ALARM:
        if handler is not None:
            signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def command_to_resume(option: str = "") -> str:
    """Command line as typed, with ``option`` at its end unless already given.

    An option with a value, as in ``--resume FILE``, does not count: it would not resume from the latest checkpoint.
    """
    if _launched():
        return f"the same command{' and ' if option else ''}{option}"
    command = _typed(sys.orig_argv)
    positions = [index for index, word in enumerate(command) if word == option]
    without_value = any(index + 1 == len(command) or command[index + 1].startswith("-") for index in positions)
    return shlex.join(command if without_value or not option else [*command, option])


def _typed(command: list[str]) -> list[str]:
    """What was typed, where the system put an interpreter before the console script ``semloss``."""
    script = next((index for index, word in enumerate(command) if index and not word.startswith("-")), 0)
    if Path(command[script]).name != "semloss":
        return command
    name = "semloss" if shutil.which("semloss") == command[script] else command[script]
    return [name, *command[script + 1 :]]


def _handle(numbers: Iterable[int], handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in numbers:
        signal.signal(number, handler)


def _stop(came: list[int], owner: int, number: int, frame: FrameType | None) -> None:
    if os.getpid() != owner:
        # A forked worker: it is ended by its owner, to whom Ctrl-C in a terminal goes as well.
        if number == signal.SIGTERM:
            os._exit(128 + number)
        return
    if came:
        # A system that shuts down may send several; only who is impatient at the keyboard cuts off what is cleaned up.
        if number == signal.SIGINT:
            raise Stopped(128 + came[0])
        return
    # Where the workers got the signal too, torch would report their end as a crash.
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, lambda *_: None)
    # What is torn down half made complains in its destructor.
    sys.unraisablehook = lambda _: None
    came.append(number)
    _raise(came, time.monotonic() + _LATE, 0, frame)


def _raise(came: list[int], late: float, number: int, frame: FrameType | None) -> None:
    """Raise, here or, where it would be lost or do harm, a little later."""
    if _HAS_ALARM and is_printing(frame) and time.monotonic() < late:
        # What was just printed would be printed again.
        _set_alarm(_SOON, functools.partial(_raise, came, late))
        return
    # Python drops what is raised in a destructor, or by its own hooks while a worker is forked; the run would go on.
    _set_alarm(_AGAIN, functools.partial(_raise, came, 0.0))
    if not _on_its_way(sys.exc_info()[1]):
        raise Stopped(128 + came[0])


def _on_its_way(error: BaseException | None) -> bool:
    """Whether an error that is being handled is ours, or came of it: then what is cleaned up is left in peace."""
    while error is not None and not isinstance(error, Stopped):
        error = error.__cause__ or error.__context__
    return error is not None


def _end_workers() -> None:
    workers = multiprocessing.active_children()
    for patience in (0.5, 1.5, 3):
        # Again, because Python drops a signal that a worker gets while it is being forked.
        for worker in workers:
            worker.terminate()
        end = time.monotonic() + patience
        for worker in workers:
            worker.join(max(0, end - time.monotonic()))
    for worker in workers:
        if worker.is_alive():
            worker.kill()
            worker.join()


def _launched() -> bool:
    """Whether another program started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ or "slurm" in sys.argv[1:]


def _is_first_process() -> bool:
    return not _launched() or int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0
