"""Result files of MMPose 1.x, for videos and for images."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import TEXT_LIMIT, AnyPath, list_folder, open_regular, read_text, reason, short_repr
from pyskl_semloss.recordings.detections import MOST_PERSONS, Collector, Detections
from pyskl_semloss.recordings.json_stream import JsonStream
from pyskl_semloss.skeletons import SkeletonLayout, get_layout
from pyskl_semloss.skeletons.joint_names import body_point

_IMAGE = re.compile(r"(?P<name>.*?)(?P<frame>\d+)\.json", re.IGNORECASE)
_PERSONS = re.compile(r"\s*\[\s*(?:\[\s*)?\{\s*\"(?:keypoints|keypoint_scores|bbox|bbox_score)\"")
_NOBODY = re.compile(r"\s*\[\s*(?:\[\s*\]\s*)?\]\s*")


def is_image_folder(folder: AnyPath) -> bool:
    """True if a folder holds MMPose's files for single images."""
    names = [name for name in list_folder(folder) if _IMAGE.fullmatch(name)]
    for at, name in enumerate(names):
        try:
            with open_regular(os.path.join(folder, name)) as stream:
                head = stream.read(1000).decode("utf-8-sig", "replace")
        except (InputError, OSError):
            return False
        if not _NOBODY.fullmatch(head):
            return _PERSONS.match(head) is not None
        # A video may begin with many images of nobody.
        if at and at + 1 == len(names):
            return True
    return False


def image_files(folder: AnyPath) -> list[tuple[int, Path]]:
    """Frames, counted from 0, and files of images, in order.

    Raises:
        InputError: A name has no number, or the images are of several videos.
    """
    files: dict[int, Path] = {}
    videos: dict[str, Path] = {}
    for path in (Path(folder) / name for name in list_folder(folder)):
        if path.suffix.lower() != ".json":
            continue
        match = _IMAGE.fullmatch(path.name)
        if match is None or len(match["frame"]) > 18:
            raise InputError("its name does not end in the number of a frame", file=path,
                             fix="Name the images by their frames, 000000.jpg and so on.")  # fmt: skip
        videos.setdefault(match["name"], path)
        if len(videos) > 1:
            problem = f"it has the images of several videos, as {' and '.join(each.name for each in videos.values())}"
            raise InputError(problem, file=folder, fix="Give every video a folder of its own.")
        frame = int(match["frame"])
        if frame in files:
            raise InputError(f"frame {frame} is in {files[frame].name} too", file=path)
        files[frame] = path
    if not files:
        raise InputError("no .json of an image is in this folder", file=folder)
    first = int(min(files) == 1)
    return [(frame - first, path) for frame, path in sorted(files.items())]


def persons_of_image(path: Path) -> list[Any]:
    """Persons in the file of an image.

    Some versions of MMPose put the list into another.

    Raises:
        InputError: It holds something else.
    """
    try:
        value = JsonStream(read_text(path, TEXT_LIMIT)).whole()
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON ({reason(error)})", file=path) from None
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or len(value) > MOST_PERSONS:
        raise InputError(f"expected a list of up to {MOST_PERSONS} persons, got {short_repr(value)}", file=path,
                         fix="A folder of images holds what MMPose writes for images, nothing else.")  # fmt: skip
    return value


RESULT_LIMIT = 4 << 30
"""Bytes of a results file: two hours of 133 points, indented as MMPose does it."""
_BY_NUMBER = {17: "coco17", 133: "wholebody133"}
FRAMES = "instance_info"
DEMO_PREFIX = "results_"
"""The demo writes ``results_<video>.json``."""


def recording_name(path: AnyPath) -> str:
    """Name of a recording from that of its results file or folder."""
    whole = Path(os.path.abspath(path))
    return whole.name if whole.is_dir() else whole.stem.removeprefix(DEMO_PREFIX) or whole.stem


def read_mmpose(path: AnyPath, layout: SkeletonLayout | None = None) -> Detections:
    """Detections from a results file, or a folder of files of images.

    Two forms: ``{"meta_info": …, "instance_info": [frame, …]}`` of ``topdown_demo_with_mmdet.py --save-predictions``,
    whose frames count from 1, and ``[frame, …]`` of ``MMPoseInferencer`` with ``pred_out_dir``, which count from 0. A
    frame is ``{"frame_id": n, "instances": [{"keypoints": [[x, y], …], "keypoint_scores": [s, …]}, …]}``. The text is
    decoded frame by frame, so that a large file takes little more memory than its text.

    In a folder of ``MMPoseInferencer`` for images, ``<name of the image>.json`` is ``[{"keypoints": …}, …]``. The
    number at the end of the name is the frame; they count from 1, as FFmpeg numbers images, if the smallest is 1, else
    from 0. Numbers without a file are frames without a person.

    Args:
        path: The file or folder.
        layout: What the joints are; without it, coco17 or wholebody133 by their number and names.

    Raises:
        InputError: The file is of neither form, the folder holds the images of several videos, or the layout does not
            fit; names frame, person and field.
    """
    reader = _Reader(path, layout)
    if os.path.isdir(path):
        for number, file in image_files(path):
            reader.persons(number, persons_of_image(file), "", file)
        return reader.detections()
    try:
        for key, value in _parts(JsonStream(read_text(path, RESULT_LIMIT))):
            if key in ("", FRAMES):
                reader.frame(value, first=int(key == FRAMES))
            elif key == "meta_info" and isinstance(value, Mapping):
                reader.names = value.get("keypoint_id2name")
    except RecursionError:
        raise InputError("expected JSON, but it is nested too deeply", file=path) from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"expected JSON ({reason(error)})", file=path) from None
    return reader.detections()


