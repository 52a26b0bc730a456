"""The clips of one split as the hosts' datasets hold them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np

from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import ClipRules, read_clip
from pyskl_semloss.annotations.pickles import read_annotations
from pyskl_semloss.annotations.store import MENDED_CLIP, ZERO, ZERO_INSIDE, KeypointStore
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.skeletons import SkeletonLayout


def dataset_clips(
    ann_file: str,
    *,
    split: str | None,
    layout: SkeletonLayout | None,
    num_classes: int | None,
    test_mode: bool,
    off_image: str,
    binary_score: bool,
    strict: bool,
) -> Sequence[dict[str, Any]]:
    """Checked clips of a dataset in file order.

    Args:
        ann_file: The annotation pickle, or the folder of a keypoint store.
        split: Read only this split.
        layout: The clips must have its joints.
        num_classes: Refuse labels that are not below it.
        test_mode: Keep clips without a single point, and without a label, so that every id gets a score.
        off_image: ``"drop"`` makes points outside the image missing ones, ``"keep"`` leaves them.
        binary_score: Every known point scores 1 and every missing one, (0, 0), scores 0.
        strict: Refuse whatever would be mended with a warning, or was when the store was made.

    Returns:
        Entries of the hosts' annotation format, see docs/annotations.md; of a store :class:`StoredClips`.

    Raises:
        InputError: The file or a clip in it is not as docs/annotations.md says.
    """
    num_joints = None if layout is None else layout.num_joints
    if os.path.isdir(ann_file):
        rules = ClipRules(num_classes, num_joints, unknown_labels=test_mode, off_image=off_image)
        return stored_clips(
            KeypointStore(ann_file), rules, split=split, keep_zero=test_mode, binary_score=binary_score, strict=strict
        )
    annotations, _ = read_annotations(
        ann_file,
        split=split,
        num_classes=num_classes,
        num_joints=num_joints,
        unknown_labels=test_mode,
        zero_clips="keep" if test_mode else "drop",
        off_image=off_image,
        strict=strict,
    )
    entries = [clip.to_dict() for clip in annotations.clips]
    if binary_score:
        for entry in entries:
            score_known_points(entry)
    return entries


@dataclass(frozen=True, eq=False)
class StoredClips(Sequence[dict[str, Any]]):
    """Sequence that reads and checks a clip of a store on access.

    Nothing is held for a clip but its number, so that loader workers share all of it.

    Attributes:
        store: The open store.
        numbers: (n,) the clips' numbers in the store.
        rules: What is asked of each clip.
        binary_score: Every known point scores 1 and every missing one 0.
    """

    store: KeypointStore
    numbers: np.ndarray
    rules: ClipRules
    binary_score: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> StoredClips: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | StoredClips:
        """One entry, or a selection; the entry's arrays are the caller's own."""
        if isinstance(index, slice):
            return replace(self, numbers=self.numbers[index])
        entry = self.store.entry(self.numbers[index].item())
        report = ReadReport()
        with located(file=self.store.path):
            clip = read_clip(entry, self.rules, report)
        if report.warning:
            raise InputError(
                "it has changed since it was checked, the store is damaged",
                file=self.store.path,
                clip=clip.frame_dir,
                field="keypoint",
                fix="Make the store anew with semloss prepare store.",
            )
        entry = clip.to_dict()
        if self.binary_score:
            score_known_points(entry)
        return entry

    def take(self, indices: Iterable[int]) -> StoredClips:
        """The clips at these indices, in this order."""
        return replace(self, numbers=self.numbers[np.fromiter(indices, np.int64)])

    def info(self, index: int) -> dict[str, Any]:
        """An entry without its keypoints, which are not read."""
        return self.store.info(self.numbers[index].item())


def stored_clips(
    store: KeypointStore, rules: ClipRules, *, split: str | None, keep_zero: bool, binary_score: bool, strict: bool
) -> StoredClips:
    """Clips of a split of a store, in store order.

    They are served as those of a pickle would be.

    Args:
        store: The open store.
        rules: What is asked of each clip.
        split: Only this split.
        keep_zero: Whether clips without a single point stay.
        binary_score: Every known point scores 1 and every missing one 0.
        strict: Refuse what was mended when the store was made, and clips that would be left out.

    Raises:
        InputError: A clip, or the split, is not as asked.
    """
    report = ReadReport(file=store.path, strict=strict)
    with located(file=store.path):
        numbers = _numbers(store, split)
        if strict:
            _refuse_mended(store, numbers, split)
        clips = StoredClips(store, numbers, rules, binary_score)
        _refuse_first_wrong(clips)
        if not keep_zero:
            zero = store.flags[numbers] & (ZERO_INSIDE if rules.off_image == "drop" else ZERO) != 0
            for name in sorted(map(store.clip_id, numbers[zero].tolist())):
                report.add("zero_clips_dropped", name, where="keypoint")
            clips = replace(clips, numbers=numbers[~zero])
        if not len(clips):
            where, zero = "it" if split is None else f"the split {split!r}", report.counts["zero_clips_dropped"]
            problem = f"the {zero} clips of {where} have no point, only zeros" if zero else f"{where} has no clip"
            raise InputError(problem, field="split")
    if report.warning:
        warnings.warn(report.warning, stacklevel=2)
    return clips


def _numbers(store: KeypointStore, split: str | None) -> np.ndarray:
    if split is None:
        return np.arange(len(store))
    if split not in store.splits:
        known = ", ".join(repr(name) for name in store.splits) or "none"
        raise InputError(f"expected one of the splits of this file ({known}), got {split!r}", field="split")
    return np.unique(store.splits[split])


def _refuse_mended(store: KeypointStore, numbers: np.ndarray, split: str | None) -> None:
    fix = "Without strict it is served as mended."
    wrong = [name for name in store.splits if name in store.mended_splits and split in (None, name)]
    if wrong:
        raise InputError(f"split {wrong[0]!r} was mended when the store was made", field="split", fix=fix)
    mended = numbers[store.flags[numbers] & MENDED_CLIP != 0]
    if len(mended):
        clip = store.clip_id(mended[0].item())
        raise InputError(f"{len(mended)} clips were mended when the store was made", clip=clip, fix=fix)


def _refuse_first_wrong(clips: StoredClips) -> None:
    """Raise the error of the first clip that breaks the rules."""
    store, rules, numbers = clips.store, clips.rules, clips.numbers
    labels = store.labels[numbers]
    wrong = np.zeros(len(numbers), bool) if rules.unknown_labels else labels == -1
    if rules.num_classes is not None:
        wrong |= labels >= rules.num_classes
    if rules.num_joints is not None:
        wrong |= store.sizes[numbers, 2] != rules.num_joints
    if wrong.any():
        clips[int(wrong.argmax())]


def score_known_points(entry: dict[str, Any]) -> None:
    """Set the scores of known points to 1, of others to 0."""
    entry["keypoint_score"] = entry["keypoint"].any(-1).astype(np.float32)
