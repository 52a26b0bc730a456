"""Processes that work through tasks, tell how far they are, and may die without taking the others with them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import reason

Tell = Callable[[Any], None]
Work = Callable[[Any, Tell], Any]
# Windows has no SIGHUP, and no signals that are blocked.
_OF_THE_TERMINAL = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
_HANDLED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
_TERMINATED = 128 + signal.SIGTERM
_PATIENCE = 5.0
"""Seconds that a process has to end by itself."""
_PATIENCE_OF_STEP = 60.0
STARTER = "PYSKL_SEMLOSS_STARTER"
"""In the environment of a step of another program: the number of the process that started it."""
TOLD, DONE, FAILED, IMPOSSIBLE = "told", "done", "failed", "impossible"


@dataclass(frozen=True)
class Event:
    """What a process says of its task.

    Attributes:
        task: The task.
        kind: ``"told"``, ``"done"``, or ``"failed"``.
        value: What it told; what the work returned; the :class:`InputError`.
    """

    task: Any
    kind: str
    value: Any


class Worker:
    """A process that takes tasks from a pipe and answers with the kinds and values of events.

    Args:
        work: Called there with a task and a function that tells something; importable by its name.

    Attributes:
        pipe: This end of the pipe.
        task: The task that it has, for its owner to note.
        process: The process.
    """

    def __init__(self, work: Work) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.task: Any = None
        self.process = context.Process(target=_serve, args=(work, other), daemon=True)
        try:
            with _held_back():
                self.process.start()
        finally:
            other.close()


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Put signals off while a process is started: one that gets half of its instructions complains of them."""
    if hasattr(signal, "pthread_sigmask"):
        from multiprocessing import resource_tracker

        # It lets signals through again when it is started.
        resource_tracker.ensure_running()
    with _put_off():
        # For the new process, which inherits it: it does not know yet what to do about them.
        before = _mask("SIG_BLOCK", (*_OF_THE_TERMINAL, signal.SIGTERM))
        try:
            yield
        finally:
            _mask("SIG_SETMASK", before)


def _mask(how: str, signals: Iterable[int]) -> Iterable[int]:
    """The signals that were blocked before."""
    if not hasattr(signal, "pthread_sigmask"):
        return ()
    return signal.pthread_sigmask(getattr(signal, how), signals)


