"""Worker process of the app; the server survives its death."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from pyskl_semloss.cpu import workers
from pyskl_semloss.errors import InputError

StageCallback = Callable[[str, float], None]
"""Takes the name of a stage and its progress, 0 to 1."""
Task = Callable[[Any, StageCallback], Any]

_PREPARE = "prepare"
_WORK = "work"


class AsyncWorker:
    """Process that works on one task at a time; replaced when it dies.

    Args:
        make: Makes, in that process, the function of a task; it must be importable there, as all that it holds.

    Attributes:
        prepared: Whether the function was made at least once.
    """

    def __init__(self, make: Callable[[], Task]) -> None:
        self._make = make
        self.prepared = False
        self._free = asyncio.Lock()
        self._worker: workers.Worker | None = None

    async def prepare(self) -> None:
        """Load the function before the first task.

        Raises:
            InputError: It cannot be made.
        """
        await self._ask((_PREPARE, None), lambda stage, share: None)

    async def run(self, task: Any, progress: StageCallback) -> Any:
        """Run a task after those before it.

        Cancelling ends the process that runs the task.

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
            worker = self._started()
            try:
                worker.pipe.send(question)
                while True:
                    kind, value = await asyncio.to_thread(worker.pipe.recv)
                    if kind == workers.DONE:
                        self.prepared = True
                        return value
                    if kind == workers.FAILED:
                        raise value
                    if kind == workers.IMPOSSIBLE:
                        raise InputError(value)
                    progress(*value)
            except asyncio.CancelledError:
                # A thread still waits at the pipe; it ends with the process.
                self._worker = None
                worker.process.kill()
                await asyncio.to_thread(worker.process.join)
                raise
            except (EOFError, OSError):
                problem = f"the process that worked on it was ended {self._end(worker)}"
                raise InputError(problem, fix=_DEATH) from None

    def stop(self) -> None:
        """End the process; a task that it is working on fails."""
        if self._worker is not None and self._worker.process.is_alive():
            self._worker.process.kill()
            self._worker.process.join()

    def _started(self) -> workers.Worker:
        if self._worker is not None and not self._worker.process.is_alive():
            self._end(self._worker)
        if self._worker is None:
            self._worker = workers.Worker(_Lazy(self._make))
        return self._worker

    def _end(self, worker: workers.Worker) -> str:
        """Clean up after a process; return how it ended."""
        self._worker = None
        worker.pipe.close()
        worker.process.join(5)
        return workers.exit_reason(worker.process.exitcode)


_DEATH = "Try it again, with a shorter recording if the memory is short; the other files are not concerned."


class _Lazy:
    """Function of the process, loaded for its first task."""

    def __init__(self, make: Callable[[], Task]) -> None:
        self._make = make
        self._work: Task | None = None

    def __call__(self, question: tuple[str, Any], tell: workers.Notify) -> Any:
        kind, task = question
        try:
            if self._work is None:
                tell(("loading the models", 0.0))
                self._work = self._make()
            return self._work(task, lambda *stage: tell(stage)) if kind == _WORK else None
        except InputError as error:
            # The folder is one of the server's.
            name = None if error.file is None else os.path.basename(os.fspath(error.file))
            raise error.replace(file=name, clip=None if error.clip is None else str(error.clip)) from None
