"""Reading, repairing and writing PySKL annotation pickles."""

from __future__ import annotations

import os
import warnings
from typing import Any

from pyskl_semloss.annotations.clip import AnnotationSet, Clip
from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.annotations.mending import ClipRules, clip_id, read_clip
from pyskl_semloss.errors import InputError, located
from pyskl_semloss.io.reading import AnyPath, short_repr
from pyskl_semloss.untrusted import safe_pickle


def read_annotations(
    path: AnyPath,
    *,
    split: str | None = None,
    num_classes: int | None = None,
    num_joints: int | None = None,
    unknown_labels: bool = False,
    zero_clips: str = "keep",
    off_image: str = "keep",
    strict: bool = False,
) -> tuple[AnnotationSet, ReadReport]:
    """Clips and splits of an annotation file, repaired where possible.

    All repairs are told in one warning. Other defects are errors.

    Args:
        path: A pickle of ``{"split": {name: [id, …]}, "annotations": [entry, …]}`` or of the list of entries alone.
        split: Read only the clips of this split; the others are not looked at.
        num_classes: Refuse labels that are not below it.
        num_joints: Refuse clips with another number of joints.
        unknown_labels: Allow the label -1.
        zero_clips: ``"drop"`` leaves out clips whose coordinates are all zero (training); ``"keep"`` keeps them, so
            that every id gets a score (testing).
        off_image: ``"drop"`` makes every point outside its image a missing one, ``"keep"`` leaves it.
        strict: Refuse whatever would be mended.

    Returns:
        The clips in the order of the file (float32) with their splits, and the report. With ``split``, the set has
        that split alone. Every id in a split has a clip.

    Raises:
        InputError: A defect that is not mended; names file, clip and field.
    """
    report = ReadReport(file=path, strict=strict)
    with located(file=path):
        if zero_clips not in ("keep", "drop"):
            raise InputError(f"expected 'keep' or 'drop', got {zero_clips!r}", field="zero_clips")
        rules = ClipRules(num_classes, num_joints, unknown_labels, off_image)
        splits, entries = _parts(safe_pickle.load(path), split)
        splits = {name: _distinct(ids, name, report) for name, ids in splits.items()}
        wanted = None if split is None else set(splits[split])
        clips = _read_clips(entries, wanted, rules, report)
        splits = _with_clips(splits, clips, report)
        if zero_clips == "drop":
            clips, splits = _without_zero_clips(clips, splits, report)
        _check_not_empty(clips, splits, split, report)
    _note(clips, splits, report)
    exchanged = sum(map(_fits_exchanged, clips))
    if 2 * exchanged > len(clips):
        warnings.warn(
            f"{os.fspath(path)}: {exchanged} of {len(clips)} clips fit into their images only with height and width "
            "exchanged; img_shape is (height, width)",
            stacklevel=2,
        )
    if report.warning:
        warnings.warn(report.warning, stacklevel=2)
    return AnnotationSet(splits, clips), report


def write_annotations(path: AnyPath, annotations: AnnotationSet) -> None:
    """Write an annotation pickle, whole or not at all.

    Both hosts and plain ``pickle.load`` read it, on numpy 1.21 to 2.x.

    Raises:
        InputError: Two clips share an id, an id in a split has no clip, or somebody changed the file that is there.
    """
    known: set[str] = set()
    for clip in annotations.clips:
        if clip.frame_dir in known:
            raise InputError("two clips have this id", file=path, clip=clip.frame_dir, field="frame_dir")
        known.add(clip.frame_dir)
    for name, ids in annotations.splits.items():
        orphans = [item for item in ids if item not in known]
        if orphans:
            raise InputError(
                f"{len(orphans)} ids of split {name!r} have no clip: {orphans[:3]}", file=path, field="split"
            )
    content = {
        "split": {name: list(ids) for name, ids in annotations.splits.items()},
        "annotations": [clip.to_dict() for clip in annotations.clips],
    }
    safe_pickle.dump(content, path)


