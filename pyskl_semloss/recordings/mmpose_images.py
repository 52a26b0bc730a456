"""A folder of JSON files, one an image, as MMPose 1.x's inferencer writes them for a folder of images."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.folders import list_folder
from pyskl_semloss.io.reading import TEXT_LIMIT, open_regular, read_text, reason, shown
from pyskl_semloss.recordings.detections import MOST_PERSONS
from pyskl_semloss.recordings.json_stream import JsonStream

_IMAGE = re.compile(r"(?P<name>.*?)(?P<frame>\d+)\.json", re.IGNORECASE)
_PERSONS = re.compile(r"\s*\[\s*(?:\[\s*)?\{\s*\"(?:keypoints|keypoint_scores|bbox|bbox_score)\"")
_NOBODY = re.compile(r"\s*\[\s*(?:\[\s*\]\s*)?\]\s*")


def is_image_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has a file for each image, as MMPose's inferencer writes them for a folder of images."""
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


def image_files(folder: str | os.PathLike[str]) -> list[tuple[int, Path]]:
    """Frame, counted from 0, and file of each image, in the order of the frames.

    Raises:
        InputError: A name has no number, or the images are of several videos.
    """
    found: dict[int, Path] = {}
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
        if frame in found:
            raise InputError(f"frame {frame} is in {found[frame].name} too", file=path)
        found[frame] = path
    if not found:
        raise InputError("no .json of an image is in this folder", file=folder)
    first = int(min(found) == 1)
    return [(frame - first, path) for frame, path in sorted(found.items())]


def persons_of_image(path: Path) -> list[Any]:
    """The persons in the file of an image; some versions of MMPose put the list into another.

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
        raise InputError(f"expected a list of up to {MOST_PERSONS} persons, got {shown(value)}", file=path,
                         fix="A folder of images holds what MMPose writes for images, nothing else.")  # fmt: skip
    return value
