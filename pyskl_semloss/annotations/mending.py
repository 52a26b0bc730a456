"""Validation and repair of a single clip from a real file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.annotations.clip import Clip, check_keypoint_shape, describe_value
from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import short_repr
from pyskl_semloss.io.resources import documentation

OFF_IMAGE_FACTOR = 10.0
"""A coordinate beyond this multiple of the longer image side is a code for "missing", not a position."""
SCORE_LIMIT = 1.5
"""OpenPose's scores may exceed 1 a little; beyond this they are on another scale."""
MAX_METRES = 10.0
"""Smaller coordinates of a whole clip are probably metres or shares of the image, if the next two do not hold."""
MIN_IMAGE_SIDE = 100
"""Px; small coordinates are plausible in an image whose sides are all shorter."""
MIN_POINTS = 10
"""Small coordinates are plausible in a clip with fewer points."""
MAX_INT32 = 2**31 - 1
"""Labels and image sides beyond it do not fit a tensor."""
REQUIRED = ("frame_dir", "label", "img_shape", "total_frames", "keypoint")
KNOWN = {*REQUIRED, "original_shape", "keypoint_score"}


@dataclass(frozen=True)
class ClipRules:
    """Requirements on the clips of a file.

    Attributes:
        num_classes: Labels must be below it; None for any.
        num_joints: Every clip must have so many; None for any.
        unknown_labels: Whether label -1 is allowed.
        off_image: ``"drop"`` makes every point outside its image a missing one, ``"keep"`` leaves it.
    """

    num_classes: int | None = None
    num_joints: int | None = None
    unknown_labels: bool = False
    off_image: str = "keep"

    def __post_init__(self) -> None:
        if self.off_image not in ("keep", "drop"):
            raise InputError(f"expected 'keep' or 'drop', got {self.off_image!r}", field="off_image")


def read_clip(raw: Mapping[str, Any], rules: ClipRules, report: ReadReport) -> Clip:
    """Valid clip from an entry of an annotation file.

    The entry's arrays are not changed.

    Args:
        raw: The entry.
        rules: What is asked for.
        report: Counts what is mended; when it is strict, refuses instead.

    Raises:
        InputError: A defect that cannot be mended; names clip and field.
    """
    name = clip_id(raw)
    missing = [key for key in REQUIRED if key not in raw]
    if missing:
        raise InputError(f"expected the keys {', '.join(REQUIRED)}, but {', '.join(missing)} is absent", clip=name)
    if len(raw) > len(REQUIRED):
        report.add("unused_keys", name, len(raw.keys() - KNOWN))
    img_shape = _image_shape(raw["img_shape"], name, "img_shape")
    if "original_shape" not in raw:
        report.add("without_original_shape", name, where="original_shape")
    original_shape = _image_shape(raw.get("original_shape", img_shape), name, "original_shape")
    keypoint = _floats(raw["keypoint"], name, "keypoint")
    _check_extent(keypoint, raw["total_frames"], rules, name)
    if raw.get("keypoint_score") is None:
        report.add("without_score", name, where="keypoint_score")
        score = np.ones(keypoint.shape[:3], np.float32)
    else:
        score = _floats(raw["keypoint_score"], name, "keypoint_score")
        if score.shape != keypoint.shape[:3]:
            problem = f"expected the shape {keypoint.shape[:3]} (M, T, V), got {score.shape}"
            raise InputError(problem, clip=name, field="keypoint_score")
    score = mend_scores(score, name, report)
    keypoint, score = mend_points(keypoint, score, img_shape, name, report)
    if rules.off_image == "drop":
        keypoint, score = _drop_off_image(keypoint, score, img_shape, name, report)
    return Clip(name, _label(raw["label"], rules, name), img_shape, original_shape, keypoint, score)


def clip_id(raw: object) -> str:
    """Clip id of an entry.

    Raises:
        InputError: The entry is no dict, or its ``frame_dir`` is absent or no string.
    """
    if not isinstance(raw, Mapping):
        raise InputError(f"expected every annotation to be a dict, got a {type(raw).__name__}", field="annotations")
    name = raw.get("frame_dir")
    if not isinstance(name, str) or not name:
        raise InputError(f"expected a non-empty string, got {short_repr(name)}", field="frame_dir")
    if "\0" in name or not (name.isascii() or all(not "\ud800" <= letter <= "\udfff" for letter in name)):
        problem = f"{short_repr(name)} holds a NUL character or half a surrogate pair, which cannot be stored"
        raise InputError(problem, field="frame_dir")
    return str(name)


def _label(value: object, rules: ClipRules, name: str) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InputError(f"expected a whole number, got {short_repr(value)}", clip=name, field="label")
    label = int(value)
    if label == -1 and not rules.unknown_labels:
        raise InputError("the label is unknown (-1), which is not allowed here", clip=name, field="label")
    if not -1 <= label <= MAX_INT32 or (rules.num_classes is not None and label >= rules.num_classes):
        below = "" if rules.num_classes is None else f" below {rules.num_classes}"
        raise InputError(
            f"expected a class index{below}, counted from 0, got {short_repr(label)}", clip=name, field="label"
        )
    return label


