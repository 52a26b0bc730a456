"""Prediction of many recordings and videos, each into its own files.

An input that fails does not stop the others.
"""

from __future__ import annotations

import dataclasses
import mimetypes
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import TRACEBACK, InputError
from pyskl_semloss.hosts.faults import explain
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
from pyskl_semloss.io.files import acquire_lock, explain_write_errors
from pyskl_semloss.io.reading import AnyPath, closest_names, first_forbidden_character, open_regular, short_repr
from pyskl_semloss.io.resources import documentation, pip_install
from pyskl_semloss.io.results import refuse_changed
from pyskl_semloss.recordings.recording import Recording, read_recording
from pyskl_semloss.segments.files import check_formats, write_segments
from pyskl_semloss.segments.localization import SegmentRules, background_classes
from pyskl_semloss.segments.segment import Segmentation
from pyskl_semloss.skeletons import SkeletonLayout

_ENDINGS = (".npz", ".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".wmv")
# Files of this package and of other tools for which the mimetypes module may know no type.
_NO_VIDEOS = (".eaf", ".npy", ".onnx", ".pickle", ".pkl", ".pt", ".pth", ".vtt", ".yaml", ".yml")


@dataclass(frozen=True)
class Outcome:
    """Result of an input, or its error.

    Attributes:
        source: The input.
        segmentation: Its segments; None after an error.
        written: Paths of the written files.
        error: The error message; empty after success.
        notes: Notes for the user.
    """

    source: str
    segmentation: Segmentation | None = None
    written: tuple[str, ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()


def predict_files(
    predictor: Predictor,
    inputs: Sequence[AnyPath],
    out: AnyPath,
    formats: Sequence[str] = ("csv",),
    rules: SegmentRules | None = None,
    *,
    on_start: Callable[[str], None] | None = None,
    overlay: bool = False,
    videos: AnyPath | None = None,
    **options: Any,
) -> Iterator[Outcome]:
    """Find the gestures in each input and write a file per format.

    Files are named after the input.

    Args:
        predictor: The models.
        inputs: Recordings (.npz), or videos, whose keypoints are estimated first.
        out: Folder of the written files.
        formats: Any of ``csv``, ``json``, ``vtt``, ``eaf``.
        rules: Rules that turn scores into segments.
        on_start: Callback with each input before its prediction.
        overlay: Also write NAME_overlay.mp4: skeleton and names over the video, or over grey without the video.
        videos: Folder of the recordings' videos; by default the folder of each recording.
        **options: Those of :meth:`Predictor.segments`.

    Yields:
        An outcome for each input when it is finished.

    Raises:
        InputError: Before the first prediction: an unknown format or background name, two inputs with the same output
            files, no folder of videos, or an output folder that cannot be written.
    """
    rules = rules or SegmentRules()
    check_formats(formats)
    background_classes(predictor.class_names, rules.background)
    _check_names(inputs)
    if videos is not None and not os.path.isdir(videos):
        raise InputError("there is no such folder", file=videos, field="videos")
    _check_folder(Path(out))
    return _each(predictor, inputs, Path(out), tuple(dict.fromkeys(formats)), rules, on_start, overlay, videos, options)


def _each(
    predictor: Predictor,
    inputs: Sequence[AnyPath],
    out: Path,
    formats: Sequence[str],
    rules: SegmentRules,
    on_start: Callable[[str], None] | None,
    overlay: bool,
    videos: AnyPath | None,
    options: dict[str, Any],
) -> Iterator[Outcome]:
    with acquire_lock(out, "writes into"):
        for source in (os.fspath(path) for path in inputs):
            if on_start is not None:
                on_start(source)
            try:
                files = tuple(_files(source, out, formats, overlay))
                refuse_changed(*files)
                recording, video = _with_video(read_input(source, predictor.layout), source, videos)
                notes = _notes(recording, video) if overlay or "eaf" in formats else ()
                segmentation = predictor.segments(recording, rules, **options)
                for file in files[: len(formats)]:
                    write_segments(segmentation, file)
                if overlay:
                    _write_overlay(recording, segmentation, files[-1], video)
                yield Outcome(source, segmentation, files, notes=notes)
            except Exception as error:
                if os.environ.get(TRACEBACK):
                    raise
                said = explain(error) or f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                yield Outcome(source, error=said if source in said else f"{source}: {said}")


def _files(source: str, out: Path, formats: Sequence[str], overlay: bool) -> list[str]:
    """Paths of an input's output files."""
    endings = [f".{name}" for name in formats] + ["_overlay.mp4"] * overlay
    return [str(out / f"{Path(source).stem}{ending}") for ending in endings]


def read_input(path: AnyPath, layout: SkeletonLayout) -> Recording:
    """Recording of an .npz file or of a video's estimated keypoints.

    Args:
        path: An .npz of :meth:`Recording.save`, or a video.
        layout: Layout of the estimated keypoints.

    Raises:
        InputError: The file is missing or of another type, or the packages for videos are not installed.
    """
    _check_is_file(Path(path))
    if Path(path).suffix.lower() == ".npz":
        return read_recording(path)
    ending = Path(path).suffix.lower()
    kind = f"a {ending} file" if ending in _NO_VIDEOS else mimetypes.guess_type(os.fspath(path))[0] or "video"
    if not kind.startswith("video"):
        fix = f"See {documentation('own_keypoints')} for how keypoints of other programs become a recording."
        raise InputError(f"expected a recording (.npz) or a video, this is {kind}", file=path, fix=fix)
    try:
        from pyskl_semloss.video import estimate
    except ImportError as error:
        raise InputError(
            f"keypoints cannot be estimated in a video here ({error})",
            file=path,
            fix=f"Install what that needs with {pip_install('video')}, or give a recording (.npz).",
        ) from None
    return estimate(path, layout=layout)


def _check_is_file(path: Path) -> None:
    """Refuse folders, missing paths and unreadable files, each with its own message."""
    if path.is_file():
        return
    if path.is_dir():
        endings = sorted({file.suffix for file in path.iterdir() if file.suffix.lower() in _ENDINGS})
        such = ", such as " + " ".join(f"{path}/*{ending}" for ending in endings) if endings else ""
        raise InputError("it is a folder, expected a recording (.npz) or a video", file=path, fix=f"Give files{such}.")
    if os.path.lexists(path):
        with open_regular(path):
            return
    near = closest_names(path.name, os.listdir(path.parent)) if path.parent.is_dir() else []
    raise InputError("there is no such file", file=path, fix=f"Did you mean {near[0]!r}?" if near else None)


def _notes(recording: Recording, video: str | None) -> tuple[str, ...]:
    """Note about a missing video."""
    if video is not None:
        return ()
    if not recording.video:
        return ("it names no video: an overlay is drawn over grey",)
    where = f"its video {short_repr(recording.video)} is not found; --videos DIR says where it lies"
    return (f"{where}. ELAN's file links it as one beside itself, an overlay is drawn over grey",)


def _with_video(recording: Recording, source: str, folder: AnyPath | None) -> tuple[Recording, str | None]:
    """Recording, and the path of its video if that exists in ``folder`` or beside the recording.

    The video name in a recording is untrusted: its folders are ignored and links are not followed.
    """
    if Path(source).suffix.lower() != ".npz":
        return dataclasses.replace(recording, video=source), source
    name = re.split(r"[/\\]", recording.video)[-1]
    if not name or first_forbidden_character(name) is not None or name in (".", ".."):
        return dataclasses.replace(recording, video=""), None
    parent = Path(source).parent if folder is None else Path(folder)
    video = parent / name
    if not video.is_file():
        return dataclasses.replace(recording, video=name), None
    if video.resolve().parent != parent.resolve():
        fix = "--videos DIR names the folder where it lies"
        warnings.warn(f"{source}: {video} is a link to another folder, which is not followed; {fix}.", stacklevel=2)
        return dataclasses.replace(recording, video=name), None
    return dataclasses.replace(recording, video=str(video)), str(video)


def _write_overlay(recording: Recording, segmentation: Segmentation, path: str, video: str | None) -> None:
    from pyskl_semloss.video import open_video, write_overlay

    write_overlay(None if video is None else open_video(video), recording, path, segments=segmentation.segments)


def _check_folder(out: Path) -> None:
    """Refuse a folder without write permission before the work begins."""
    with explain_write_errors(out):
        os.makedirs(out, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()


def _check_names(inputs: Sequence[AnyPath]) -> None:
    first: dict[str, str] = {}
    for source in (os.fspath(path) for path in inputs):
        before = first.setdefault(Path(source).stem, source)
        if before != source or [os.fspath(path) for path in inputs].count(source) > 1:
            fix = "Predict them one after the other, into different folders."
            if before == source:
                raise InputError("it is given twice", file=source)
            raise InputError(f"its files would have the names of those of {before}", file=source, fix=fix)
