"""Pose estimation in many videos, parallel and resumable."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pyskl_semloss import __version__
from pyskl_semloss.cpu.workers import FAILED, PROGRESS, Event, Notify, run_tasks
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import acquire_lock, explain_write_errors, sha256
from pyskl_semloss.io.parts import read_part, write_part
from pyskl_semloss.io.reading import AnyPath, first_forbidden_character, read_json
from pyskl_semloss.io.results import is_replaceable, refuse_changed, result_file
from pyskl_semloss.recordings.recording import read_recording
from pyskl_semloss.recordings.visibility import visible_frames
from pyskl_semloss.skeletons import joint_map
from pyskl_semloss.video.estimate import (
    PART,
    WARM_UP,
    EstimationOptions,
    VideoPart,
    assemble,
    estimate_parts,
    expected_frames,
)
from pyskl_semloss.video.estimators import load_estimator
from pyskl_semloss.video.frames import import_cv2, open_video
from pyskl_semloss.video.overlay import write_overlay

_OF_THE_WHOLE = ("person", "max_persons", "pause")
"""Options that matter when the parts are joined."""


def result_key(path: AnyPath, options: EstimationOptions, without: Sequence[str] = ()) -> str:
    """Cache key of a result: file, its size and time, options, version.

    Args:
        path: The video.
        options: How it is estimated.
        without: Options that do not matter.
    """
    status = os.stat(path)
    fields = {name: value for name, value in asdict(options).items() if name not in without}
    stamp = [os.path.abspath(path), status.st_size, status.st_mtime_ns]
    text = json.dumps([__version__, PART, WARM_UP, *stamp, fields], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class PartFiles:
    """Folder ``NAME.parts`` with a file for each finished part.

    Args:
        folder: The folder.
        video: The video.
        options: How it is estimated; parts that were made otherwise do not count.
    """

    def __init__(self, folder: AnyPath, video: str, options: EstimationOptions) -> None:
        self.folder = Path(folder)
        # A part that is full does not depend on the end.
        self._full = result_key(video, options, (*_OF_THE_WHOLE, "end"))
        self._last = result_key(video, options, _OF_THE_WHOLE)

    def save(self, part: VideoPart) -> None:
        """Write a part, whole or not at all."""
        key = self._full if part.score.shape[1] == PART else self._last
        write_part(self._file(part.number), key, {"keypoint": part.keypoint, "score": part.score})

    def read(self, number: int) -> VideoPart | None:
        """Part, or None if absent, damaged, or of other options."""
        arrays = read_part(self._file(number), (self._full, self._last))
        return None if arrays is None else VideoPart(number, arrays["keypoint"], arrays["score"])

    def lengths(self) -> dict[int, int]:
        """Frames of each part that is there."""
        names = [file.stem for file in self.folder.glob("*.npz")] if self.folder.is_dir() else []
        parts = [self.read(int(name)) for name in names if name.isdigit()]
        return {part.number: part.score.shape[1] for part in parts if part is not None}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"


def are_complete(lengths: dict[int, int]) -> bool:
    """Test whether these parts, number to frames, are a whole video.

    The first part that is not full is the last.
    """
    short = [number for number, length in lengths.items() if length < PART]
    return bool(short) and all(number in lengths for number in range(min(short)))


FramesCallback = Callable[[int, int, int, int], None]
"""Frames done, frames in all, videos done, videos in all."""
_INTERVAL = 0.5
"""Seconds between two messages of a process on how far it is."""


@dataclass
class VideoResult:
    """Result of one video.

    Attributes:
        video: The file.
        status: ``"made"``, ``"kept"`` where it was there already, or ``"failed"``.
        recording: The file of the recording.
        overlay: The file of the overlay, if one was asked for.
        facts: What the file beside the recording says: ``frames``, ``seconds``, ``fps``, ``seen`` (frames with at
            least one point of a person), ``seen_by_part`` (of its body, hands and face), ``missing`` (joints that the
            estimator does not give), and more.
        problem: Why it failed.
    """

    video: str
    status: str = ""
    recording: str = ""
    overlay: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class _Task:
    step: str
    video: int
    path: str
    out: str
    options: EstimationOptions
    threads: int
    lane: int = 0
    lanes: int = 1


def estimate_files(
    videos: Sequence[AnyPath],
    out: AnyPath,
    options: EstimationOptions,
    *,
    workers: int = 1,
    overlay: bool = False,
    progress: FramesCallback | None = None,
) -> list[VideoResult]:
    """Estimate the poses in many videos.

    Each becomes ``NAME.npz``, a recording, and ``NAME.json`` with facts about it.
    What is there already, of the same file and options, is kept after a look at its checksum. Parts of a video are kept
    in ``NAME.parts`` until it is done, so that the same call goes on after an interruption, with the same result. Where
    there are fewer videos than processes, several work on one.

    Args:
        videos: The files.
        out: Folder of the results; it is made.
        options: How poses are estimated.
        workers: Number of processes.
        overlay: Whether to make ``NAME_overlay.mp4``, too.
        progress: Called now and then.

    Returns:
        Result of each video, in their order; one that fails does not stop the others.

    Raises:
        InputError: Two videos are of one name, an argument is wrong, or another process writes into the folder.
        HostError: A package is missing.
    """
    if workers < 1:
        raise InputError(f"expected at least 1, got {workers}", field="workers")
    outcomes = [VideoResult(os.fspath(path)) for path in videos]
    _check_names([outcome.video for outcome in outcomes])
    with explain_write_errors(out):
        os.makedirs(out, exist_ok=True)
    with acquire_lock(out, "writes into"):
        run = _BatchState(outcomes, Path(out), options, workers, overlay, progress)
        for event in run_tasks(_work, run.tasks, workers):
            run.handle(event)
    return outcomes


class _BatchState:
    """Progress of many videos, in the main process."""

    def __init__(
        self,
        outcomes: list[VideoResult],
        out: Path,
        options: EstimationOptions,
        workers: int,
        overlay: bool,
        progress: FramesCallback | None,
    ) -> None:
        self._outcomes, self._out, self._overlay = outcomes, out, overlay
        self._progress = progress or (lambda *numbers: None)
        self._expected, self._done, self._lanes_left = Counter[int](), Counter[Any](), Counter[int]()
        self.tasks: deque[_Task] = deque()
        pending = [at for at, outcome in enumerate(outcomes) if not self._is_current(outcome, options)]
        # One thread a process, unless the only process has the machine for itself.
        threads, self._lanes = int(workers > 1), max(1, workers // max(1, len(pending)))
        for at, outcome in enumerate(outcomes):
            step = "inspect" if at in pending else "overlay"
            if step == "inspect" or (overlay and not os.path.isfile(outcome.overlay)):
                self.tasks.append(_Task(step, at, outcome.video, os.fspath(out), options, threads))

    def _is_current(self, outcome: VideoResult, options: EstimationOptions) -> bool:
        """Test whether the recording of a video is current; note its file names."""
        name = _stem(outcome.video)
        outcome.recording = os.fspath(self._out / f"{name}.npz")
        outcome.overlay = os.fspath(self._out / f"{name}_overlay.mp4") if self._overlay else ""
        facts_file = self._out / f"{name}.json"
        with contextlib.suppress(InputError, OSError, AttributeError):
            facts = read_json(facts_file)
            key = result_key(outcome.video, options)
            if facts.get("key") == key and facts.get("sha256") == sha256(outcome.recording):
                outcome.status, outcome.facts = "kept", facts
                return True
        # An overlay of other keypoints is none.
        files = _files(self._out, outcome.video)
        if all(map(is_replaceable, files)):
            with contextlib.suppress(OSError):
                os.unlink(files[-1])
        return False

    def handle(self, event: Event) -> None:
        """Handle an event of a process and add the tasks that follow."""
        task, outcome = event.task, self._outcomes[event.task.video]
        if event.kind == FAILED:
            outcome.status = "failed"
            outcome.problem = str(event.value.located(file=outcome.video))
            self.tasks = self._without(task.video)
        elif event.kind == PROGRESS:
            self._done[task.video, task.lane] = event.value
        elif outcome.status != "failed":
            self._add_next(task, event.value, outcome)
        done = sum(outcome.status != "" for outcome in self._outcomes)
        failed = [at for at, outcome in enumerate(self._outcomes) if outcome.status == "failed"]
        frames_done = sum(count for (video, _), count in self._done.items() if video not in failed)
        expected = sum(count for video, count in self._expected.items() if video not in failed)
        self._progress(frames_done, max(frames_done, expected), done, len(self._outcomes))

    def _without(self, video: int) -> deque[_Task]:
        remaining = [task for task in self.tasks if task.video != video]
        self.tasks.clear()
        self.tasks.extend(remaining)
        return self.tasks

    def _add_next(self, task: _Task, value: Any, outcome: VideoResult) -> None:
        task_of = functools.partial(_Task, video=task.video, path=task.path, out=task.out, options=task.options)
        if task.step == "inspect":
            self._expected[task.video], self._lanes_left[task.video] = value, self._lanes
            for lane in range(self._lanes):
                self.tasks.append(task_of(step="estimate", threads=task.threads, lane=lane, lanes=self._lanes))
        elif task.step == "estimate":
            self._lanes_left[task.video] -= 1
            if not self._lanes_left[task.video]:
                self.tasks.appendleft(task_of(step="finish", threads=task.threads))
        elif task.step == "finish":
            outcome.facts = value
            if self._overlay:
                self.tasks.appendleft(task_of(step="overlay", threads=task.threads))
            else:
                outcome.status = "made"
        else:
            outcome.status = outcome.status or "made"


def _work(task: _Task, tell: Notify) -> Any:
    """Task of a worker process."""
    if task.threads:
        import_cv2().setNumThreads(task.threads)
    return {"inspect": _inspect, "estimate": _estimate, "finish": _finish, "overlay": _draw}[task.step](task, tell)


def _inspect(task: _Task, tell: Notify) -> int:
    """Number of frames still to be estimated."""
    refuse_changed(*_files(Path(task.out), task.path))
    video = open_video(task.path, task.options.fps)
    total, done = expected_frames(video, task.options), sum(_parts(task).lengths().values())
    return max(0, total - done)


_estimator = functools.lru_cache(load_estimator)


def _estimate(task: _Task, tell: Notify) -> None:
    parts = _parts(task)
    lengths = parts.lengths()
    if are_complete(lengths):
        return
    last_report = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last_report
        if time.monotonic() - last_report > _INTERVAL:
            last_report = time.monotonic()
            tell(done)

    def selected(number: int) -> bool:
        return number % task.lanes == task.lane and number not in lengths

    video, estimator = open_video(task.path, task.options.fps), _estimator(task.options.estimator, task.threads)
    for part in estimate_parts(video, task.options, estimator, selected, progress, task.threads):
        parts.save(part)


def _finish(task: _Task, tell: Notify) -> dict[str, Any]:
    """Join the parts to a recording, then delete them."""
    parts = _parts(task)
    lengths = parts.lengths()
    read = [parts.read(number) for number in sorted(lengths)]
    video = open_video(task.path, task.options.fps)
    if not are_complete(lengths) or None in read:
        raise InputError("a part of it is missing or was damaged meanwhile", file=task.path, fix="Run it again.")
    estimator = _estimator(task.options.estimator, task.threads)
    recording, facts = assemble(
        [part for part in read if part is not None], video, task.options, single=estimator.single
    )
    file = Path(task.out) / f"{recording.name}.npz"
    recording.save(file)
    record = {
        "key": result_key(task.path, task.options),
        "sha256": sha256(file),
        "video": task.path,
        "estimator": task.options.estimator,
        "layout": recording.layout.name,
        "missing": list(joint_map(estimator.layout, recording.layout).missing),
        "image_shape": list(recording.image_shape),
        "fps": recording.fps,
        "start": round(task.options.start * video.fps) / video.fps,
        "frames": recording.frames,
        "seconds": recording.seconds,
        "seen": int((recording.keypoint_score > 0).any((0, 2)).sum()),
        "seen_by_part": visible_frames(recording.keypoint_score, recording.layout),
        **facts,
    }
    # Last: where it is, the recording is whole.
    with result_file(file.with_suffix(".json"), "w", encoding="utf-8") as stream:
        json.dump(record, stream, indent=1)
    parts.remove()
    return record


def _draw(task: _Task, tell: Notify) -> None:
    name = _stem(task.path)
    recording = read_recording(Path(task.out) / f"{name}.npz")
    options = task.options
    video = open_video(task.path, options.fps)
    write_overlay(
        video, recording, Path(task.out) / f"{name}_overlay.mp4", start=options.start, stride=options.stride,
        threads=task.threads,
    )  # fmt: skip


def _parts(task: _Task) -> PartFiles:
    return PartFiles(Path(task.out) / f"{_stem(task.path)}.parts", task.path, task.options)


def _files(out: Path, video: str) -> list[Path]:
    """The files of a video: recording, facts, overlay."""
    return [out / f"{_stem(video)}{ending}" for ending in (".npz", ".json", "_overlay.mp4")]


def _stem(path: str) -> str:
    return Path(os.path.abspath(path)).stem


def _check_names(videos: list[str]) -> None:
    seen: dict[str, str] = {}
    for video in videos:
        name = _stem(video)
        if bad := first_forbidden_character(name):
            raise InputError(f"its name holds {bad}", file=video, fix="Rename it.")
        if name in seen:
            problem = f"its recording would have the name of that of {seen[name]}"
            raise InputError(problem, file=video, fix="Rename one, or name another --out for it.")
        seen[name] = video