def _image_shape(value: Any, name: str, field: str) -> tuple[int, int]:
    try:
        height, width = value
        shape = int(height), int(width)
        if shape == (height, width) and 0 < min(shape) and max(shape) <= MAX_INT32:
            return shape
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(
        f"expected (height, width), two whole numbers above 0, got {short_repr(value)}", clip=name, field=field
    )


def _floats(value: object, name: str, field: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise InputError(f"expected a numpy array of numbers, got {describe_value(value)}", clip=name, field=field)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is then mended
        return value.astype(np.float32, copy=False)


def _check_extent(keypoint: np.ndarray, total_frames: object, rules: ClipRules, name: str) -> None:
    check_keypoint_shape(keypoint.shape, name)
    frames, joints = keypoint.shape[1:3]
    if not isinstance(total_frames, (int, float, np.number)) or total_frames != frames:
        problem = (
            f"it is {short_repr(total_frames)}, but keypoint, (M persons, T frames, V joints, 2), is {keypoint.shape}"
        )
        raise InputError(
            problem, clip=name, field="total_frames", fix=f"Set it to {frames}, or mend the order of axes."
        )
    if rules.num_joints is not None and joints != rules.num_joints:
        fix = f"Name the layout of {joints} joints that the clips have; {documentation('skeletons')} lists them."
        raise InputError(f"expected {rules.num_joints} joints, got {joints}", clip=name, field="keypoint", fix=fix)


def mend_scores(score: np.ndarray, name: str, report: ReadReport, limit: float = SCORE_LIMIT) -> np.ndarray:
    """Scores (…, V) clipped to 0 to 1.

    Scores out of this range are counted; one above ``limit`` is an error.
    """
    low, high = score.min(), score.max()
    if low >= 0 and high <= 1:  # false for NaN
        return score
    wrong = ~np.isfinite(score)
    report.add("scores_not_finite", name, int(wrong.sum()), where="keypoint_score")
    score = np.where(wrong, np.float32(0), score)
    if score.max() > limit:
        problem = f"expected scores from 0 to 1 (up to {limit} is cut to 1), got {score.max():g}"
        fix = "Bring percentages or tracking states to 0 to 1."
        raise InputError(problem, clip=name, field="keypoint_score", fix=fix)
    report.add("scores_negative", name, int((score < 0).sum()), where="keypoint_score")
    report.add("scores_above_one", name, int((score > 1).sum()), where="keypoint_score")
    return score.clip(0, 1)


def mend_points(
    keypoint: np.ndarray, score: np.ndarray, img_shape: tuple[int, int], name: str, report: ReadReport
) -> tuple[np.ndarray, np.ndarray]:
    """Points (…, V, 2) and scores without invalid coordinates, which are counted."""
    limit = OFF_IMAGE_FACTOR * max(img_shape)
    size = np.abs(keypoint)
    if size.max() <= limit:  # false for NaN
        if size.max() < MAX_METRES:
            _check_pixels(keypoint, img_shape, name)
        return keypoint, score
    size = size.max(-1)
    wrong = ~np.isfinite(size)
    report.add("points_not_finite", name, int(wrong.sum()), where="keypoint")
    absurd = ~wrong & (size > limit)
    report.add("points_absurd", name, int(absurd.sum()), where="keypoint")
    return without_points(keypoint, score, wrong | absurd)


def _check_pixels(keypoint: np.ndarray, img_shape: tuple[int, int], name: str) -> None:
    """Check that coordinates are px, not metres or shares of the image.

    Heat maps of such coordinates would be a blot in the image's corner.
    """
    if max(img_shape) < MIN_IMAGE_SIDE or np.count_nonzero(keypoint.any(-1)) < MIN_POINTS:
        return
    if np.abs(keypoint).max() <= 1 or (keypoint < 0).mean() > 0.2:
        problem = (
            f"expected px of an image of {img_shape} (height, width), got coordinates from {keypoint.min():.3g} to "
        )
        problem += f"{keypoint.max():.3g}"
        fix = "Multiply shares of the image by its width and height; of metres take the projection into the image."
        raise InputError(problem, clip=name, field="keypoint", fix=fix)


def _drop_off_image(
    keypoint: np.ndarray, score: np.ndarray, img_shape: tuple[int, int], name: str, report: ReadReport
) -> tuple[np.ndarray, np.ndarray]:
    height, width = img_shape
    x, y = keypoint[..., 0], keypoint[..., 1]
    outside = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    count = int(outside.sum())
    report.add("points_off_image", name, count)
    return without_points(keypoint, score, outside) if count else (keypoint, score)


def without_points(keypoint: np.ndarray, score: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Copies in which the masked points (M, T, V) are missing.

    A missing point is (0, 0) with score 0.
    """
    return np.where(missing[..., None], np.float32(0), keypoint), np.where(missing, np.float32(0), score)