def _parts(content: object, split: str | None) -> tuple[dict[str, list[Any]], list[Any]]:
    if isinstance(content, list):
        content = {"split": {}, "annotations": content}
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        fix = "A PySKL annotation file is {'split': {name: [id, …]}, 'annotations': [entry, …]}."
        raise InputError("expected a dict with a list 'annotations'", fix=fix)
    splits = content.get("split", {})
    if not isinstance(splits, dict) or not all(
        isinstance(name, str) and isinstance(ids, (list, tuple)) for name, ids in splits.items()
    ):
        raise InputError("expected a dict of lists of clip ids by the names of the splits", field="split")
    if split is None:
        return splits, content["annotations"]
    if split not in splits:
        known = ", ".join(repr(name) for name in splits) or "none"
        add = None if splits else "Add 'split': {name: [frame_dir, …]} beside 'annotations'."
        raise InputError(f"expected one of the splits of this file ({known}), got {split!r}", field="split", fix=add)
    return {split: splits[split]}, content["annotations"]


def _distinct(ids: list[Any], split: str, report: ReadReport) -> list[str]:
    seen: dict[str, None] = {}
    for item in ids:
        if not isinstance(item, str):
            raise InputError(f"expected strings in split {split!r}, got {short_repr(item)}", field="split")
        if item in seen:
            report.add("duplicate_ids", item, where="split")
        seen[str(item)] = None
    return list(seen)


def _read_clips(entries: list[Any], wanted: set[str] | None, rules: ClipRules, report: ReadReport) -> list[Clip]:
    clips: dict[str, Clip] = {}
    joints: int | None = None
    for entry in entries:
        name = clip_id(entry)
        if wanted is not None and name not in wanted:
            continue
        report.clips_read += 1
        clip = read_clip(entry, rules, report)
        if name in clips:
            if not clip.same_as(clips[name]):
                raise InputError("two different clips have this id", clip=name, field="frame_dir")
            report.add("duplicate_clips", name, where="frame_dir")
            continue
        joints = joints or clip.keypoint.shape[2]
        if clip.keypoint.shape[2] != joints:
            problem = f"it has {clip.keypoint.shape[2]} joints, but the clips before it have {joints}"
            raise InputError(problem, clip=name, field="keypoint")
        clips[name] = clip
    return list(clips.values())


def _with_clips(splits: dict[str, list[str]], clips: list[Clip], report: ReadReport) -> dict[str, list[str]]:
    known = {clip.frame_dir for clip in clips}
    for ids in splits.values():
        for item in ids:
            if item not in known:
                report.add("ids_without_clip", item, where="split")
    return {name: [item for item in ids if item in known] for name, ids in splits.items()}


def _without_zero_clips(
    clips: list[Clip], splits: dict[str, list[str]], report: ReadReport
) -> tuple[list[Clip], dict[str, list[str]]]:
    zero = {clip.frame_dir for clip in clips if not clip.keypoint.any()}
    for name in sorted(zero):
        report.add("zero_clips_dropped", name, where="keypoint")
    kept = [clip for clip in clips if clip.frame_dir not in zero]
    return kept, {name: [item for item in ids if item not in zero] for name, ids in splits.items()}


def _check_not_empty(clips: list[Clip], splits: dict[str, list[str]], split: str | None, report: ReadReport) -> None:
    zero = report.counts["zero_clips_dropped"]
    if clips and (split is None or splits[split]):
        return
    where = "it" if split is None else f"the split {split!r}"
    problem = f"the {zero} clips of {where} have no point, only zeros or NaN" if zero else f"{where} has no clip"
    raise InputError(problem, field="annotations" if split is None else "split")


def _fits_exchanged(clip: Clip) -> bool:
    """Whether the points fit only an image with exchanged sides.

    A tenth of the points or more lie outside the image, and none lies outside the exchanged one.
    """
    height, width = clip.img_shape
    points = clip.keypoint.reshape(-1, 2)
    right, bottom = points.max(0).tolist()
    if (right < width and bottom < height) or right >= height or bottom >= width:
        return False
    return bool((points >= (width, height)).any(1).mean() >= 0.1)


def _note(clips: list[Clip], splits: dict[str, list[str]], report: ReadReport) -> None:
    report.clips_kept = len(clips)
    placed = {item for ids in splits.values() for item in ids}
    for clip in clips:
        filled = clip.keypoint.any(axis=(0, 2, 3))
        if not filled.any():
            report.add("zero_clips", clip.frame_dir)
        else:
            report.add("zero_frames", clip.frame_dir, clip.total_frames - int(filled.sum()))
        if clip.total_frames == 1:
            report.add("one_frame_clips", clip.frame_dir)
        if splits and clip.frame_dir not in placed:
            report.add("clips_without_split", clip.frame_dir)
