"""Reading the folder of JSON files, one a frame, that OpenPose writes with ``--write_json``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.keypoint_files.detections import MOST_PERSONS, Collector, Detections
from pyskl_semloss.errors import InputError
from pyskl_semloss.reading import read_json, shown
from pyskl_semloss.skeletons import get_layout

FRAME_FILE = re.compile(r"(?P<name>.*?)_?(?P<frame>\d+)_keypoints\.json")
BODY, HAND = "pose_keypoints_2d", ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
_JOINTS, _HAND_JOINTS = 25, 21


def is_openpose_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has files named as OpenPose names them."""
    return os.path.isdir(folder) and any(FRAME_FILE.fullmatch(name) for name in os.listdir(folder))


def read_openpose(folder: str | os.PathLike[str]) -> Detections:
    """Read ``<video>_000000000000_keypoints.json`` and so on: BODY_25, and the hands where they were estimated.

    The number in a file's name is its frame; numbers without a file are frames without a person. Without a hand in any
    file the layout is ``openpose25``, else ``openpose67``.

    Raises:
        InputError: There is no such file, the files are of several videos, or one is not as OpenPose writes it; names
            file, person and field.
    """
    files = _files(Path(folder))
    collector = Collector(folder, 3 * (_JOINTS + 2 * _HAND_JOINTS))
    for frame, path in files:
        collector.see_frame(frame, path)
        for number, person in enumerate(_people(path)):
            _add(collector, frame, person, number, path)
    whole = collector.detections(Path(os.path.abspath(folder)).name, get_layout("openpose67"))
    if whole.score[:, _JOINTS:].any():
        return whole
    body = {"keypoint": whole.keypoint[:, :_JOINTS], "score": whole.score[:, :_JOINTS]}
    return Detections(**{**vars(whole), **body, "layout": get_layout("openpose25")})


def _files(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        raise InputError("expected a folder", file=folder, fix="Give the folder that OpenPose's --write_json names.")
    found: dict[int, Path] = {}
    videos: set[str] = set()
    for name in sorted(os.listdir(folder)):
        if (match := FRAME_FILE.fullmatch(name)) is None or len(match["frame"]) > 18:
            continue
        videos.add(match["name"])
        if len(videos) > 1:
            problem = f"it has the frames of several videos, {', '.join(map(repr, sorted(videos)))}"
            raise InputError(problem, file=folder, fix="Give every video a folder of its own.")
        frame = int(match["frame"])
        if frame in found:
            raise InputError(f"frame {frame} is in {found[frame].name} too", file=folder / name)
        found[frame] = folder / name
    if not found:
        raise InputError("no file in it is named like 000000000000_keypoints.json", file=folder)
    return sorted(found.items())


def _people(path: Path) -> list[Any]:
    content = read_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise InputError(f"expected a list, got {shown(people)}", file=path, field="people")
    if len(people) > MOST_PERSONS:
        raise InputError(f"it has {len(people)} persons, more than {MOST_PERSONS}", file=path, field="people")
    return people


def _add(collector: Collector, frame: int, person: object, number: int, path: Path) -> None:
    place = f"person {number}"
    if not isinstance(person, Mapping):
        raise InputError(f"{place}: expected an object, got {shown(person)}", file=path, field="people")
    parts = [_part(collector, person, BODY, _JOINTS, place, path)]
    parts += [_part(collector, person, hand, _HAND_JOINTS, place, path) for hand in HAND]
    collector.add(frame, _identity(person), np.concatenate(parts).tolist(), place, BODY)


def _part(collector: Collector, person: Mapping, field: str, joints: int, place: str, path: Path) -> np.ndarray:
    values = person.get(field, [])
    if values == []:
        return np.zeros(3 * joints, np.float32)
    if field == BODY and isinstance(values, list) and len(values) in (3 * 15, 3 * 18):
        problem = f"{place}: expected 75 numbers (BODY_25), got {len(values)}, another of OpenPose's models"
        raise InputError(problem, file=path, field=field, fix="Run OpenPose with --model_pose BODY_25, its default.")
    return collector.row(values, 3 * joints, place, field, path)


def _identity(person: Mapping) -> int:
    """The number that OpenPose's tracking gives, -1 without tracking."""
    numbers = person.get("person_id")
    first = numbers[0] if isinstance(numbers, list) and len(numbers) == 1 else -1
    return first if type(first) is int and 0 <= first < 1 << 60 else -1
