"""Sides in processes of their own that take turns, one working at a time, and what their times say together."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np
from sides import Setup

from pyskl_semloss.errors import InputError

Times = dict[str, list[float]]


class Child:
    """A side in a process of its own, since the allocator and numpy's names belong to a whole process.

    Args:
        setup: The side.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        context = get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(setup, end))
        self._process.start()
        end.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer of :class:`measures.Measures` to a command.

        Raises:
            InputError: The side found something wrong with the user's input.
            RuntimeError: The command failed there, or the process ended.
        """
        try:
            self._pipe.send((command, arguments))
            state, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            ended = f"the process of side {self.setup.side!r} ended with status {self._process.exitcode} in {command}"
            raise RuntimeError(f"{ended} (-9: killed, most often for want of memory)") from None
        if state == "input":
            raise InputError(answer)
        if state == "error":
            raise RuntimeError(f"side {self.setup.side!r}, {command}:\n{answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.terminate()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _serve(setup: Setup, pipe: Connection) -> None:
    """Answer commands until the other end is closed."""
    from measures import Measures

    side = None
    while True:
        try:
            command, arguments = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            side = side or Measures(setup)
            answer = ("done", getattr(side, command)(**arguments))
        except InputError as error:
            answer = ("input", str(error).rstrip("."))
        except Exception:
            answer = ("error", traceback.format_exc())
        pipe.send(answer)


def take_turns(
    children: Mapping[str, Child],
    command: str,
    rounds: int,
    arguments: Mapping[str, Any],
    warm_up: Mapping[str, Any],
) -> Times:
    """Let each side do the same in turn, A B C A B C, one at a time; a first round is thrown away.

    Args:
        children: The sides.
        command: What each does.
        rounds: Turns of each side.
        arguments: Of the command.
        warm_up: What differs in the first round.

    Returns:
        For each side the answers of the rounds.
    """
    for child in children.values():
        child.ask(command, **{**arguments, **warm_up})
    times: Times = {side: [] for side in children}
    for _ in range(rounds):
        for side, child in children.items():
            times[side].append(float(child.ask(command, **arguments)))
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, and the 10 % and 90 % points."""
    low, median, high = np.percentile(np.asarray(values, dtype=float), [10, 50, 90])
    return {"median": float(median), "p10": float(low), "p90": float(high)}


def compare(times: Times, base: str = "host") -> dict[str, Any]:
    """Spread of each side's times and, for each other side, of the quotient base / side of neighbouring turns."""
    result: dict[str, Any] = {
        "times": times,
        "spread": {side: spread(values) for side, values in times.items()},
        "ratios": {},
    }
    if base in times:
        for side in times:
            if side != base:
                quotients = np.asarray(times[base]) / np.asarray(times[side])
                result["ratios"][side] = {**spread(quotients.tolist()), "turns": quotients.tolist()}
    return result
