"""Stages of a recipe: resumable commands, skipped while their inputs stay the same."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cpu.workers import run_program
from pyskl_semloss.io.files import atomic_write, sha256

# What libraries say to programmers; our own warnings are shown.
_QUIET = {"PYTHONWARNINGS": "ignore::DeprecationWarning,ignore::FutureWarning"}
_PATIENCE = 60.0
"""Seconds that a stage has to end by itself when it is stopped."""


@dataclass(frozen=True)
class Stage:
    """A command with its inputs and its result.

    Args:
        name: File name of its mark, which holds the state in which it ran.
        title: Heading on the screen.
        command: The command line.
        makes: The file that it writes; empty: a check, which runs every time.
        needs: Input files and folders; it runs again when their content changes.
        key: Further text; it runs again when that changes.
        marks: Folder of its mark.
        environment: Variables that the command gets.
        log: File that its output is written to.
        training: Whether an interrupted run is continued.
    """

    name: str
    title: str
    command: list[str]
    makes: str = ""
    needs: Sequence[str] = ()
    key: str = ""
    marks: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    log: str = ""
    training: bool = False


def shown(stage: Stage) -> str:
    """Command of a stage as it can be typed; ``"$(...)"`` is left to the shell."""
    words = [word if word.startswith('"$(') else shlex.quote(word) for word in stage.command]
    variables = [f"{name}={value}" for name, value in stage.environment.items()]
    return " ".join([*(["env", *variables] if variables else []), *words])


class Runner:
    """Runner of stages that skips those finished before in the same state.

    The state is the key and the SHA-256 of all inputs. A mark ``NAME.done`` holds the state of a finished run,
    ``NAME.started`` that of an interrupted run. Dates do not count.

    Args:
        source_files: Patterns of the file names that count in a folder.
        lock: A descriptor that the commands inherit, so that they hold the lock, too.
        stages: Number of stages, for the screen.
    """

    def __init__(self, source_files: Sequence[str], lock: int, stages: int) -> None:
        self.number, self.title = 0, ""
        self._source_files, self._lock, self._stages = source_files, lock, stages
        self._begin, self._stamp = time.monotonic(), time.strftime("%Y%m%d-%H%M%S")
        self._hashes: dict[str, str] = {}

    @property
    def elapsed(self) -> str:
        """Time since the runner was built, as text."""
        seconds = int(time.monotonic() - self._begin)
        return f"{seconds // 3600} h {seconds // 60 % 60} min {seconds % 60} s"

    def run(self, stage: Stage) -> None:
        """Run a stage unless it was finished before.

        Raises:
            SystemExit: The command failed; its status is kept.
        """
        self.title = stage.title
        if not stage.makes:
            self._call(stage)
            return
        self.number += 1
        head = f"\n== Stage {self.number}/{self._stages}: {stage.title}"
        done, started = (Path(stage.marks, f"{stage.name}.{ending}") for ending in ("done", "started"))
        state = "\n".join([stage.key, *(f"{self._hash(path)} {path}" for path in stage.needs)])
        if os.path.exists(stage.makes) and _holds(done, state):
            print(f"{head}: finished before, skipped", flush=True)
            return
        print(f"{head} ({self.elapsed})", flush=True)
        done.unlink(missing_ok=True)
        if not (stage.training and _holds(started, state)):
            started.unlink(missing_ok=True)
            if stage.training:
                self._keep_aside(os.path.dirname(stage.makes))
            started.parent.mkdir(parents=True, exist_ok=True)
            started.write_text(f"{state}\n", encoding="utf-8", errors="surrogateescape")
        else:
            _mend_last_checkpoint(os.path.dirname(stage.makes))
        self._hashes.clear()
        say(shown(stage))
        if stage.log:
            with atomic_write(stage.log) as stream:
                self._call(stage, stream)
        else:
            self._call(stage)
        if not os.path.exists(stage.makes):
            say(f"error: it ended, but there is no {stage.makes}", error=True)
            raise SystemExit(1)
        started.replace(done)

    def _call(self, stage: Stage, output: Any = None) -> None:
        environment = {**os.environ, **_QUIET, **stage.environment}
        status = run_program(stage.command, _PATIENCE, stdout=output, pass_fds=[self._lock], env=environment)
        if status:
            raise SystemExit(status if status > 0 else 128 - status)

    def _hash(self, path: str) -> str:
        """SHA-256 of a file, or of all files that count in a folder, cached between two commands."""
        if path not in self._hashes:
            if os.path.isdir(path):
                names = sorted(os.path.relpath(name, path) for name in files_below(path, self._source_files))
                listing = "".join(f"{sha256(os.path.join(path, name))}  ./{name}\n" for name in names)
                self._hashes[path] = hashlib.sha256(os.fsencode(listing)).hexdigest()
            else:
                self._hashes[path] = sha256(path) if os.path.exists(path) else "absent"
        return self._hashes[path]

    def _keep_aside(self, folder: str) -> None:
        """Rename the folder of a training that began under other conditions."""
        if os.path.isdir(folder):
            names = (f"{folder}.before-{self._stamp}{ending}" for ending in ("", *(f"-{n}" for n in range(2, 1000))))
            kept = next(name for name in names if not os.path.exists(name))
            say(f"{folder} was made with other settings or from other data: it is kept as {kept}.")
            os.rename(folder, kept)


def _holds(mark: Path, state: str) -> bool:
    """Whether a mark holds this state."""
    return mark.is_file() and mark.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n") == state


def _mend_last_checkpoint(folder: str) -> None:
    """Repair ``last_checkpoint``, which a kill may have left empty or naming an absent file."""
    last = Path(folder, "last_checkpoint")
    if last.is_file() and not os.path.isfile(last.read_text().strip()):
        if checkpoint := newest(folder, "epoch_*.pth"):
            last.write_text(f"{checkpoint}\n")
        else:
            last.unlink()


def newest(folder: str, pattern: str) -> str | None:
    """Newest file of a folder that matches a pattern."""
    return max(map(str, Path(folder).glob(pattern)), key=os.path.getmtime, default=None)


def files_below(folder: str, patterns: Sequence[str], depth: int | None = None) -> Iterator[str]:
    """Files below a folder that match a pattern; links to a folder above are not followed."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = os.path.realpath(parent)
        level = os.path.relpath(parent, folder).count(os.sep) + (parent != folder)
        if depth is not None and level + 1 >= depth:
            folders.clear()
        folders[:] = [
            name for name in folders if not f"{here}/".startswith(f"{os.path.realpath(os.path.join(parent, name))}/")
        ]
        paths = (os.path.join(parent, name) for name in names if any(fnmatch(name, each) for each in patterns))
        yield from (path for path in paths if os.path.isfile(path))