class _Reader:
    """Persons and layout of the frames read so far."""

    def __init__(self, path: AnyPath, layout: SkeletonLayout | None) -> None:
        self.path, self.layout = path, layout
        self.names: object = None
        self._collector: Collector | None = None
        self._seen = Collector(path, 0)
        self._numbers: set[int] = set()

    def frame(self, value: object, first: int) -> None:
        """Add the persons of a frame; frames count from ``first``."""
        number, instances = _frame(value, self.path)
        if number in self._numbers:
            raise InputError(f"frame_id {number} is there twice", file=self.path, field="frame_id")
        self._numbers.add(number)
        self.persons(number - first, instances, f"frame_id {number}, ", self.path)

    def persons(self, number: int, instances: list[Any], prefix: str, file: AnyPath) -> None:
        """Add the persons of a frame, which is counted from 0."""
        frame = self._seen.see_frame(number, file)
        for person, instance in enumerate(instances):
            where = f"{prefix}person {person}"
            points, scores = (_list(instance, field, where, file) for field in ("keypoints", "keypoint_scores"))
            if self._collector is None or self.layout is None:
                self.layout = self.layout or _layout(len(points), self.names, file)
                self._collector = Collector(self.path, 3 * self.layout.num_joints)
            _add(self._collector, self.layout, frame, points, scores, where, file)

    def detections(self) -> Detections:
        if not self._seen.frames:
            raise InputError("there is no frame in it", file=self.path, field=FRAMES)
        if self._collector is None or self.layout is None:
            raise InputError("no person is in any of its frames", file=self.path, field="instances")
        self._collector.frames = self._seen.frames
        # RTMPose's scores are heights of peaks, some above 1.
        return self._collector.detections(recording_name(self.path), self.layout, score_limit=math.inf)


def _frame(value: object, path: AnyPath) -> tuple[int, list[Any]]:
    number = value.get("frame_id") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or type(number) is not int:
        fix = "Expected what MMPose 1.x writes for a video: frame_id and instances for each frame."
        person = value[0] if isinstance(value, list) and value else value
        if isinstance(person, Mapping) and "keypoints" in person:
            problem = "it holds the persons of one image, expected the frames of a video"
            raise InputError(problem, file=path, fix="Give the folder of the files of all images, named by frames.")
        actual = number if isinstance(value, Mapping) else value
        raise InputError(f"expected a whole number, got {short_repr(actual)}", file=path, field="frame_id", fix=fix)
    instances = value.get("instances")
    if not isinstance(instances, list) or len(instances) > MOST_PERSONS:
        expected = f"expected a list of up to {MOST_PERSONS} persons, got {short_repr(instances)}"
        problem = f"frame_id {short_repr(number)}: {expected}"
        raise InputError(problem, file=path, field="instances")
    return number, instances


def _list(person: object, field: str, where: str, path: AnyPath) -> list[Any]:
    value = person.get(field) if isinstance(person, Mapping) else None
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: expected a list, got {short_repr(value)}", file=path, field=field)
    return value


def _add(
    collector: Collector, layout: SkeletonLayout, frame: int, points: list[Any], scores: list[Any], where: str,
    file: AnyPath,
) -> None:  # fmt: skip
    joints = layout.num_joints
    if len(points) != joints or not all(isinstance(point, list) and len(point) == 2 for point in points):
        size = len(points[0]) if isinstance(points[0], list) else 0
        problem = f"{where}: expected {joints} points (x, y) of layout {layout.name!r}, got {len(points)} of {size} "
        fix = "--layout says what the joints of the file are, --to what is made of them."
        raise InputError(f"{problem}numbers", file=file, field="keypoints", fix=fix)
    if len(scores) != joints:
        problem = f"{where}: expected {joints} scores, got {len(scores)}"
        raise InputError(problem, file=file, field="keypoint_scores")
    values = [number for point, score in zip(points, scores, strict=True) for number in (*point, score)]
    collector.add(frame, -1, values, where, "keypoints", file)


def _layout(joints: int, names: object, path: AnyPath) -> SkeletonLayout:
    if joints not in _BY_NUMBER:
        fix = "Name the layout, or a file that describes it, with --layout."
        raise InputError(f"{joints} joints are no layout that is known by its number", file=path, fix=fix)
    layout = get_layout(_BY_NUMBER[joints])
    if isinstance(names, Mapping) and len(names) == joints:
        theirs = [str(names.get(str(joint), "")) for joint in range(joints)]
        wrong = [(a, b) for a, b in zip(theirs, layout.joints, strict=True) if body_point(a) != body_point(b)]
        if wrong:
            problem = f"its {joints} joints are not those of {layout.name!r}: {wrong[0][0]!r} where {wrong[0][1]!r} is"
            raise InputError(problem, file=path, field="keypoint_id2name", fix="Describe its layout with --layout.")
    return layout


def _parts(stream: JsonStream) -> Iterator[tuple[str, Any]]:
    """Frames with their list's key, and the values of other keys.

    The key of a bare list is ``""``.
    """
    if stream.sees("["):
        yield from (("", frame) for frame in stream.items())
    else:
        for key in stream.members():
            if key == FRAMES:
                yield from ((key, frame) for frame in stream.items())
            else:
                yield key, stream.value()
    stream.end()
