"""Conversion of pickles and clips to keypoint stores, and back."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.findings import MENDED, ReadReport
from pyskl_semloss.annotations.mending import ClipRules, read_clip
from pyskl_semloss.annotations.pickles import read_annotations, write_annotations
from pyskl_semloss.annotations.store import (
    FORMAT,
    HEAD,
    LAYOUT,
    LONGEST_ID,
    MENDED_CLIP,
    MOST_POINTS,
    VERSION,
    ZERO,
    ZERO_INSIDE,
    KeypointStore,
    is_store,
)
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.files import acquire_lock, atomic_folder, sha256
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.untrusted import safe_pickle

SPLIT_DEFECTS = ("duplicate_ids", "ids_without_clip")
"""The kinds of mending that concern a split, not a clip."""


def pickle_to_store(source: AnyPath, path: AnyPath, *, strict: bool = False) -> ReadReport:
    """Convert an annotation pickle with all its splits to a store.

    Args:
        source: The pickle.
        path: The folder to make; a store that is there is replaced when the new one is whole.
        strict: Refuse whatever would be mended with a warning.

    Returns:
        What was mended; the store remembers which clips and splits, for datasets that are ``strict``.

    Raises:
        InputError: The pickle is not as docs/annotations.md says, or something that is no store lies at ``path``.
    """
    check_target(path)
    with acquire_lock(path, "writes", beside=True):
        return _convert(source, path, strict)


def _convert(source: AnyPath, path: AnyPath, strict: bool) -> ReadReport:
    annotations, report = read_annotations(source, unknown_labels=True, strict=strict)
    mended_splits = []
    if any(report.counts[kind] for kind in SPLIT_DEFECTS):
        before = safe_pickle.load(source)["split"]
        mended_splits = [name for name, ids in annotations.splits.items() if len(ids) != len(before[name])]
    mended = {name for kind in MENDED if kind not in SPLIT_DEFECTS for name in report.examples.get(kind, ())}
    notes = {
        "source": {"name": Path(source).name, "sha256": sha256(source)},
        "mended": {kind: report.counts[kind] for kind in MENDED if report.counts[kind]},
        "mended_splits": mended_splits,
    }
    _write(path, annotations.clips, annotations.splits, mended, notes)
    return report


def store_to_pickle(path: AnyPath, target: AnyPath) -> int:
    """Convert a store to an annotation pickle; returns the number of clips.

    Raises:
        InputError: There is no store, it is damaged, or ``target`` is a folder.
    """
    if os.path.isdir(target):
        raise InputError("expected a file to write, got a folder", file=target)
    annotations = KeypointStore(path).annotations()
    write_annotations(target, annotations)
    return len(annotations.clips)


def write_store(
    path: AnyPath,
    clips: Iterable[Clip],
    splits: Mapping[str, Iterable[str]],
    *,
    mended: Collection[str] = (),
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a store clip by clip, whole or not at all.

    The set need not fit into memory.

    Args:
        path: The folder to make; a store that is there is replaced when the new one is whole.
        clips: The clips, all with the same number of joints.
        splits: Ids of the clips of each split; looked at after the last clip.
        mended: Ids of clips that were mended when they were read.
        notes: Entries for the head of the store, see :func:`pickle_to_store`.

    Raises:
        InputError: Two clips share an id, an id in a split has no clip or stands there twice, a clip holds what the
            reader of pickles would mend, something that is no store lies at ``path``, or another process writes it.
    """
    check_target(path)
    with acquire_lock(path, "writes", beside=True):
        _write(path, clips, splits, mended, notes or {})


def _write(
    path: AnyPath,
    clips: Iterable[Clip],
    splits: Mapping[str, Iterable[str]],
    mended: Collection[str],
    notes: Mapping[str, Any],
) -> None:
    with located(file=path):
        with atomic_folder(path) as folder:
            head = _write_files(folder, clips, splits, mended)
            _write_head(folder / HEAD, {**head, "source": None, "mended": {}, "mended_splits": [], **notes})


def check_target(path: AnyPath) -> None:
    """Check that a path is free, an empty folder, or a store."""
    there = Path(path)
    if is_store(there):
        own = {HEAD, *(f"{name}.npy" for name in LAYOUT)}
        if others := sorted({entry.name for entry in os.scandir(there)} - own):
            problem = "there is a keypoint store with other files in it, which would be lost"
            raise InputError(problem, file=path, items=others, fix="Move them elsewhere, or name another folder.")
    elif there.exists() and not (there.is_dir() and not any(there.iterdir())):
        problem = "there is something that is no keypoint store, which is not replaced"
        raise InputError(problem, file=path, fix="Name another folder, or remove it.")


