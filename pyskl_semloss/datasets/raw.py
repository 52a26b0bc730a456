"""Conversion of a raw data set, in several processes and resumable."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import ClipRules, read_clip
from pyskl_semloss.cpu.workers import DONE, FAILED, Notify, run_tasks
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.parts import Part, part_key, read_part, write_part
from pyskl_semloss.datasets.raw_format import RawFormat
from pyskl_semloss.datasets.sources import VideoFiles, find_videos
from pyskl_semloss.datasets.splits import SplitOptions, split_clips
from pyskl_semloss.datasets.summary import finish, refuse_changed_results
from pyskl_semloss.datasets.tables import joint_points, parse_table, read_text
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import acquire_lock
from pyskl_semloss.io.progress import ProgressCallback

MOST_CLIP_FRAMES = 1_000_000
"""Frames of the clips of one video (300 MB): each row of a label file may name all frames of the video."""


def convert_raw(
    raw: RawFormat,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    splits: SplitOptions | None = None,
    *,
    strict: bool = False,
    workers: int = 1,
    progress: ProgressCallback | None = None,
) -> dict[str, Any]:
    """Convert a raw data set to an annotation file with a summary.

    A video that was converted in an interrupted run is not read again unless its files changed: its clips lie in
    ``<out>.parts`` until ``out`` is written.

    Args:
        raw: The data set.
        source: Folder of the videos.
        out: The annotation file to write, ``.pkl``; ``.json`` and ``.md`` are written beside it.
        splits: How to make the splits.
        strict: Refuse what would be mended or dropped.
        workers: Number of processes.
        progress: Called with the number of videos done and the number of videos.

    Returns:
        The summary, as it is written to the JSON file, with ``"videos_reused"``.

    Raises:
        InputError: No clip remains, an argument is wrong, another process writes ``out``, or (strict) a defect; names
            file and row.
    """
    _check(out, workers)
    refuse_changed_results(out)
    findings = Findings(strict)
    videos = find_videos(source, raw, findings)
    with acquire_lock(out, "writes"):
        return _convert(raw, source, videos, out, splits or SplitOptions(), findings, workers, progress)


def _convert(
    raw: RawFormat,
    source: str | os.PathLike[str],
    videos: Sequence[VideoFiles],
    out: str | os.PathLike[str],
    splits: SplitOptions,
    findings: Findings,
    workers: int,
    progress: ProgressCallback | None,
) -> dict[str, Any]:
    strict = findings.strict
    folder = Path(f"{os.fspath(out)}.parts")
    data_set = hashlib.sha256(repr(raw).encode()).hexdigest()
    keys = {video.name: part_key(video, data_set, strict) for video in videos}
    parts = {video.name: folder / f"{video.name}.npz" for video in videos}
    todo = [video for video in videos if read_part(parts[video.name], keys[video.name], only_check=True) is None]
    tasks = [(raw, video, strict, str(parts[video.name]), keys[video.name]) for video in todo]
    report = progress or (lambda done, total: None)
    failed = _run(tasks, workers, lambda done: report(len(videos) - len(todo) + done, len(videos)))
    for each in failed.values():
        findings.merge(Findings.from_dict(each))
    clips: list[Clip] = []
    video_of: dict[str, str] = {}
    for video in videos:
        if video.name in failed:
            continue
        part = read_part(parts[video.name], keys[video.name])
        if part is None:
            raise InputError("it cannot be read back", file=parts[video.name], fix="Run the same command again.")
        clips.extend(part.clips)
        video_of.update({clip.frame_dir: video.name for clip in part.clips})
        findings.merge(part.findings)
    groups = {video.name: video.group for video in videos}
    clip_splits = split_clips(video_of, groups, splits, raw, findings)
    facts = {"data_set": raw.name, "source": os.fspath(source), "form": "raw", "num_classes": raw.num_classes}
    summary = finish(out, clips, clip_splits, findings, {**facts, "strict": strict, "videos_found": len(videos)})
    shutil.rmtree(folder, ignore_errors=True)
    return {**summary, "videos_reused": len(videos) - len(todo)}


def convert_video(raw: RawFormat, video: VideoFiles, findings: Findings) -> list[Clip]:
    """Convert the clips of one video.

    Raises:
        InputError: A file cannot be read, or the findings are strict and there is a defect; names file and row.
    """
    text, labels = read_text(video.skeletons), read_text(video.labels)
    table = parse_table(text, raw.columns, findings, file=video.skeletons, header=raw.skeleton_header)
    if not len(table):
        return []
    segments = parse_labels(labels, raw.classes, len(table), findings, file=video.labels, header=raw.label_header)
    frames = sum(segment.end + 1 - segment.start for segment in segments)
    if frames > MOST_CLIP_FRAMES:
        problem = f"its clips have {frames} frames in all, more than the {MOST_CLIP_FRAMES} of one video"
        raise InputError(problem, file=video.labels)
    points, scores = joint_points(table, raw)
    clips = []
    for segment in segments:
        entry = _entry(raw, f"{video.name}{raw.clip_separator}{segment.row}", segment, points, scores)
        clip = mended_clip(entry, findings, video.skeletons, f" (frames {segment.start} to {segment.end})")
        if clip is not None:
            clips.append(clip)
    return clips


def _entry(raw: RawFormat, name: str, segment: RawLabel, points: Any, scores: Any) -> dict[str, Any]:
    frames = slice(segment.start, segment.end + 1)
    return {
        "frame_dir": name,
        "label": segment.label,
        "img_shape": raw.img_shape,
        "original_shape": raw.img_shape,
        "total_frames": segment.end + 1 - segment.start,
        "keypoint": points[None, frames],
        "keypoint_score": scores[None, frames],
    }


def mended_clip(entry: dict[str, Any], findings: Findings, file: str, where: str = "") -> Clip | None:
    """Clip by the rules of annotation files, or None if dropped.

    Raises:
        InputError: The findings are strict, and something had to be mended or dropped.
    """
    report = ReadReport()
    name = entry["frame_dir"]
    try:
        clip = read_clip(entry, ClipRules(unknown_labels=True), report)
    except InputError as error:
        findings.add("clips_refused", f"{error.field}: {error.problem}{where}", file=file, clip=name)
        return None
    filled = clip.keypoint.any(axis=(0, 2, 3))
    report.add("zero_frames" if filled.any() else "zero_clips", name, int((~filled).sum()) if filled.any() else 1)
    report.add("one_frame_clips", name, int(clip.total_frames == 1))
    findings.add_report(report, file=file, clip=name, detail=where)
    return clip


def _convert_task(task: tuple[RawFormat, VideoFiles, bool, str, str]) -> dict[str, Any]:
    """Task of a worker process."""
    raw, video, strict, part, key = task
    findings = Findings(strict)
    try:
        clips = convert_video(raw, video, findings)
    except InputError as error:
        if strict:
            raise
        failed = Findings()
        failed.add("videos_unreadable", error.problem, file=error.file)
        return {"video": video.name, "failed": failed.to_dict()}
    write_part(part, key, Part(clips, findings))
    return {}


def _run(tasks: list[Any], workers: int, done: Callable[[int], None]) -> dict[str, dict[str, Any]]:
    """Convert the videos; returns the findings of those that could not be read, by video."""
    failed = {}
    done(0)
    results = map_tasks(_convert_task, tasks, workers, lambda task: str(task[1].skeletons))
    for number, result in enumerate(results, 1):
        if "failed" in result:
            failed[result["video"]] = result["failed"]
        done(number)
    return failed


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


def _check(out: str | os.PathLike[str], workers: int) -> None:
    if Path(out).suffix != ".pkl":
        raise InputError("expected a name that ends in .pkl", file=out, fix="The source comes first, then OUT.pkl.")
    if workers < 1:
        raise InputError(f"expected at least 1, got {workers}", field="workers")


@dataclass(frozen=True)
class RawLabel:
    """One row of a label file.

    Attributes:
        row: Number of the row in the sample id, counted from 0.
        line: Line of the file, counted from 1.
        label: Class, counted from 0.
        start: First frame, counted from 0.
        end: Last frame, inclusive.
    """

    row: int
    line: int
    label: int
    start: int
    end: int


def parse_labels(
    text: str,
    classes: Mapping[int, int],
    frames: int,
    findings: Findings,
    *,
    file: str | os.PathLike[str] = "",
    header: bool = False,
) -> list[RawLabel]:
    """Parse a label file; unusable rows are dropped, the others keep their numbers.

    Args:
        text: The file.
        classes: Gesture number to class.
        frames: Number of frames of the video.
        findings: Counts what is mended or dropped.
        file: The name for messages.
        header: Whether the format begins with a row of titles.

    Returns:
        The segments in the order of the file, all within the frames.

    Raises:
        InputError: The findings are strict, and a row has a defect; names file and row.
    """
    lines = text.rstrip().split("\n") if text.strip() else []
    first = 0
    if lines and lines[0].strip() and not any(_whole(cell) is not None for cell in lines[0].split(",")):
        if not header:
            findings.add("header_rows", "column titles, expected numbers", file=file, row=1)
        first = 1
    elif lines and header:
        findings.add("titles_missing", "numbers, expected column titles", file=file, row=1)
    if len(lines) == first:
        findings.add("label_files_empty", "the label file has no row", file=file)
    segments = []
    for number, line in enumerate(lines[first:]):
        segment = _parse_row(line, number, number + first + 1, classes, frames, findings, file)
        if segment is not None:
            segments.append(segment)
    return segments


def _parse_row(
    line: str,
    row: int,
    number: int,
    classes: Mapping[int, int],
    frames: int,
    findings: Findings,
    file: str | os.PathLike[str],
) -> RawLabel | None:
    cells = line.split(",")
    values = [_whole(cell) for cell in cells[:3]]
    if len(values) < 3 or None in values:
        problem = f"expected gesture,start,end, three whole numbers, got {line.strip()[:40]!r}"
        findings.add("label_rows_unreadable", problem, file=file, row=number)
        return None
    if len(cells) > 3:
        problem = f"expected three columns, got {len(cells)}"
        findings.add("label_rows_with_extra_columns", problem, file=file, row=number)
    gesture, start, end = (value for value in values if value is not None)
    if gesture not in classes:
        findings.add("labels_unknown", f"expected a gesture of {_span(classes)}, got {gesture}", file=file, row=number)
    elif end < start:
        findings.add("ends_before_starts", f"the end, {end}, is before the start, {start}", file=file, row=number)
    elif end < 0 or start >= frames:
        problem = f"frames {start} to {end}, but the file has the frames 0 to {frames - 1}"
        findings.add("frames_outside", problem, file=file, row=number)
    else:
        if start < 0 or end >= frames:
            problem = f"frames {start} to {end}, but the file has the frames 0 to {frames - 1}"
            findings.add("frames_clipped", problem, file=file, row=number)
        return RawLabel(row, number, classes[gesture], max(start, 0), min(end, frames - 1))
    return None


def _whole(cell: str) -> int | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _span(classes: Mapping[int, int]) -> str:
    numbers = sorted(classes)
    run = [number for at, number in enumerate(numbers) if number - at == numbers[0]]
    rest = [str(number) for number in numbers if number not in run]
    return " or ".join([f"{run[0]} to {run[-1]}", *rest])
