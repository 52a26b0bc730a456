"""Analysis of an uploaded file: keypoints, gestures, files for the browser."""

from __future__ import annotations

import dataclasses
import functools
import mimetypes
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.app.limits import Limits
from pyskl_semloss.app.sessions import shown_name, split_name
from pyskl_semloss.app.worker import StageCallback, Task
from pyskl_semloss.drawing.stick_figure import figure_data
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.recordings.recording import Recording, read_recording
from pyskl_semloss.segments.files import WRITERS, write_segments
from pyskl_semloss.segments.localization import SegmentRules, background_classes
from pyskl_semloss.segments.windows import Timeline, frame_probability
from pyskl_semloss.video.containers import container
from pyskl_semloss.video.frames import Video, import_cv2, open_capture, open_video

ROW_SECONDS = 0.2
"""Time step of the probabilities for the browser."""

_NAMELESS = "The models do not know the names of their classes; --names, given when the app is started, tells them."
_COPY = "Browsers do not play this video's format; the player shows a smaller copy of it."
_ALONE = "Browsers do not play this video's format; the skeleton is shown alone."


@dataclass(frozen=True)
class AnalysisTask:
    """Uploaded file to analyse.

    Args:
        path: The uploaded file; its name is ours, since that of the user may be one that this disk cannot hold.
        name: The name of the user.
        folder: Where the files of the result go.
        limits: Of the app.
    """

    path: Path
    name: str
    folder: Path
    limits: Limits

    @property
    def is_recording(self) -> bool:
        """True for a file of keypoints; all else counts as a video."""
        if self.name.lower().endswith(".npz"):
            return True
        with self.path.open("rb") as stream:
            return stream.read(4) == b"PK\3\4"


@dataclass(frozen=True)
class Analysis:
    """Factory of the worker's function, sent to its process.

    Args:
        load: Makes the :class:`pyskl_semloss.hosts.mmaction2.prediction.predictor.Predictor`, in that process.
        rules: What makes a segment.
        windows: Fields of :class:`pyskl_semloss.segments.windows.WindowRules`.
    """

    load: Callable[[], Any]
    rules: SegmentRules = field(default_factory=SegmentRules)
    windows: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> Task:
        """Load the models; called in the worker's process.

        Raises:
            InputError: They cannot be loaded, or do not have the classes that the rules name.
        """
        predictor = self.load()
        background_classes(predictor.class_names, self.rules.background)
        return functools.partial(analyse, predictor, self.rules, self.windows)


def analyse(
    predictor: Any, rules: SegmentRules, windows: Mapping[str, Any], task: AnalysisTask, progress: StageCallback
) -> dict[str, Any]:
    """Find the gestures in a file.

    Args:
        predictor: The models.
        rules: What makes a segment.
        windows: Fields of :class:`pyskl_semloss.segments.windows.WindowRules`.
        task: The file.
        progress: Told how far it is.

    Returns:
        ``viewer`` (see :func:`pyskl_semloss.app.analysis.write_view`), ``segments`` by start, ``files`` to download,
        ``leave_out`` (classes that are no gestures), ``notes`` to read, and ``nothing``, what to say where there is no
        segment.

    Raises:
        InputError: The file is none that can be read, or too long; it is named as the user named it.
    """
    try:
        return _analyse(predictor, rules, windows, task, progress)
    except InputError as error:
        if error.file is None or Path(error.file) != task.path:
            raise
        raise error.replace(file=task.name) from None


