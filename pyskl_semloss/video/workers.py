"""Processes that work through tasks, tell how far they are, and may die without taking the others with them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.reading import reason

Tell = Callable[[Any], None]
Work = Callable[[Any, Tell], Any]
_TOLD, _DONE, _FAILED, _IMPOSSIBLE = "told", "done", "failed", "impossible"


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


class _Worker:
    """A process with its end of a pipe and the task that it has."""

    def __init__(self, work: Work) -> None:
        context = get_context("spawn")
        self.pipe, other = context.Pipe()
        self.task: Any = None
        self.process = context.Process(target=_serve, args=(work, other), daemon=True)
        self.process.start()
        other.close()

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()


def work_through(work: Work, tasks: deque[Any], workers: int) -> Iterator[Event]:
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
    crew: list[_Worker] = []
    try:
        while tasks or any(worker.task is not None for worker in crew):
            idle = [worker for worker in crew if worker.task is None]
            while tasks and (idle or len(crew) < workers):
                if not idle:
                    crew.append(_Worker(work))
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
        for worker in crew:
            worker.end()


def _heard(worker: _Worker, crew: list[_Worker]) -> Event:
    task = worker.task
    try:
        kind, value = worker.pipe.recv()
    except (EOFError, OSError):
        crew.remove(worker)
        worker.process.join(5)
        status = worker.process.exitcode
        how = f"by {signal.Signals(-status).name}" if status and status < 0 else f"with status {status}"
        fix = "Linux kills a process when memory is short (dmesg tells): take fewer workers."
        return Event(task, _FAILED, InputError(f"the process that had it in hand was ended {how}", fix=fix))
    if kind == _IMPOSSIBLE:
        raise HostError(value)
    if kind != _TOLD:
        worker.task = None
    return Event(task, kind, InputError(**value) if kind == _FAILED else value)


def _serve(work: Work, pipe: Connection) -> None:
    """Life of a process: until the other end of the pipe is closed, or its owner is gone."""
    # Ctrl-C reaches the whole group of processes; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries in C write to stderr what they think of a damaged video; Python's stderr stays.
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_result(work, pipe.recv(), lambda value: pipe.send((_TOLD, value))))


def _result(work: Work, task: Any, tell: Tell) -> tuple[str, Any]:
    """Kind and value; errors as plain data, because their pickles would lose what they say."""
    try:
        return _DONE, work(task, tell)
    except InputError as error:
        told = dict(problem=error.problem, file=error.file, clip=error.clip, field=error.field, fix=error.fix)
        return _FAILED, told
    except HostError as error:
        return _IMPOSSIBLE, str(error)
    except (BrokenPipeError, EOFError):
        raise
    except Exception as error:
        return _FAILED, dict(problem=f"it failed ({type(error).__name__}: {reason(error)})")
