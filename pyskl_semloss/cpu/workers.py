"""Worker processes with progress reports, and child programs that end with us."""

from __future__ import annotations

import contextlib
import functools
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

from pyskl_semloss.errors import HostError, InputError, reason

Notify = Callable[[Any], None]
Work = Callable[[Any, Notify], Any]
# Windows has no SIGHUP, and no signals that are blocked.
_TERMINAL_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
_DEFERRED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
_TERMINATED = 128 + signal.SIGTERM
_TIMEOUT = 5.0
"""Seconds that a process has to end by itself."""
_PATIENCE_OF_STEP = 60.0
STARTER = "PYSKL_SEMLOSS_STARTER"
"""In the environment of a step of another program: the number of the process that started it."""
PROGRESS, DONE, FAILED, IMPOSSIBLE = "progress", "done", "failed", "impossible"


@dataclass(frozen=True)
class Event:
    """Event of a task in a worker process.

    Attributes:
        task: The task.
        kind: ``"progress"``, ``"done"`` or ``"failed"``.
        value: Value of the progress; result; :class:`InputError`.
    """

    task: Any
    kind: str
    value: Any


class Worker:
    """Process that receives tasks from a pipe and sends events.

    Args:
        work: Importable function of a task and of a callback for progress.

    Attributes:
        pipe: Our end of the pipe.
        task: Current task, set by the owner.
        process: The process.
    """

    def __init__(self, work: Work) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.task: Any = None
        self.process = context.Process(target=_serve, args=(work, other), daemon=True)
        try:
            with _block_signals():
                self.process.start()
        finally:
            other.close()


@contextlib.contextmanager
def _block_signals() -> Iterator[None]:
    """Defer signals while a process is started, here and in the new process."""
    if hasattr(signal, "pthread_sigmask"):
        from multiprocessing import resource_tracker

        # Its start unblocks signals, so it must precede.
        resource_tracker.ensure_running()
    with _defer_signals():
        # The new process inherits the mask, until it has its own handlers.
        before = _mask("SIG_BLOCK", (*_TERMINAL_SIGNALS, signal.SIGTERM))
        try:
            yield
        finally:
            _mask("SIG_SETMASK", before)


def _mask(how: str, signals: Iterable[int]) -> Iterable[int]:
    """Change the signal mask; return the previous one."""
    if not hasattr(signal, "pthread_sigmask"):
        return ()
    return signal.pthread_sigmask(getattr(signal, how), signals)


