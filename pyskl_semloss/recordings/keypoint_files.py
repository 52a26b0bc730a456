"""Keypoint files of pose estimators: formats, sources, reading."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, list_folder, missing_file_error
from pyskl_semloss.recordings.detections import Detections
from pyskl_semloss.recordings.keypoint_tables import read_csv_keypoints, read_npz_keypoints
from pyskl_semloss.recordings.mmpose import is_image_folder, read_mmpose
from pyskl_semloss.recordings.openpose import FRAME_FILE, is_openpose_folder, read_openpose
from pyskl_semloss.skeletons import SkeletonLayout

FORMATS = ("openpose", "mmpose", "npz", "csv")
_BY_SUFFIX = {".json": "mmpose", ".npz": "npz", ".csv": "csv"}


def guess_format(path: AnyPath) -> str | None:
    """Format of a file or folder by names; None if unclear."""
    if os.path.isdir(path):
        return "openpose" if is_openpose_folder(path) else "mmpose" if is_image_folder(path) else None
    return _BY_SUFFIX.get(Path(path).suffix.lower())


def find_sources(path: AnyPath, form: str | None = None) -> list[str]:
    """Sources of recordings: the path itself, or those in a folder.

    Args:
        path: A file, a folder as OpenPose writes it or MMPose for images, or a folder of such files or folders.
        form: Only those of this format.

    Raises:
        InputError: There is no such path, or nothing of the kind in it.
    """
    if not os.path.exists(path):
        raise missing_file_error(path, "file or folder")
    if not os.path.isdir(path) or guess_format(path):
        return [os.fspath(path)]
    names = list_folder(path)
    # Beside a recording lies what is said of it.
    sidecars = {f"{Path(name).stem}.json" for name in names if name.endswith(".npz")}
    inside = [os.path.join(path, name) for name in names if name not in sidecars]
    sources = [each for each in inside if _is_source(each, form)]
    if not sources:
        wanted = form or "folder of OpenPose or MMPose, .json, .npz or .csv file"
        below = [each for each in inside if os.path.isdir(each) and _has_recording(each, form)]
        fix = f"There are some in {below[0]}." if below else None
        raise InputError(f"no recording ({wanted}) is in this folder", file=path, fix=fix)
    return sources


def _is_source(path: str, form: str | None) -> bool:
    try:
        kind = guess_format(path)
    # Whoever reads it will say why that cannot be.
    except InputError:
        return True
    return kind is not None and form in (None, kind)


def _has_recording(folder: str, form: str | None) -> bool:
    try:
        return any(_is_source(os.path.join(folder, name), form) for name in list_folder(folder)[:100])
    except InputError:
        return False


def read_keypoints(path: AnyPath, form: str | None = None, layout: SkeletonLayout | None = None) -> Detections:
    """Read the keypoints of a recording.

    Args:
        path: A folder of OpenPose, or of MMPose for images; or a file.
        form: One of :data:`FORMATS`; guessed from the name without it.
        layout: What its joints are, where the file does not say it.

    Raises:
        InputError: It cannot be read; names file, frame or person, and field.
    """
    if not os.path.exists(path):
        raise missing_file_error(path, "file or folder")
    if FRAME_FILE.fullmatch(Path(path).name) and not os.path.isdir(path):
        fix = "Give the folder that it is in."
        raise InputError("it is a single frame of OpenPose, expected a recording", file=path, fix=fix)
    return replace(_read(path, form or guess_format(path), layout), size=_size(path))


def _size(path: AnyPath) -> int:
    """Bytes of a file, or of the files in a folder."""
    files = [entry.path for entry in os.scandir(path)] if os.path.isdir(path) else [os.fspath(path)]
    return sum(os.path.getsize(file) for file in files if os.path.isfile(file))


def _read(path: AnyPath, form: str | None, layout: SkeletonLayout | None) -> Detections:
    if form == "openpose":
        detections = read_openpose(path)
        if layout is not None and layout != detections.layout:
            raise InputError(f"it has the joints of {detections.layout.name!r}, not of {layout.name!r}", file=path,
                             field="layout", fix="OpenPose's layout is known; leave --layout out.")  # fmt: skip
        return detections
    if form in ("mmpose", "npz", "csv"):
        return {"mmpose": read_mmpose, "npz": read_npz_keypoints, "csv": read_csv_keypoints}[form](path, layout)
    if os.path.isdir(path):
        fix = "A recording is a folder of OpenPose's or MMPose's files, one a frame, or a single file."
        raise InputError("it is a folder, and none of a recording", file=path, fix=fix)
    raise InputError(f"its name says no format of {', '.join(FORMATS)}", file=path, fix="Name it with --format.")
