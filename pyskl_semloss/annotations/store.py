"""Keypoint stores: folders of npy files that serve single clips.

``store.json`` has the version and the counts, and beside it lies one ``.npy`` file for each of ``LAYOUT``. The clips
follow one another; clip ``i`` has the points ``offsets[i]`` to ``offsets[i + 1]``, in the order (M, T, V).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.arrays import NpyRows
from pyskl_semloss.io.files import restore_folder
from pyskl_semloss.io.reading import AnyPath, read_json, short_repr

HEAD = "store.json"
FORMAT, VERSION = "pyskl_semloss keypoint store", 1
LAYOUT: dict[str, tuple[str, tuple[int, ...]]] = {
    "points": ("<f4", (2,)),  # x, y in px
    "scores": ("<f4", ()),
    "offsets": ("<i8", ()),  # one more than clips
    "sizes": ("<i8", (3,)),  # M, T, V
    "labels": ("<i8", ()),
    "image_sizes": ("<i8", (4,)),  # height, width of img_shape, then of original_shape
    "ids": ("|u1", ()),  # UTF-8, one behind the other
    "id_offsets": ("<i8", ()),  # one more than clips
    "flags": ("|u1", ()),
    "split_clips": ("<i8", ()),  # the clips of the first split, in its order, then of the next
}
"""Each file's number type and the axes behind its first."""
ZERO, ZERO_INSIDE, MENDED_CLIP = 1, 2, 4
"""Flags of a clip: no point at all; no point inside its image; mended when the store was made."""
MOST_CLIPS, MOST_POINTS, LONGEST_ID = 10**8, 1 << 26, 4096
"""Clips of a store, points of a clip (half a gigabyte), bytes of an id: files with holes may claim any number."""
BLOCK = 1 << 20
"""Clips that are checked at a time, so that opening needs little memory, however many there are."""


def is_store(path: AnyPath) -> bool:
    """True if the folder is a keypoint store, whole or damaged."""
    restore_folder(path)
    return os.path.isfile(os.path.join(path, HEAD))


