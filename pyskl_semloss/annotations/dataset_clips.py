"""The clips of one split as the hosts' datasets hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyskl_semloss.annotations.pickle_io import read_annotations
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
) -> list[dict[str, Any]]:
    """Read and check the clips that a dataset serves, in the order of the file.

    Args:
        ann_file: The annotation pickle.
        split: Read only this split.
        layout: The clips must have its joints.
        num_classes: Refuse labels that are not below it.
        test_mode: Keep clips without a single point, and without a label, so that every id gets a score.
        off_image: ``"drop"`` makes points outside the image missing ones, ``"keep"`` leaves them.
        binary_score: Every known point scores 1 and every missing one, (0, 0), scores 0.
        strict: Refuse whatever would be mended with a warning.

    Returns:
        Entries of the hosts' annotation format, see docs/annotations.md.

    Raises:
        InputError: The file or a clip in it is not as docs/annotations.md says.
    """
    annotations, _ = read_annotations(
        ann_file,
        split=split,
        num_classes=num_classes,
        num_joints=None if layout is None else layout.num_joints,
        unknown_labels=test_mode,
        zero_clips="keep" if test_mode else "drop",
        off_image=off_image,
        strict=strict,
    )
    entries = [clip.to_dict() for clip in annotations.clips]
    if binary_score:
        for entry in entries:
            entry["keypoint_score"] = entry["keypoint"].any(-1).astype(np.float32)
    return entries