def _end(workers: list[Worker]) -> None:
    """Terminate workers, and kill them after the timeout."""
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    end = time.monotonic() + _TIMEOUT
    for worker in workers:
        worker.process.join(max(0, end - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def run_tasks(work: Work, tasks: deque[Any], num_workers: int) -> Iterator[Event]:
    """Run tasks in worker processes; tasks can be added meanwhile.

    If a process dies, its task has failed; the others continue.

    Args:
        work: Importable function of a task and of a callback for progress.
        tasks: Queue of tasks, taken from the left.
        num_workers: Number of processes.

    Yields:
        Events as they occur.

    Raises:
        HostError: This machine cannot run such tasks.
    """
    workers: list[Worker] = []
    try:
        while tasks or any(worker.task is not None for worker in workers):
            idle = [worker for worker in workers if worker.task is None]
            while tasks and (idle or len(workers) < num_workers):
                if not idle:
                    workers.append(Worker(work))
                    idle.append(workers[-1])
                worker = idle.pop()
                worker.task = tasks.popleft()
                with contextlib.suppress(OSError):  # a dead worker is noticed below
                    worker.pipe.send(worker.task)
            busy = [worker for worker in workers if worker.task is not None]
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    yield _receive(worker, workers)
    finally:
        _end(workers)


def _receive(worker: Worker, workers: list[Worker]) -> Event:
    task = worker.task
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, OSError):
        workers.remove(worker)
        worker.process.join(_TIMEOUT)
        fix = "Linux kills a process when memory is short (dmesg tells): take fewer workers."
        problem = f"the process that had it in hand was ended {exit_reason(worker.process.exitcode)}"
        return Event(task, FAILED, InputError(problem, fix=fix))
    if kind == IMPOSSIBLE:
        raise HostError(value)
    if kind != PROGRESS:
        worker.task = None
    return Event(task, kind, value)


def map_tasks(
    work: Callable[[Any], Any], tasks: Sequence[Any], workers: int, file_of: Callable[[Any], str]
) -> Iterator[Any]:
    """Results of tasks from several processes, in order of completion.

    Args:
        work: What is done; importable by its name.
        tasks: What it is done to.
        workers: Number of processes.
        file_of: The file that a task is about, for messages.

    Raises:
        InputError: That of the first task that fails, or whose process was ended from outside.
    """
    if min(workers, len(tasks)) < 2:
        yield from map(work, tasks)
        return
    waiting, failure = deque(tasks), None
    for event in run_tasks(functools.partial(_apply, work), waiting, min(workers, len(tasks))):
        if event.kind == DONE:
            yield event.value
        elif event.kind == FAILED:
            failure = failure or event.value.located(file=file_of(event.task))
            # What the others have in hand is finished: the next run need not do it again.
            waiting.clear()
    if failure is not None:
        raise failure


def _apply(work: Callable[[Any], Any], task: Any, tell: Notify) -> Any:
    return work(task)


def exit_reason(status: int | None) -> str:
    """Text for an exit code.

    Example:
        >>> exit_reason(-9), exit_reason(3)
        ('by SIGKILL', 'with status 3')
    """
    if status is not None and status - 128 in (*_TERMINAL_SIGNALS, signal.SIGTERM):
        # So our own programs end.
        return f"by {signal.Signals(status - 128).name}"
    return f"by {signal.Signals(-status).name}" if status and status < 0 else f"with status {status}"


def _serve(work: Work, pipe: Connection) -> None:
    """Main function of a worker, until its pipe is closed or its owner has ended."""
    # Ctrl-C and a closed terminal signal the whole process group; the owner ends its workers.
    for number in _TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # So that temporary files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    _mask("SIG_UNBLOCK", (*_TERMINAL_SIGNALS, signal.SIGTERM))
    if (parent := parent_process()) is not None:
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    # C libraries write messages about corrupt videos to stderr; Python's stderr stays.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_result(work, pipe.recv(), lambda value: pipe.send((PROGRESS, value))))


def _result(work: Work, task: Any, notify: Notify) -> tuple[str, Any]:
    """Kind and value of a task's last event."""
    try:
        return DONE, work(task, notify)
    except InputError as error:
        return FAILED, error
    except HostError as error:
        return IMPOSSIBLE, str(error)
    except BrokenPipeError:
        raise
    except Exception as error:
        return FAILED, InputError(f"it failed ({type(error).__name__}: {reason(error)})")


def _end_with_parent(parent: Any) -> None:
    """End this process when its parent has ended, even by SIGKILL."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_TIMEOUT)
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


def run_program(command: Sequence[str], timeout: float | None = None, **options: Any) -> int:
    """Run a program; an exception here, such as from a signal, first ends it.

    The program knows by ``STARTER`` in its environment that it is a step of this one, see :func:`end_with_starter`.

    Args:
        command: Command line.
        timeout: Seconds between SIGTERM and SIGKILL; None waits without limit.
        **options: Of :class:`subprocess.Popen`.

    Returns:
        Exit status; a negative one is the number of the signal that ended the program.
    """
    process = None
    options["env"] = {**(options.get("env") or os.environ), STARTER: str(os.getpid())}
    try:
        # An exception while the program is started would leave it running without a handle.
        with _defer_signals():
            process = subprocess.Popen(command, **options)
        return process.wait()
    except BaseException:
        if process is not None:
            # Ctrl-C has reached the program, too; other signals have not.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout)
            process.kill()
            process.wait()
        raise


@contextlib.contextmanager
def _defer_signals() -> Iterator[None]:
    """Defer the handlers of signals, also of SIGALRM, to the end of the block."""
    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in _DEFERRED_SIGNALS if main and hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    received: list[int] = []
    for number in handlers:
        # Not blocked: another thread would receive a blocked signal.
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in received:
            signal.raise_signal(number)
