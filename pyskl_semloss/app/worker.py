"""One process that works on one file after another: whatever happens to it, the page lives on."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from pyskl_semloss.cpu.workers import end_with_parent
from pyskl_semloss.errors import InputError

StageCallback = Callable[[str, float], None]
"""Takes what is being done, and the share of it that is done, 0 to 1."""
Task = Callable[[Any, StageCallback], Any]

_PREPARE = "prepare"
_WORK = "work"


class Worker:
    """A process that is started for the first task and kept for the next; one that dies is replaced.

    Args:
        make: Makes, in that process, the function of a task; it must be importable there, as all that it holds.

    Attributes:
        prepared: Whether the function was made at least once.
    """

    def __init__(self, make: Callable[[], Task]) -> None:
        self._make = make
        self.prepared = False
        self._free = asyncio.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None

    async def prepare(self) -> None:
        """Make the function of a task before there is one.

        Raises:
            InputError: It cannot be made.
        """
        await self._ask((_PREPARE, None), lambda stage, share: None)

    async def run(self, task: Any, progress: StageCallback) -> Any:
        """Work on a task, after those before it; the process that has it in hand is ended when this is cancelled.

        Args:
            task: What the function takes.
            progress: Called here, with what the function reports there.

        Returns:
            What the function returns.

        Raises:
            InputError: The function raised it, or anything else, or the process died.
        """
        return await self._ask((_WORK, task), progress)

    async def _ask(self, question: tuple[str, Any], progress: StageCallback) -> Any:
        async with self._free:
            pipe = self._started()
            try:
                pipe.send(question)
                while True:
                    kind, value = await asyncio.to_thread(pipe.recv)
                    if kind == "done":
                        self.prepared = True
                        return value
                    if kind == "failed":
                        raise value
                    progress(*value)
            except asyncio.CancelledError:
                # A thread still waits at the pipe; it ends with the process.
                self._pipe = None
                self._process.kill()
                await asyncio.to_thread(self._process.join)
                raise
            except (EOFError, OSError):
                raise InputError(f"the process that worked on it {self._end()}", fix=_DEATH) from None

    def stop(self) -> None:
        """End the process; a task that it is working on fails."""
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _started(self) -> Connection:
        if self._pipe is None or not self._process.is_alive():
            self._end()
            # Not forked: the server's threads may hold locks.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._make), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe

    def _end(self) -> str:
        """Clean up after a process, and say how it ended."""
        if self._pipe is None:
            return "is not there"
        self._pipe.close()
        self._process.join(5)
        code = self._process.exitcode
        self._pipe = None
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with status {code}"


_DEATH = "Try it again, with a shorter recording if the memory is short; the other files are not concerned."


def _serve(pipe: Connection, make: Callable[[], Task]) -> None:
    # Ctrl-C in a terminal goes to all processes; the server ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()

    def report(stage: str, share: float) -> None:
        pipe.send(("progress", (stage, share)))

    work: Task | None = None
    while True:
        try:
            kind, task = pipe.recv()
        except EOFError:
            return
        try:
            if work is None:
                report("loading the models", 0.0)
                work = make()
            answer = ("done", work(task, report) if kind == _WORK else None)
        except InputError as error:
            # The folder is one of the server's.
            name = None if error.file is None else os.path.basename(os.fspath(error.file))
            answer = ("failed", error.replaced(file=name))
        except Exception as error:
            answer = ("failed", InputError(f"it failed ({type(error).__name__}: {error})"[:500]))
        pipe.send(answer)
