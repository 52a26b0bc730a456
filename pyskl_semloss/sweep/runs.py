"""Train and test the runs of a sweep, one after another, through the real tools; finished ones are skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.cpu.workers import exit_reason, run_program
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.metrics import all_metrics
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.io.files import INHERITED_LOCK, acquire_lock, sha256
from pyskl_semloss.io.records import read_record, write_record
from pyskl_semloss.sweep.plan import Run
from pyskl_semloss.sweep.settings import (
    DONE_FILE,
    SETTINGS_FILE,
    Describer,
    advice,
    check_comparable,
    check_folder,
    check_others,
)
from pyskl_semloss.sweep.table import best_so_far, write_results

LOG_FILE = "sweep.log"
SCORE_FILE = "test_scores.npz"


class RunError(RuntimeError):
    """A run failed; the message says where to look."""


@dataclass(frozen=True)
class Tools:
    """Commands that train and test, without arguments; those of this package by default."""

    train: Sequence[str] = (sys.executable, "-m", "pyskl_semloss", "train")
    test: Sequence[str] = (sys.executable, "-m", "pyskl_semloss", "test")


@dataclass(frozen=True)
class Reporting:
    """What is written and said after each run; by default what a sweep does.

    Attributes:
        write: Rebuilds the table in the folder of all runs.
        headline: The run's result in a few words, from its folder and its numbers.
        standing: The best so far, in words, from the folder of all runs.
    """

    write: Callable[[Path], object] = write_results
    headline: Callable[[Path, dict[str, float]], str] = lambda folder, numbers: f"Top-1 {100 * numbers['top1']:.2f}"
    standing: Callable[[Path], str] = best_so_far


def train_command(run: Run, describer: Describer, tools: Tools) -> list[str]:
    """Command line that trains a run, or goes on with it."""
    epochs = [] if describer.epochs is None else ["--epochs", str(describer.epochs)]
    folder = str(describer.out / run.name)
    return [*tools.train, str(run.config), "--work-dir", folder, "--seed", str(run.seed), *epochs,
            "--resume", *_options(run, describer)]  # fmt: skip


def test_command(run: Run, describer: Describer, tools: Tools, checkpoint: str) -> list[str]:
    """Command line that tests a run."""
    folder = describer.out / run.name
    return [*tools.test, str(run.config), checkpoint, "--work-dir", str(folder), "--out",
            str(folder / SCORE_FILE), *_options(run, describer)]  # fmt: skip


def check_runs(runs: Sequence[Run], describer: Describer) -> dict[Run, str]:
    """State of every run, as :func:`pyskl_semloss.sweep.settings.check_folder` names it; nothing is written.

    Raises:
        InputError: A config, a file, a folder of other settings, or runs that cannot be compared with each other.
    """
    states: dict[Run, str] = {}
    first: dict[str, Any] = {}
    for run in runs:
        settings = describer.describe(run)
        first = first or settings
        states[run] = check_folder(describer.out / run.name, settings)
        check_comparable(first, settings, describer.out / runs[0].name)
        check_others(describer.out, settings)
    return states


def run_all(
    runs: Sequence[Run],
    describer: Describer,
    tools: Tools,
    say: Callable[[str], None],
    reporting: Reporting | None = None,
) -> dict[Run, str]:
    """Run what is not finished; rebuild table and plot after each run.

    Args:
        runs: The runs, in this order.
        describer: Their settings.
        tools: The programs.
        say: Takes the lines of progress.
        reporting: What is written and said after each run.

    Returns:
        The runs that failed, or that another process works on, each with the reason.

    Raises:
        InputError: As :func:`check_runs`, before anything is run.
    """
    reporting = reporting or Reporting()
    states = check_runs(runs, describer)
    open_runs = [run for run in runs if states[run] != "finished"]
    say(f"{len(runs)} runs, {len(runs) - len(open_runs)} finished before, in {describer.out}")
    begin, problems, spent = time.monotonic(), {}, []
    for position, run in enumerate(runs, 1):
        if states[run] == "finished":
            continue
        folder, start = describer.out / run.name, time.monotonic()
        head = f"[{position}/{len(runs)}] {run.name}"
        say(f"{head}: {'going on' if states[run] == 'cut off' else 'started'}, log in {folder / LOG_FILE}")
        try:
            numbers = execute(run, describer, tools)
        except (RunError, InputError, OSError) as error:
            problems[run] = str(error)
            say(f"{head}: FAILED: {error}")
            continue
        now = time.monotonic()
        spent.append(now - start)
        left = sum(later in open_runs for later in runs[position:]) * sum(spent) / len(spent)
        reporting.write(describer.out)
        say(
            f"{head}: {reporting.headline(folder, numbers)} after {_clock(spent[-1])}; {_clock(now - begin)} so far, "
            f"about {_clock(left)} left; {reporting.standing(describer.out)}"
        )
    return problems


def execute(run: Run, describer: Describer, tools: Tools) -> dict[str, float]:
    """Train and test one run, and write ``done.json`` last.

    Returns:
        Its numbers, as fractions.

    Raises:
        RunError: Training or testing failed.
        InputError: The settings are refused, or another process works in the folder.
    """
    folder = describer.out / run.name
    folder.mkdir(parents=True, exist_ok=True)
    # Those that train and test get the lock, too: it outlives this process if they do.
    with acquire_lock(folder, "works in") as lock:
        settings = describer.describe(run)
        # Another shard may have finished it since the sweep began.
        if check_folder(folder, settings) == "finished":
            return dict((read_record(folder / DONE_FILE, advice(folder)) or {})["metrics"])
        describer.make_vectors(run)
        write_record(folder / SETTINGS_FILE, {**settings, "cfg_options": describer.options})
        start = time.monotonic()
        _call("training", train_command(run, describer, tools), folder, lock)
        checkpoint = _last_checkpoint(folder)
        _call("the test", test_command(run, describer, tools, checkpoint), folder, lock)
        scores = Scores.load(folder / SCORE_FILE)
        numbers = all_metrics(scores)
        if not numbers:
            raise RunError(f"no test clip has a label, so there is no accuracy; the scores are in {scores.source}")
        done: dict[str, Any] = {key: value for key, value in settings.items() if key != "config"}
        done |= {
            "metrics": numbers,
            "clips": int((scores.label >= 0).sum()),
            "checkpoint": os.path.basename(checkpoint),
            "score_file": SCORE_FILE,
            "score_sha256": sha256(folder / SCORE_FILE),
            "seconds": round(time.monotonic() - start, 1),
        }
        write_record(folder / DONE_FILE, done)
    return numbers


def _options(run: Run, describer: Describer) -> list[str]:
    options = describer.all_options(run)
    return ["--cfg-options", *options] if options else []


def _call(step: str, command: Sequence[str], folder: Path, lock: int) -> None:
    log = folder / LOG_FILE
    with open(log, "ab") as stream:
        stream.write(f"\n$ {' '.join(command)}\n".encode())
        stream.flush()
        status = run_program(
            command, 30, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
            pass_fds=[lock] * (lock >= 0), env={**os.environ, INHERITED_LOCK: str(lock)},
        )  # fmt: skip
    if status:
        raise RunError(f"{step} ended {exit_reason(status)}: {_last_line(log)} (all of it in {log})")


def _last_line(log: Path) -> str:
    with open(log, "rb") as stream:
        stream.seek(max(0, os.path.getsize(log) - 4000))
        lines = stream.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _last_checkpoint(folder: Path) -> str:
    pointer = folder / "last_checkpoint"
    if not pointer.is_file():
        raise RunError(f"training left no checkpoint in {folder}")
    # Only the name counts: a sweep's folder may have been moved since.
    path = folder / Path(pointer.read_text(encoding="utf-8").strip()).name
    if not path.is_file():
        raise RunError(f"training left no checkpoint {path}")
    return str(path)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 3:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