def _analyse(
    predictor: Any, rules: SegmentRules, windows: Mapping[str, Any], task: AnalysisTask, progress: StageCallback
) -> dict[str, Any]:
    recording = _recording(task, predictor.layout, progress)
    task.limits.check_seconds(recording.seconds, task.name)
    cut = predictor.window_rules(**windows)
    timelines = predictor.timelines(
        recording, cut, progress=lambda done, total: progress("recognising gestures", done / max(total, 1))
    )
    segmentation = predictor.segmentation(recording, timelines, cut, rules)
    progress("writing", 1.0)
    files = [f"result.{ending}" for ending in WRITERS]
    for name in files:
        write_segments(segmentation, task.folder / name)
    if not task.is_recording:
        files.append("result.npz")
        recording.save(task.folder / files[-1])
    video, notes = _video_to_show(task, progress)
    if predictor.class_names[0] == "class 0":
        notes.append(_NAMELESS)
    several = len(segmentation.persons) > 1
    segments = [
        {"start": segment.start, "end": segment.end, "name": segment.name, "confidence": segment.confidence,
         "person": segment.person + 1 if several else None}
        for segment in sorted(segmentation.segments, key=lambda segment: (segment.start, segment.end))
    ]  # fmt: skip
    return {
        "viewer": write_view(
            recording, moments(timelines, recording.seconds, rules.smoothing), ROW_SECONDS,
            list(predictor.class_names), task.folder, video,
        ),
        "segments": segments,
        "files": files,
        "leave_out": background_classes(predictor.class_names, rules.background),
        "notes": notes,
        "nothing": f"No gesture was found. {segmentation.explanation} Options are given when the app is started.",
    }  # fmt: skip


def moments(timelines: list[Timeline], seconds: float, smoothing: float) -> np.ndarray:
    """Probabilities (W, C) every ``ROW_SECONDS``, the highest of all persons."""
    count = max(1, int(np.ceil(seconds / ROW_SECONDS)))
    rows = np.zeros((count, len(timelines[0].class_names)))
    for timeline in timelines:
        middle = (np.arange(count) + 0.5) * ROW_SECONDS
        frames = np.minimum((middle * timeline.fps).astype(int), timeline.windows.frames - 1)
        for start in range(0, count, 512):
            part = frames[start : start + 512]
            block = frame_probability(timeline, int(part[0]), int(part[-1]) + 1, smoothing)
            np.maximum(rows[start : start + 512], block[part - part[0]], out=rows[start : start + 512])
    return rows


def _recording(task: AnalysisTask, layout: Any, progress: StageCallback) -> Any:
    if task.is_recording:
        progress("reading keypoints", 0.0)
        recording = read_recording(task.path)
        name = split_name(task.name)[0] if recording.name == task.path.stem else recording.name
        # A path that it holds is of another machine, or of nothing.
        return dataclasses.replace(recording, name=name, video=shown_name(recording.video) if recording.video else "")
    try:
        return _estimate(task, layout, progress)
    except ImportError as error:
        raise InputError(
            f"keypoints cannot be estimated in a video here ({error})",
            file=task.path,
            fix=f"Start the app where {pip_install('video')} was done, or drop a keypoint file (.npz).",
        ) from None


def _estimate(task: AnalysisTask, layout: Any, progress: StageCallback) -> Any:
    from pyskl_semloss.video import estimate

    try:
        video = open_video(task.path)
    except InputError:
        kind = mimetypes.guess_type(task.name)[0] or "video"
        if kind.startswith("video"):
            raise
        fix = "semloss prepare keypoints makes an .npz of keypoints in other files."
        raise InputError(f"expected a video or an .npz, this is {kind}", file=task.path, fix=fix) from None
    task.limits.check_seconds(video.claimed / video.fps, task.name)

    def report(done: int, total: int) -> None:
        # A file may claim fewer frames than it has, or none.
        task.limits.check_seconds(done / video.fps, task.name)
        progress("estimating keypoints", done / max(total, 1))

    recording = estimate(task.path, layout=layout, progress=report)
    return dataclasses.replace(recording, name=split_name(task.name)[0], video=task.name)