class KeypointStore:
    """Open keypoint store with an index in memory.

    Points and scores of a clip are read on access.

    Opening reads the index, some 100 bytes for each clip, and checks that the files fit together, in time proportional
    to the number of clips. Forked workers share it, and spawned ones open the store again.

    Args:
        path: The folder.

    Attributes:
        splits: Clip numbers of each split, in the order of the split.
        labels: (N,) class indices, -1 where unknown.
        sizes: (N, 3) persons M, frames T and joints V.
        flags: (N,) ``ZERO``, ``ZERO_INSIDE`` and ``MENDED_CLIP``.
        mended_splits: Splits that named clips twice, or clips that are not there, in the file the store was made of.

    Raises:
        InputError: There is no store, or it is cut off, inconsistent or of another version; names the file.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = os.fspath(path)
        restore_folder(path)
        head = _read_head(self.path)
        self._count, num_points = head["clips"], head["points"]
        files = {name: _open(self.path, name) for name in LAYOUT}
        lengths = dict.fromkeys(LAYOUT, self._count) | {"points": num_points, "scores": num_points}
        lengths |= {"offsets": self._count + 1, "id_offsets": self._count + 1, "ids": len(files["ids"])}
        lengths["split_clips"] = sum(head["splits"].values())
        for name, length in lengths.items():
            if len(files[name]) != length:
                _refuse(self.path, name, f"expected {length} rows, as {HEAD} says, got {len(files[name])}")
        # All is read, nothing mapped: mapped pages of points would pile up in every worker, and a lost file system, or
        # a file that is cut short, would kill it.
        self._files = {name: files[name] for name in ("points", "scores")}
        index = {
            name: _rows(self.path, name, file, 0, len(file)) for name, file in files.items() if name not in self._files
        }
        _check(self.path, index, self._count, num_points)
        ends = np.cumsum(list(head["splits"].values()), dtype=np.int64)
        parts = np.split(index["split_clips"], ends[:-1]) if len(ends) else []
        self.splits = dict(zip(head["splits"], parts, strict=True))
        self.mended_splits: frozenset[str] = frozenset(head["mended_splits"])
        self.labels, self.sizes, self.flags = index["labels"], index["sizes"], index["flags"]
        self._offsets, self._image_sizes = index["offsets"], index["image_sizes"]
        self._ids, self._id_offsets = index["ids"], index["id_offsets"]

    def __len__(self) -> int:
        return self._count

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return KeypointStore, (self.path,)

    def __deepcopy__(self, memo: object) -> KeypointStore:
        return self

    def clip_id(self, number: int) -> str:
        """Id (``frame_dir``) of a clip."""
        start, stop = self._id_offsets[number : number + 2].tolist()
        return self._ids[start:stop].tobytes().decode()

    def info(self, number: int) -> dict[str, Any]:
        """An entry of the hosts' annotation format without its keypoints."""
        height, width, *original = self._image_sizes[number].tolist()
        return {
            "frame_dir": self.clip_id(number),
            "label": self.labels[number].item(),
            "img_shape": (height, width),
            "original_shape": tuple(original),
            "total_frames": self.sizes[number, 1].item(),
        }

    def entry(self, number: int) -> dict[str, Any]:
        """Entry of the hosts' annotation format with arrays of its own.

        Raises:
            InputError: A file has been cut off since the store was opened.
        """
        size, start = self.sizes[number].tolist(), self._offsets[number].item()
        entry = self.info(number)
        stop = start + size[0] * size[1] * size[2]
        for key, name in (("keypoint", "points"), ("keypoint_score", "scores")):
            rows = _rows(self.path, name, self._files[name], start, stop)
            entry[key] = rows.reshape(*size, *rows.shape[1:])
        return entry

    def annotations(self) -> AnnotationSet:
        """All clips, checked, with all splits.

        Raises:
            InputError: A clip holds what no clip may; names it.
        """
        entries = (self.entry(number) for number in range(self._count))
        with located(file=self.path):
            clips = [Clip(**{key: value for key, value in entry.items() if key != "total_frames"}) for entry in entries]
        ids = [clip.frame_dir for clip in clips]
        return AnnotationSet({name: [ids[i] for i in rows.tolist()] for name, rows in self.splits.items()}, clips)


def _refuse(path: str, name: str, problem: str) -> NoReturn:
    fix = "The store is damaged: make it anew with semloss prepare store."
    raise InputError(problem, file=os.path.join(path, f"{name}.npy"), fix=fix)


def _read_head(path: str) -> dict[str, Any]:
    file = os.path.join(path, HEAD)
    if not os.path.lexists(file):
        fix = f"A keypoint store is a folder with {HEAD}; semloss prepare store makes one of a pickle."
        raise InputError("expected a keypoint store, but there is no such file", file=file, fix=fix)
    head = read_json(file)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"expected the format {FORMAT!r}", file=file, field="format")
    if head.get("version") != VERSION:
        fix = "Make the store anew with semloss prepare store."
        raise InputError(f"expected version {VERSION}, got {short_repr(head.get('version'))}", file=file, fix=fix)
    splits, mended = head.get("splits"), head.get("mended_splits")
    if not isinstance(splits, dict) or not all(map(_is_count, splits.values())):
        raise InputError("expected a number of clips for each split", file=file, field="splits")
    if not isinstance(mended, list) or not all(isinstance(name, str) for name in mended):
        raise InputError("expected a list of names", file=file, field="mended_splits")
    if _is_count(head.get("clips")) and head["clips"] > MOST_CLIPS:
        raise InputError(f"expected at most {MOST_CLIPS}, got {head['clips']}", file=file, field="clips")
    for name in ("clips", "points"):
        if not _is_count(head.get(name)) or not head[name]:
            raise InputError(
                f"expected a whole number above 0, got {short_repr(head.get(name))}", file=file, field=name
            )
    return head


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _open(path: str, name: str) -> NpyRows:
    file, (dtype, axes) = os.path.join(path, f"{name}.npy"), LAYOUT[name]
    try:
        rows = NpyRows(file)
    except InputError as error:
        _refuse(path, name, error.problem)
    if rows.dtype != np.dtype(dtype) or rows.shape[1:] != axes:
        shape = ", ".join(["N", *map(str, axes)])
        _refuse(path, name, f"expected {dtype} ({shape}), got {rows.dtype.str} {rows.shape}")
    if not rows.c_contiguous:
        _refuse(path, name, "expected the order of C, got that of Fortran")
    return rows


