"""Folders of JSON files, one per frame, from OpenPose's ``--write_json``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, list_folder, read_json, short_repr
from pyskl_semloss.recordings.detections import MOST_PERSONS, Collector, Detections
from pyskl_semloss.skeletons import get_layout

FRAME_FILE = re.compile(r"(?P<name>.*?)_?(?P<frame>\d+)_keypoints\.json")
BODY, HANDS = "pose_keypoints_2d", ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
"""Fields of a person; versions up to 1.1 write them without ``_2d``."""
_IN_SPACE = "pose_keypoints_3d"
_JOINTS, _OLD_JOINTS, _HAND_JOINTS = 25, 18, 21
_OTHERS = {15: "MPI", 19: "BODY_19", 23: "BODY_23", 65: "BODY_65", 95: "BODY_95", 135: "BODY_135"}
"""Number of joints of OpenPose's other models."""


def is_openpose_folder(folder: AnyPath) -> bool:
    """True if a folder holds files named as OpenPose names them."""
    return os.path.isdir(folder) and any(FRAME_FILE.fullmatch(name) for name in list_folder(folder))


def read_openpose(folder: AnyPath) -> Detections:
    """Detections from OpenPose's files: bodies, and hands where detected.

    The files are ``<video>_000000000000_keypoints.json`` and so on.

    The number in a file's name is its frame; numbers without a file are frames without a person. The body is BODY_25,
    or the 18 joints of OpenPose's COCO model, which versions before BODY_25 write. Where no file has a hand, the layout
    is ``openpose25`` or ``openpose18``, else ``openpose67`` or ``openpose60``.

    Raises:
        InputError: There is no such file, the files are of several videos or models, or one is not as OpenPose writes
            it; names file, person and field.
    """
    files = _files(Path(folder))
    reader = _Reader(folder)
    for frame, path in files:
        reader.collector.see_frame(frame, path)
        for number, person in enumerate(_people(path)):
            reader.add(frame, person, f"person {number}", path)
    return reader.detections()


class _Reader:
    """Persons of the files read so far, with bodies and hands."""

    def __init__(self, folder: AnyPath) -> None:
        self.folder = folder
        self.collector = Collector(folder, 3 * (_JOINTS + 2 * _HAND_JOINTS))
        self._joints: dict[int, str] = {}
        self._hands = False

    def add(self, frame: int, person: object, where: str, path: Path) -> None:
        if not isinstance(person, Mapping):
            raise InputError(f"{where}: expected an object, got {short_repr(person)}", file=path, field="people")
        _check_fields(person, where, path)
        parts = [self._body(person, where, path)]
        for hand in HANDS:
            field, values = _values(person, hand)
            self._hands |= bool(values)
            parts.append(self._part(values, _HAND_JOINTS, where, field, path))
        self.collector.add(frame, _identity(person), np.concatenate(parts).tolist(), where, BODY)

    def _body(self, person: Mapping, where: str, path: Path) -> np.ndarray:
        field, values = _values(person, BODY)
        joints = len(values) // 3 if isinstance(values, list) else 0
        if joints in _OTHERS and len(values) == 3 * joints:
            problem = (
                f"{where}: expected 75 numbers (BODY_25) or 54 (COCO), got {len(values)}, those of OpenPose's model "
            )
            raise InputError(problem + _OTHERS[joints], file=path, field=field,
                             fix="Run OpenPose with --model_pose BODY_25, its default.")  # fmt: skip
        old = isinstance(values, list) and len(values) == 3 * _OLD_JOINTS
        row = self._part(values, _OLD_JOINTS if old else _JOINTS, where, field, path)
        if values:
            self._joints.setdefault(len(row) // 3, path.name)
            if len(self._joints) > 1:
                each = " and ".join(f"{number} joints in {name}" for number, name in self._joints.items())
                raise InputError(f"its files are of two models of OpenPose: {each}", file=self.folder, field=field,
                                 fix="Run OpenPose anew, with one --model_pose for the whole video.")  # fmt: skip
        return np.concatenate([row, np.zeros(3 * _JOINTS - len(row), np.float32)])

    def _part(self, values: object, joints: int, where: str, field: str, path: Path) -> np.ndarray:
        if values == []:
            return np.zeros(3 * joints, np.float32)
        return self.collector.row(values, 3 * joints, where, field, path)

    def detections(self) -> Detections:
        joints = next(iter(self._joints), _JOINTS)
        body, hands = ("openpose18", "openpose60") if joints == _OLD_JOINTS else ("openpose25", "openpose67")
        layout = get_layout(hands if self._hands else body)
        whole = self.collector.detections(Path(os.path.abspath(self.folder)).name, layout)
        kept = [*range(joints), *range(_JOINTS, _JOINTS + 2 * _HAND_JOINTS if self._hands else _JOINTS)]
        return replace(whole, keypoint=whole.keypoint[:, kept], score=whole.score[:, kept])


def _files(folder: Path) -> list[tuple[int, Path]]:
    if folder.exists() and not folder.is_dir():
        raise InputError(
            "it is a file, expected a folder", file=folder, fix="Give the folder that OpenPose's --write_json names."
        )
    files: dict[int, Path] = {}
    videos: set[str] = set()
    for name in list_folder(folder):
        if (match := FRAME_FILE.fullmatch(name)) is None or len(match["frame"]) > 18:
            continue
        videos.add(match["name"])
        if len(videos) > 1:
            problem = f"it has the frames of several videos, {', '.join(map(repr, sorted(videos)))}"
            raise InputError(problem, file=folder, fix="Give every video a folder of its own.")
        frame = int(match["frame"])
        if frame in files:
            raise InputError(f"frame {frame} is in {files[frame].name} too", file=folder / name)
        files[frame] = folder / name
    if not files:
        raise InputError("no file in it is named like 000000000000_keypoints.json", file=folder)
    return sorted(files.items())


def _people(path: Path) -> list[Any]:
    content = read_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        has = f"; its fields are {short_repr(list(content))}" if isinstance(content, dict) and content else ""
        raise InputError(f"expected a list, got {short_repr(people)}{has}", file=path, field="people")
    if len(people) > MOST_PERSONS:
        raise InputError(f"it has {len(people)} persons, more than {MOST_PERSONS}", file=path, field="people")
    return people


def _values(person: Mapping, field: str) -> tuple[str, Any]:
    """Name and value of a field; old versions omit ``_2d``."""
    old = field.removesuffix("_2d")
    return (old, person[old]) if field not in person and old in person else (field, person.get(field, []))


def _check_fields(person: Mapping, where: str, path: Path) -> None:
    """Check that a person has a field that is read."""
    old = BODY.removesuffix("_2d")
    if person.get(BODY) or person.get(old) or ((BODY in person or old in person) and not person.get(_IN_SPACE)):
        return
    has = ", ".join(short_repr(key) for key, value in list(person.items())[:8] if value or key != BODY) or "nothing"
    fix = "Expected what OpenPose writes with --write_json."
    if person.get(_IN_SPACE):
        fix = "Points in space are not used: give the folder of one camera, with its points in the image."
    raise InputError(f"{where}: there is no point in it, it has {has}", file=path, field=BODY, fix=fix)


def _identity(person: Mapping) -> int:
    """The number that OpenPose's tracking gives, -1 without tracking."""
    numbers = person.get("person_id")
    first = numbers[0] if isinstance(numbers, list) and len(numbers) == 1 else -1
    return first if type(first) is int and 0 <= first < 1 << 60 else -1
