"""Many recordings and videos through a predictor, each to its own files; one that fails leaves the others."""

from __future__ import annotations

import dataclasses
import mimetypes
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.annotations.recording import Recording, read_recording
from pyskl_semloss.errors import TRACEBACK, InputError
from pyskl_semloss.faults import explain
from pyskl_semloss.files import writing
from pyskl_semloss.hosts.mmaction2.predictor import Predictor
from pyskl_semloss.segments.files import check_formats, write_segments
from pyskl_semloss.segments.find import SegmentRules, background_classes
from pyskl_semloss.segments.segmentation import Segmentation
from pyskl_semloss.skeletons import SkeletonLayout

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    Attributes:
        source: The input.
        segmentation: What was found, or nothing where it failed.
        written: The files.
        error: What was wrong, or nothing.
    """

    source: str
    segmentation: Segmentation | None = None
    written: tuple[str, ...] = ()
    error: str = ""


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
    """Find the gestures in each input and write them, one file for each format, named after the input.

    Args:
        predictor: The models.
        inputs: Recordings (.npz), or videos, whose keypoints are estimated first.
        out: The folder of the files.
        formats: Of ``csv``, ``json``, ``vtt``, ``eaf``.
        rules: What makes a segment.
        on_start: Told the input whose turn it is.
        overlay: Write NAME_overlay.mp4, too: skeleton and names over the video, or over grey where it is not found.
        videos: The folder of the videos that the recordings are of; without it they are looked for beside them.
        **options: Those of :meth:`Predictor.segments`.

    Yields:
        An outcome for each input, when it is done.

    Raises:
        InputError: Before anything is done: a format or a background name is not known, two inputs would have the
            same files, or the folder cannot be written.
    """
    rules = rules or SegmentRules()
    check_formats(formats)
    background_classes(predictor.class_names, rules.background)
    _check_names(inputs)
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
    for source in map(os.fspath, inputs):
        if on_start is not None:
            on_start(source)
        try:
            recording = _with_video(read_input(source, predictor.layout), source, videos)
            found = predictor.segments(recording, rules, **options)
            files = tuple(str(out / f"{Path(source).stem}.{name}") for name in formats)
            for file in files:
                write_segments(found, file)
            if overlay:
                files += (str(out / f"{Path(source).stem}_overlay.mp4"),)
                _write_overlay(recording, found, files[-1])
            yield Outcome(source, found, files)
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            said = explain(error) or f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            yield Outcome(source, error=said if source in said else f"{source}: {said}")


def read_input(path: AnyPath, layout: SkeletonLayout) -> Recording:
    """A recording as it is, or one made of a video.

    Args:
        path: An .npz of :meth:`Recording.save`, or a video.
        layout: Of the keypoints that are estimated in a video.

    Raises:
        InputError: There is no such file, it is neither, or videos cannot be read here.
    """
    if not os.path.isfile(path):
        raise InputError("there is no such file", file=path)
    if Path(path).suffix.lower() == ".npz":
        return read_recording(path)
    kind = mimetypes.guess_type(os.fspath(path))[0] or "video"
    if not kind.startswith("video"):
        fix = "docs/own_keypoints.md says how keypoints of other programs become a recording."
        raise InputError(f"expected a recording (.npz) or a video, this is {kind}", file=path, fix=fix)
    try:
        from pyskl_semloss.video import estimate
    except ImportError as error:
        raise InputError(
            f"keypoints cannot be estimated in a video here ({error})",
            file=path,
            fix="Install what that needs with pip install 'pyskl_semloss[video]', or give a recording (.npz).",
        ) from None
    return estimate(path, layout=layout)


def _with_video(recording: Recording, source: str, folder: AnyPath | None) -> Recording:
    """The recording with the path of its video, where that is found; it holds the name alone."""
    if Path(source).suffix.lower() != ".npz":
        return dataclasses.replace(recording, video=source)
    video = (Path(source).parent if folder is None else Path(folder)) / os.path.basename(recording.video)
    return dataclasses.replace(recording, video=str(video)) if video.is_file() else recording


def _write_overlay(recording: Recording, found: Segmentation, path: str) -> None:
    from pyskl_semloss.video import open_video, write_overlay

    video = open_video(recording.video) if os.path.isfile(recording.video) else None
    write_overlay(video, recording, path, segments=found.segments)


def _check_folder(out: Path) -> None:
    """Refuse a folder that cannot be written now, not after an hour of work."""
    with writing(out):
        os.makedirs(out, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()


def _check_names(inputs: Sequence[AnyPath]) -> None:
    first: dict[str, str] = {}
    for source in map(os.fspath, inputs):
        before = first.setdefault(Path(source).stem, source)
        if before != source or [os.fspath(one) for one in inputs].count(source) > 1:
            fix = "Predict them one after the other, into different folders."
            raise InputError(f"its files would have the names of those of {before}", file=source, fix=fix)
