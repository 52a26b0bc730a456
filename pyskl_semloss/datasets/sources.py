"""Search for the videos of a raw data set."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pyskl_semloss.datasets.findings import Findings
from pyskl_semloss.datasets.formats import command_of
from pyskl_semloss.datasets.raw_format import RawFormat
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, is_system_file, missing_file_error

_GROUP = re.compile(r"(?:^|[^a-z])(train|val|test)")


@dataclass(frozen=True)
class VideoFiles:
    """Files of one video and the split named by its parent folders.

    The split is empty where the folders name none.
    """

    name: str
    skeletons: str
    labels: str
    group: str


def find_videos(source: AnyPath, raw: RawFormat, findings: Findings) -> list[VideoFiles]:
    """Find the videos below a folder, at any depth, sorted by name.

    Args:
        source: The folder.
        raw: The data set.
        findings: Counts videos that lack a file, and folders that cannot be read.

    Raises:
        InputError: There is no such folder or no video in it, two folders have one name, or the findings are strict
            and a video lacks a file or a folder cannot be read.
    """
    if not Path(source).is_dir():
        fix = f"Give the folder with the videos of {raw.name}."
        if not os.path.exists(source):
            raise missing_file_error(source, "folder", fix)
        raise InputError("it is a file, expected a folder", file=source, fix=fix)
    videos: dict[str, VideoFiles] = {}
    for folder, names in _folders(source, findings):
        video = _video(folder, names, Path(source), raw, findings)
        if video is None:
            continue
        if video.name in videos:
            other = Path(videos[video.name].skeletons).parent
            raise InputError(f"the video {video.name!r} is in {other} too", file=folder, fix="Keep one of the two.")
        videos[video.name] = video
    if not videos:
        layout = f"<id>/<id>{raw.skeleton_suffix} beside <id>/<id>{raw.label_suffix}"
        reasons = "".join(f"; {line}" for line in findings.lines())
        kit = any(name.endswith(("_data.npy", "_label.pkl")) for name in os.listdir(source))
        way = f"These are arrays of a challenge kit: take the command {command_of(raw, 'kit')}." if kit else None
        raise InputError(f"no video of {raw.name} is below it (expected {layout}{reasons})", file=source, fix=way)
    return [videos[name] for name in sorted(videos)]


def _folders(source: AnyPath, findings: Findings) -> list[tuple[Path, list[str]]]:
    unreadable: list[OSError] = []
    folders = []
    seen: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(source, onerror=unreadable.append, followlinks=True):
        seen.add(_identity(folder))
        # Links may lead round in circles; a link to what was seen already leads nowhere new.
        paths = {name: os.path.join(folder, name) for name in below}
        below[:] = sorted(
            name
            for name in below
            if not is_system_file(name) and not (os.path.islink(paths[name]) and _identity(paths[name]) in seen)
        )
        folders.append((Path(folder), names))
    for error in unreadable:
        findings.add("videos_unreadable", f"the folder cannot be read ({error.strerror})", file=error.filename)
    return folders


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _video(folder: Path, names: list[str], source: Path, raw: RawFormat, findings: Findings) -> VideoFiles | None:
    skeletons, labels = folder.name + raw.skeleton_suffix, folder.name + raw.label_suffix
    if skeletons in names and labels in names:
        return VideoFiles(folder.name, str(folder / skeletons), str(folder / labels), _group(folder, source))
    if skeletons in names:
        findings.add("videos_without_labels", f"there is no {labels} beside it", file=folder / skeletons)
    elif labels in names:
        findings.add("videos_without_skeletons", f"there is no {skeletons} beside it", file=folder / labels)
    elif folder != source and raw.is_video(folder.name):
        findings.add("videos_without_files", f"expected {skeletons} and {labels} in it", file=folder)
    return None


def _group(folder: Path, source: Path) -> str:
    for part in reversed(folder.relative_to(source).parts[:-1]):
        if match := _GROUP.search(part.lower()):
            return match[1]
    return ""