def _video_to_show(task: AnalysisTask, progress: StageCallback) -> tuple[str | None, list[str]]:
    """Name of the video for the browser, or None, and notes."""
    if task.is_recording:
        return None, []
    if ending := playable_as(task.path):
        name = f"video.{ending}"
        os.replace(task.path, task.folder / name)
        return name, []
    video = open_video(task.path)
    copy = task.folder / "preview.webm"
    written = write_preview(
        video, copy, lambda done: progress("making a copy that browsers play", min(1, done / max(video.claimed, 1)))
    )
    return (copy.name, [_COPY]) if written else (None, [_ALONE])


NO_POINT = -32768
"""Coordinate of a missing point."""


def write_view(
    recording: Recording,
    probability: np.ndarray,
    row_seconds: float,
    class_names: list[str],
    folder: Path,
    video: str | None = None,
) -> dict[str, Any]:
    """Write ``keypoints.bin`` and ``scores.bin`` and describe them.

    Args:
        recording: T frames of M persons.
        probability: (W, C), 0 to 1, of moments ``row_seconds`` apart, the first from 0 s on.
        row_seconds: In s.
        class_names: C names.
        folder: Where to write.
        video: Name of a video in the folder that a browser may show.

    Returns:
        What ``viewer.js`` takes. The files hold (T, M, V, 2) int16 little-endian, in px, and (W, C) uint8, 255 for 1.
    """
    layout, (height, width) = recording.layout, recording.image_shape
    persons, frames, joints = recording.keypoint_score.shape
    with (folder / "keypoints.bin").open("wb") as stream:
        for start in range(0, frames, 4096):
            part = slice(start, start + 4096)
            points = np.clip(np.rint(recording.keypoint[:, part]), NO_POINT + 1, -NO_POINT - 1).astype("<i2")
            points[recording.keypoint_score[:, part] <= 0] = NO_POINT
            stream.write(np.ascontiguousarray(points.transpose(1, 0, 2, 3)).tobytes())
    np.rint(np.clip(probability, 0, 1) * 255).astype(np.uint8).tofile(folder / "scores.bin")
    return {
        "keypoints": "keypoints.bin", "scores": "scores.bin", "video": video, "width": width, "height": height,
        "fps": recording.fps, "frames": frames, "persons": persons, "joints": joints, "seconds": recording.seconds,
        "rows": len(probability), "row_seconds": row_seconds, "class_names": class_names,
        **figure_data(layout),
    }  # fmt: skip


_ENDINGS = {"mov": "mp4", "webm": "webm"}
_CODECS = ("h264", "avc1", "vp80", "vp90", "vp09", "av01")
_LONGER_SIDE = 640


def playable_as(path: Path) -> str | None:
    """File ending under which browsers play a video, or None.

    Container and codec decide.
    """
    cv2 = import_cv2()
    try:
        ending = _ENDINGS.get(container(path))
        if ending is None:
            return None
        capture = open_capture(path)
    except InputError:
        return None
    try:
        code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    finally:
        capture.release()
    return ending if code.to_bytes(4, "little").decode("latin-1").lower() in _CODECS else None


def write_preview(video: Video, path: Path, progress: Callable[[int], None] | None = None) -> bool:
    """Write a preview of a video as VP8 in WebM.

    It is evenly spaced in time, with 640 px on the longer side at most.

    Args:
        video: The video.
        path: The file to write, ``.webm``.
        progress: Told how many frames are written.

    Returns:
        Whether it was written; some builds of OpenCV cannot encode VP8.
    """
    cv2 = import_cv2()
    height, width = video.image_shape
    scale = min(1.0, _LONGER_SIDE / max(height, width))
    # The encoder wants even sizes.
    size = (max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2))
    writer = cv2.VideoWriter(os.path.abspath(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"VP80"), video.fps, size)

    def smaller(frame: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))

    try:
        if not writer.isOpened():
            return False
        for index, frame in video.frames(change=smaller):
            writer.write(frame)
            if progress is not None:
                progress(index + 1)
    finally:
        writer.release()
    return True