class _Column:
    """Npy file that grows row by row."""

    def __init__(self, folder: Path, name: str, stack: contextlib.ExitStack) -> None:
        self.dtype, self.axes = LAYOUT[name]
        self.rows = 0
        self.stream = stack.enter_context(open(folder / f"{name}.npy", "wb"))
        self._write_header()
        self.start = self.stream.tell()

    def _write_header(self) -> None:
        content = {"descr": self.dtype, "fortran_order": False, "shape": (self.rows, *self.axes)}
        np.lib.format.write_array_header_1_0(self.stream, content)

    def add(self, values: Any) -> None:
        array = np.ascontiguousarray(values, self.dtype).reshape(-1, *self.axes)
        self.stream.write(array.data)
        self.rows += len(array)

    def close(self) -> None:
        self.stream.seek(0)
        self._write_header()
        if self.stream.tell() != self.start:
            raise RuntimeError("numpy wrote a longer header for more rows")
        self.stream.flush()
        os.fsync(self.stream.fileno())


def _write_files(
    folder: Path, clips: Iterable[Clip], splits: Mapping[str, Iterable[str]], mended: Collection[str]
) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        columns = {name: _Column(folder, name, stack) for name in LAYOUT}
        columns["offsets"].add([0])
        columns["id_offsets"].add([0])
        numbers: dict[str, int] = {}
        joints: int | None = None
        for clip in clips:
            if clip.frame_dir in numbers:
                raise InputError("two clips have this id", clip=clip.frame_dir, field="frame_dir")
            if clip.keypoint.shape[2] != (joints := joints or clip.keypoint.shape[2]):
                problem = f"it has {clip.keypoint.shape[2]} joints, but the clips before it have {joints}"
                raise InputError(problem, clip=clip.frame_dir, field="keypoint")
            numbers[clip.frame_dir] = len(numbers)
            _add_clip(columns, clip, clip.frame_dir in mended)
        if not numbers:
            raise InputError("it would have no clip", field="clips")
        counts = {name: _add_split(columns, numbers, name, ids) for name, ids in splits.items()}
        for column in columns.values():
            column.close()
    head = {"format": FORMAT, "version": VERSION, "clips": len(numbers), "points": columns["points"].rows}
    return {**head, "splits": counts}


def _add_clip(columns: dict[str, _Column], clip: Clip, mended: bool) -> None:
    report = ReadReport()
    # The very rules by which the clip will be served; with them, what is left of it inside its image.
    inside = read_clip(clip.to_dict(), ClipRules(unknown_labels=True, off_image="drop"), report)
    if report.warning:
        defects = "; ".join(report.lines(MENDED))
        fix = "Write a pickle of the clips and convert that: reading it mends them."
        raise InputError(f"expected a clip that needs no mending ({defects})", clip=clip.frame_dir, fix=fix)
    try:
        name = clip.frame_dir.encode()
        columns["labels"].add([clip.label])
        columns["image_sizes"].add([*clip.img_shape, *clip.original_shape])
    except (UnicodeEncodeError, OverflowError) as error:
        raise InputError(f"an id, label or image size cannot be stored ({error})", clip=clip.frame_dir) from None
    if len(name) > LONGEST_ID or clip.keypoint_score.size > MOST_POINTS:
        problem = f"expected an id of at most {LONGEST_ID} bytes and at most {MOST_POINTS} points"
        raise InputError(f"{problem}, got {len(name)} and {clip.keypoint_score.size}", clip=clip.frame_dir[:80])
    columns["ids"].add(np.frombuffer(name, np.uint8))
    columns["id_offsets"].add([columns["ids"].rows])
    columns["points"].add(clip.keypoint)
    columns["scores"].add(clip.keypoint_score)
    columns["offsets"].add([columns["points"].rows])
    columns["sizes"].add(clip.keypoint.shape[:3])
    flags = (ZERO * (not clip.keypoint.any())) | (ZERO_INSIDE * (not inside.keypoint.any())) | (MENDED_CLIP * mended)
    columns["flags"].add([flags])


def _add_split(columns: dict[str, _Column], numbers: dict[str, int], name: str, ids: Iterable[str]) -> int:
    ids = list(ids)
    orphans = [item for item in ids if item not in numbers]
    if orphans:
        raise InputError(f"{len(orphans)} ids of split {name!r} have no clip: {orphans[:3]}", field="split")
    if len(set(ids)) != len(ids):
        raise InputError(f"an id stands twice in split {name!r}", field="split")
    columns["split_clips"].add([numbers[item] for item in ids])
    return len(ids)


def _write_head(path: Path, head: Mapping[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(head, stream, indent=1)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
