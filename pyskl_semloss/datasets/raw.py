"""Conversion of a raw data set, in several processes and resumable."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss import __version__
from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import ClipRules, read_clip
from pyskl_semloss.cpu.workers import map_tasks
from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.raw_format import RawFormat
from pyskl_semloss.datasets.sources import VideoFiles, find_videos
from pyskl_semloss.datasets.splits import SplitOptions, split_clips
from pyskl_semloss.datasets.summary import finish, lock_target
from pyskl_semloss.datasets.tables import joint_points, parse_labels, parse_table, read_text
from pyskl_semloss.errors import InputError
from pyskl_semloss.io import parts
from pyskl_semloss.io.progress import ProgressCallback
from pyskl_semloss.io.reading import AnyPath

MOST_CLIP_FRAMES = 1_000_000
"""Frames of the clips of one video (300 MB): each row of a label file may name all frames of the video."""


def convert_raw(
    raw: RawFormat,
    source: AnyPath,
    out: AnyPath,
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
    if workers < 1:
        raise InputError(f"expected at least 1, got {workers}", field="workers")
    findings, report, folder = Findings(strict), progress or (lambda done, total: None), Path(f"{os.fspath(out)}.parts")
    videos = find_videos(source, raw, findings)
    keys = {video: _part_key(raw, video, strict) for video in videos}
    with lock_target(out):
        done = {video: read_part(folder / f"{video.name}.npz", keys[video]) for video in videos}
        todo = [video for video in videos if done[video] is None]
        tasks = [(raw, video, strict, folder / f"{video.name}.npz", keys[video]) for video in todo]
        reused = len(videos) - len(todo)
        report(reused, len(videos))
        results = map_tasks(_convert_task, tasks, workers, lambda task: task[1].skeletons)
        failed = set()
        for number, (name, defects) in enumerate(results, reused + 1):
            if defects is not None:
                failed.add(name)
                findings.merge(Findings.from_dict(defects))
            report(number, len(videos))
        clips: list[Clip] = []
        video_of: dict[str, str] = {}
        for video in videos:
            if video.name in failed:
                continue
            part = done[video] or read_part(folder / f"{video.name}.npz", keys[video])
            if part is None:
                raise InputError(
                    "it cannot be read back", file=folder / f"{video.name}.npz", fix="Run the same command again."
                )
            clips.extend(part[0])
            video_of.update({clip.frame_dir: video.name for clip in part[0]})
            findings.merge(part[1])
        groups = {video.name: video.group for video in videos}
        clip_splits = split_clips(video_of, groups, splits or SplitOptions(), raw, findings)
        facts = {"data_set": raw.name, "source": os.fspath(source), "form": "raw", "num_classes": raw.num_classes}
        summary = finish(out, clips, clip_splits, findings, {**facts, "strict": strict, "videos_found": len(videos)})
        shutil.rmtree(folder, ignore_errors=True)
    return {**summary, "videos_reused": reused}


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
        name, rows = f"{video.name}{raw.clip_separator}{segment.row}", slice(segment.start, segment.end + 1)
        entry = clip_entry(raw, name, segment.label, points[None, rows], scores[None, rows])
        clip = mended_clip(entry, findings, video.skeletons, f" (frames {segment.start} to {segment.end})")
        if clip is not None:
            clips.append(clip)
    return clips


def clip_entry(raw: RawFormat, name: str, label: int, keypoint: Any, score: Any) -> dict[str, Any]:
    """Entry of an annotation file from keypoints (1, T, V, 2) and scores (1, T, V)."""
    return {
        "frame_dir": name,
        "label": label,
        "img_shape": raw.img_shape,
        "original_shape": raw.img_shape,
        "total_frames": keypoint.shape[1],
        "keypoint": keypoint,
        "keypoint_score": score,
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


def _convert_task(task: tuple[RawFormat, VideoFiles, bool, Path, str]) -> tuple[str, dict[str, Any] | None]:
    """Task of a worker process: name of the video, and findings if it cannot be read."""
    raw, video, strict, path, key = task
    findings = Findings(strict)
    try:
        clips = convert_video(raw, video, findings)
    except InputError as error:
        if strict:
            raise
        failed = Findings()
        failed.add("videos_unreadable", error.problem, file=error.file)
        return video.name, failed.to_dict()
    write_part(path, key, clips, findings)
    return video.name, None


def _part_key(raw: RawFormat, video: VideoFiles, strict: bool) -> str:
    """Cache key: data set, options, version; files with their sizes and times."""
    stamps: list[Any] = []
    for path in (video.skeletons, video.labels):
        try:
            status = os.stat(path)
            stamps.append((path, status.st_size, status.st_mtime_ns))
        except OSError:
            stamps.append((path, None))
    return json.dumps([__version__, hashlib.sha256(repr(raw).encode()).hexdigest(), strict, stamps])


def write_part(path: AnyPath, key: str, clips: list[Clip], findings: Findings) -> None:
    """Write the clips and findings of a video as a part.

    Raises:
        InputError: The file cannot be written.
    """
    about = {"findings": findings.to_dict(), "clips": [[clip.frame_dir, clip.label, *clip.img_shape] for clip in clips]}
    ends = np.cumsum([0, *(clip.total_frames for clip in clips)])
    arrays = {"about": np.array(json.dumps(about)), "ends": ends}
    for name in ("keypoint", "keypoint_score") if clips else ():
        arrays[name] = np.concatenate([getattr(clip, name) for clip in clips], axis=1)
    parts.write_part(path, key, arrays)


def read_part(path: AnyPath, key: str) -> tuple[list[Clip], Findings] | None:
    """Clips and findings of a part, or None if absent, damaged or of another key."""
    # Whatever a damaged part raises, the remedy is to make it anew.
    with contextlib.suppress(Exception):
        if (arrays := parts.read_part(path, [key])) is not None:
            about, clips = json.loads(str(arrays["about"])), []
            for (name, label, *shape), span in zip(about["clips"], pairwise(arrays["ends"].tolist()), strict=True):
                points, scores = (arrays[each][:, slice(*span)] for each in ("keypoint", "keypoint_score"))
                clips.append(Clip(name, label, tuple(shape), tuple(shape), points, scores))
            return clips, Findings.from_dict(about["findings"])
    return None