def _end(crew: list[Worker]) -> None:
    for worker in crew:
        worker.pipe.close()
        worker.process.terminate()
    end = time.monotonic() + _PATIENCE
    for worker in crew:
        worker.process.join(max(0, end - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def run_tasks(work: Work, tasks: deque[Any], workers: int) -> Iterator[Event]:
    """Work through tasks in processes of their own; tasks that are added in between are done as well.

    A task whose process dies has failed; the others go on.

    Args:
        work: Called in a process with a task and a function that tells something; importable by its name.
        tasks: The tasks, taken from the left.
        workers: Number of processes.

    Yields:
        What happens, as it happens.

    Raises:
        HostError: A task cannot be done on this machine, and so no other.
    """
    crew: list[Worker] = []
    try:
        while tasks or any(worker.task is not None for worker in crew):
            idle = [worker for worker in crew if worker.task is None]
            while tasks and (idle or len(crew) < workers):
                if not idle:
                    crew.append(Worker(work))
                    idle.append(crew[-1])
                worker = idle.pop()
                worker.task = tasks.popleft()
                with contextlib.suppress(OSError):  # a dead one is noticed below
                    worker.pipe.send(worker.task)
            busy = [worker for worker in crew if worker.task is not None]
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    yield _heard(worker, crew)
    finally:
        _end(crew)


def _heard(worker: Worker, crew: list[Worker]) -> Event:
    task = worker.task
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, OSError):
        crew.remove(worker)
        worker.process.join(_PATIENCE)
        fix = "Linux kills a process when memory is short (dmesg tells): take fewer workers."
        problem = f"the process that had it in hand was ended {how_it_ended(worker.process.exitcode)}"
        return Event(task, FAILED, InputError(problem, fix=fix))
    if kind == IMPOSSIBLE:
        raise HostError(value)
    if kind != TOLD:
        worker.task = None
    return Event(task, kind, value)


def how_it_ended(status: int | None) -> str:
    """The end of a process by its exit code, such as ``"by SIGKILL"``."""
    if status is not None and status - 128 in (*_OF_THE_TERMINAL, signal.SIGTERM):
        # So our own programs end.
        return f"by {signal.Signals(status - 128).name}"
    return f"by {signal.Signals(-status).name}" if status and status < 0 else f"with status {status}"


def _serve(work: Work, pipe: Connection) -> None:
    """Life of a process: until the other end of the pipe is closed, or its owner is gone."""
    # Ctrl-C reaches the whole group of processes, and so does a terminal that is closed; the first one ends the others.
    for number in _OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    # So that temporary files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    _mask("SIG_UNBLOCK", (*_OF_THE_TERMINAL, signal.SIGTERM))
    if (parent := parent_process()) is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    # Libraries in C write to stderr what they think of a damaged video; Python's stderr stays.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_result(work, pipe.recv(), lambda value: pipe.send((TOLD, value))))


def _result(work: Work, task: Any, tell: Tell) -> tuple[str, Any]:
    """Kind and value."""
    try:
        return DONE, work(task, tell)
    except InputError as error:
        return FAILED, error
    except HostError as error:
        return IMPOSSIBLE, str(error)
    except BrokenPipeError:
        raise
    except Exception as error:
        return FAILED, InputError(f"it failed ({type(error).__name__}: {reason(error)})")


def _follow(parent: Any) -> None:
    """End this process when its parent has ended, even where that was killed."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(_TERMINATED)


def starter() -> int | None:
    """The process whose step this one is: that started it, or what started it, by :func:`run_program`."""
    number = os.environ.get(STARTER, "")
    return int(number) if number.isascii() and number.isdigit() and 0 < int(number) < 1 << 31 else None


def end_with_starter() -> None:
    """Let a step of another program end when that program is gone, even where that was killed.

    A parent's death signal of Linux would come when a thread ends, and not to the processes of a launcher in between;
    so a thread waits here for the process itself. Where the system cannot do that, it looks every second. Windows tells
    nobody of a process by its number.
    """
    number = starter()
    if number is not None and os.name != "nt":
        threading.Thread(target=_follow_process, args=(number,), daemon=True).start()


def _follow_process(number: int) -> None:
    """End this process when another has ended."""
    _wait_for_end_of(number)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_OF_STEP)
    os._exit(_TERMINATED)


def _wait_for_end_of(number: int) -> None:
    try:
        wait([os.pidfd_open(number)])
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        # macOS, an old kernel, or a container that forbids it. Another user's process is not the one that was meant.
        with contextlib.suppress(OSError):
            while True:
                os.kill(number, 0)
                time.sleep(1)


def run_program(command: Sequence[str], patience: float | None = None, **options: Any) -> int:
    """Run a program to its end; it is ended before anything that is raised here, such as a signal, goes on.

    The program knows by ``STARTER`` in its environment that it is a step of this one, see :func:`end_with_starter`.

    Args:
        command: Its command line.
        patience: Seconds that it has to end by itself before it is killed; None waits for ever.
        **options: Of :class:`subprocess.Popen`.

    Returns:
        Its exit status; below 0 the number of the signal that ended it.
    """
    process = None
    options["env"] = {**(options.get("env") or os.environ), STARTER: str(os.getpid())}
    try:
        # What is raised while it is being started would leave it running, unknown to us.
        with _put_off():
            process = subprocess.Popen(command, **options)
        return process.wait()
    except BaseException:
        if process is not None:
            # Ctrl-C has reached it too, other signals have not; it ends in good order by itself.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
            process.kill()
            process.wait()
        raise


@contextlib.contextmanager
def _put_off() -> Iterator[None]:
    """Call the handlers of signals that come in between, and of the alarm, when it ends."""
    mine = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in _HANDLED if mine and hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    came: list[int] = []
    for number in before:
        # Another thread may take what this one does not let through.
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