def _rows(path: str, name: str, rows: NpyRows, start: int, stop: int) -> np.ndarray:
    try:
        return rows.read(start, stop)
    except InputError as error:
        _refuse(path, name, error.problem.replace("since it was", "since the store was"))


def _check(path: str, arrays: Mapping[str, np.ndarray], count: int, points: int) -> None:
    for name, total in (("offsets", points), ("id_offsets", len(arrays["ids"]))):
        if arrays[name][0] != 0 or arrays[name][-1] != total:
            _refuse(path, name, f"expected numbers from 0 to {total}, got {arrays[name][0]} to {arrays[name][-1]}")
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        _check_steps(path, arrays, start, stop)
        _check_sizes(path, arrays, start, stop, points)
        if arrays["labels"][start:stop].min() < -1:
            _refuse(path, "labels", "expected class indices or -1, got a number below")
        if arrays["image_sizes"][start:stop].min() < 1:
            _refuse(path, "image_sizes", "expected heights and widths above 0")
        if arrays["flags"][start:stop].max() > (ZERO | ZERO_INSIDE | MENDED_CLIP):
            _refuse(path, "flags", "expected only flags of this version")
        _check_ids(path, arrays, start, stop)
    members = arrays["split_clips"]
    if len(members) and not 0 <= members.min() <= members.max() < count:
        _refuse(path, "split_clips", f"expected clip numbers from 0 to {count - 1}, got one that is not")


def _check_steps(path: str, arrays: Mapping[str, np.ndarray], start: int, stop: int) -> None:
    for name, unit, most in (("offsets", "points", MOST_POINTS), ("id_offsets", "bytes", LONGEST_ID)):
        steps = np.diff(arrays[name][start : stop + 1])
        if steps.min() <= 0:
            _refuse(path, name, "expected each number above the one before")
        if steps.max() > most:
            _refuse(path, name, f"expected at most {most} {unit} for a clip, got {steps.max()}")


def _check_sizes(path: str, arrays: Mapping[str, np.ndarray], start: int, stop: int, total: int) -> None:
    sizes, points = arrays["sizes"][start:stop], np.diff(arrays["offsets"][start : stop + 1])
    # As floats first: the product of damaged numbers may not fit an int64.
    if sizes.min() < 1 or (np.prod(sizes, axis=1, dtype=float) > total).any():
        _refuse(path, "sizes", "expected persons, frames and joints, each above 0, within the points that there are")
    if (np.prod(sizes, axis=1) != points).any():
        _refuse(path, "sizes", "expected persons x frames x joints to be the points of the clip in offsets.npy")
    if (sizes[:, 2] != arrays["sizes"][0, 2]).any():
        _refuse(path, "sizes", "expected the same number of joints in all clips")


def _check_ids(path: str, arrays: Mapping[str, np.ndarray], start: int, stop: int) -> None:
    starts = arrays["id_offsets"][start:stop]
    text = arrays["ids"][starts[0] : arrays["id_offsets"][stop]]
    # Whole and cut between characters (0b10xxxxxx continues one), every single id is whole, too.
    whole = ((text[starts - starts[0]] & 0xC0) != 0x80).all()
    try:
        text.tobytes().decode()
    except UnicodeDecodeError:
        whole = False
    if not whole:
        _refuse(path, "ids", "expected UTF-8")
