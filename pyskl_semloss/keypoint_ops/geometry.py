"""Compact crop, random resized crop, resize and flip, on keypoints only.

``keypoint`` is (M, T, V, 2) = person, frame, joint, (x, y) in px; ``img_shape`` is (h, w) in px; a coordinate that is
exactly 0 is missing, for x and y apart, as in the hosts. No function changes its input. The arithmetic follows
MMAction2 1.x to the last bit; the sizes of a resize are those of ``mmcv.rescale_size``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.keypoint_ops.sampling import GLOBAL_RANDOM_STATE

Shape = tuple[int, int]
Box = tuple[int, int, int, int]
CROP_ATTEMPTS = 10


def compact_crop(
    keypoint: np.ndarray,
    img_shape: Shape,
    padding: float = 0.25,
    threshold: float = 10,
    hw_ratio: float | Sequence[float] | None = None,
    allow_imgpad: bool = True,
) -> tuple[np.ndarray, Shape]:
    """Keypoints cropped to the enlarged bounding box of all frames.

    Missing points stay missing, and NaN becomes missing. A box below ``threshold``, or one that leaves nothing of the
    image, crops nothing.

    Args:
        keypoint: (M, T, V, 2), px.
        img_shape: (h, w), px.
        padding: The box grows to ``1 + padding`` times its size.
        threshold: Smallest width and height, px, of a box that is used.
        hw_ratio: Height / width of the box, or the lowest and the highest one; None leaves it free.
        allow_imgpad: Whether the box may reach beyond the image.

    Returns:
        The keypoints relative to the box's upper left corner, and the box's (h, w).

    Raises:
        InputError: ``hw_ratio`` is no such number or range above 0; checked only if a box is used.

    Example:
        >>> keypoint = np.array([[[[20.0, 20.0], [60.0, 60.0]]]])
        >>> compact_crop(keypoint, (100, 100))
        (array([[[[ 5.,  5.],
                 [45., 45.]]]]), (50, 50))
    """
    keypoint = np.where(np.isnan(keypoint), keypoint.dtype.type(0), keypoint)
    present = keypoint != 0
    sides = [_center_and_size(keypoint[..., axis][present[..., axis]]) for axis in (0, 1)]
    (center_x, size_x), (center_y, size_y) = sides
    if size_x < threshold or size_y < threshold:
        return keypoint, img_shape

    half_w, half_h = size_x / 2 * (1 + padding), size_y / 2 * (1 + padding)
    if hw_ratio is not None:
        lowest, highest = ratio_range(hw_ratio)
        half_h = max(lowest * half_w, half_h)
        half_w = max(1 / highest * half_h, half_w)
    left, right, top, bottom = center_x - half_w, center_x + half_w, center_y - half_h, center_y + half_h
    if not allow_imgpad:
        left, right, top, bottom = max(0, left), min(img_shape[1], right), max(0, top), min(img_shape[0], bottom)
    new_shape = (int(bottom) - int(top), int(right) - int(left))
    if min(new_shape) < 1:
        return keypoint, img_shape
    corner = np.array((int(left), int(top)), dtype=keypoint.dtype)
    np.subtract(keypoint, corner, out=keypoint, where=present)
    return keypoint, new_shape


def _center_and_size(coordinates: np.ndarray) -> tuple[float, float]:
    if coordinates.size == 0:
        return 0.0, -np.inf
    low, high = coordinates.min(), coordinates.max()
    # Python floats: numpy 1 and 2 promote float32 scalars differently, and the box must not depend on the version.
    return float(high + low) / 2, float(high - low)


def draw_crop_box(
    img_shape: Shape,
    area_range: Sequence[float] = (0.08, 1.0),
    aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3),
    rng: np.random.RandomState | None = None,
    offset_rng: random.Random | None = None,
) -> Box:
    """Random box of a resized crop (Szegedy et al., "Going Deeper with Convolutions", CVPR 2015).

    Ten sizes are drawn, log-uniform in width / height and uniform in area; the first that fits is placed at random.
    When none fits, the box is the largest centred square.

    Args:
        img_shape: (h, w), px.
        area_range: Lowest and highest part of the image's area.
        aspect_ratio_range: Lowest and highest width / height.
        rng: Legacy numpy generator of the sizes; default numpy's global one.
        offset_rng: Generator of the place; default that of Python's ``random``.

    Returns:
        (left, top, right, bottom), px.

    Raises:
        InputError: A range that is not 0 < lowest <= highest, or areas above 1.
    """
    check_crop_ranges(area_range, aspect_ratio_range)
    rng = GLOBAL_RANDOM_STATE if rng is None else rng
    randint = random.randint if offset_rng is None else offset_rng.randint
    h, w = img_shape
    ratios = np.exp(rng.uniform(np.log(aspect_ratio_range[0]), np.log(aspect_ratio_range[1]), size=CROP_ATTEMPTS))
    areas = rng.uniform(area_range[0], area_range[1], size=CROP_ATTEMPTS) * (h * w)
    widths = np.round(np.sqrt(areas * ratios)).astype(int).tolist()
    heights = np.round(np.sqrt(areas / ratios)).astype(int).tolist()
    for box_w, box_h in zip(widths, heights, strict=True):
        if 1 <= box_w <= w and 1 <= box_h <= h:
            left = randint(0, w - box_w)
            top = randint(0, h - box_h)
            return left, top, left + box_w, top + box_h
    edge = min(h, w)
    left, top = (w - edge) // 2, (h - edge) // 2
    return left, top, left + edge, top + edge


def crop(keypoint: np.ndarray, box: Box) -> tuple[np.ndarray, Shape]:
    """Float64 keypoints relative to a box (left, top, right, bottom), and its (h, w).

    As in the hosts, missing points are shifted, too; their score of 0 keeps them out of the heat maps.

    Example:
        >>> crop(np.array([[[[20.0, 30.0]]]]), (10, 10, 50, 60))
        (array([[[[10., 20.]]]]), (50, 40))
    """
    left, top, right, bottom = box
    shifted = keypoint.astype(np.float64)
    shifted -= (left, top)
    return shifted, (bottom - top, right - left)


def check_compact(padding: float, hw_ratio: float | Sequence[float] | None) -> None:
    """Raise InputError unless :func:`compact_crop` can use these."""
    if not padding >= 0:
        raise InputError(f"expected a number of at least 0, got {padding}", field="padding")
    if hw_ratio is not None:
        ratio_range(hw_ratio)


def check_crop_ranges(area_range: Sequence[float], aspect_ratio_range: Sequence[float]) -> None:
    """Raise InputError unless :func:`draw_crop_box` can use these."""
    _check_range("area_range", area_range, highest=1)
    _check_range("aspect_ratio_range", aspect_ratio_range)


def ratio_range(hw_ratio: float | Sequence[float]) -> tuple[float, float]:
    """Lowest and highest height / width of a compact box; one number stands for both.

    Raises:
        InputError: They are not 0 < lowest <= highest.
    """
    bounds = (hw_ratio, hw_ratio) if isinstance(hw_ratio, (int, float)) else tuple(hw_ratio)
    _check_range("hw_ratio", bounds)
    return bounds[0], bounds[1]


def _check_range(field: str, bounds: Sequence[float], highest: float = np.inf) -> None:
    if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] <= highest:
        limit = "" if highest == np.inf else f" <= {highest:g}"
        raise InputError(f"expected 0 < lowest <= highest{limit}, got {bounds!r}", field=field)


def resize(
    keypoint: np.ndarray, img_shape: Shape, scale: float | Sequence[int], keep_ratio: bool = True
) -> tuple[np.ndarray, Shape]:
    """Keypoints scaled with their image.

    Args:
        keypoint: (M, T, V, 2), px; a coordinate of 0 stays 0.
        img_shape: (h, w), px.
        scale: See :func:`resized_shape`.
        keep_ratio: See :func:`resized_shape`.

    Returns:
        New keypoints (M, T, V, 2) and the new (h, w).

    Raises:
        InputError: ``scale`` is none of the forms of :func:`resized_shape`.

    Example:
        >>> resize(np.array([[[[4.0, 2.0]]]]), (20, 40), (-1, 10))
        (array([[[[2., 1.]]]]), (10, 20))
    """
    new_shape = resized_shape(img_shape, scale, keep_ratio)
    factor = np.array((new_shape[1] / img_shape[1], new_shape[0] / img_shape[0]), dtype=np.float32)
    return keypoint * factor.astype(np.result_type(keypoint, factor)), new_shape


def resized_shape(img_shape: Shape, scale: float | Sequence[int], keep_ratio: bool = True) -> Shape:
    """Shape of a resized image.

    Args:
        img_shape: (h, w), px.
        scale: With ``keep_ratio`` a factor; or two edges, px, in either order, that the image shall just fit in; or
            ``(-1, n)``: the short edge becomes n. Without ``keep_ratio`` the new (w, h).
        keep_ratio: Whether height / width stays, up to rounding.

    Returns:
        The new (h, w), each at least 1 px.

    Raises:
        InputError: ``scale`` is none of these.

    Example:
        >>> resized_shape((1080, 1920), (-1, 64)), resized_shape((1080, 1920), (56, 56), keep_ratio=False)
        ((64, 114), (56, 56))
    """
    check_scale(scale, keep_ratio)
    h, w = img_shape
    if isinstance(scale, (int, float)):
        factor = float(scale)
    elif not keep_ratio:
        return int(scale[1]), int(scale[0])
    elif min(scale) == -1:
        factor = max(scale) / min(h, w)
    else:
        factor = min(max(scale) / max(h, w), min(scale) / min(h, w))
    return max(int(h * factor + 0.5), 1), max(int(w * factor + 0.5), 1)


def check_scale(scale: float | Sequence[int], keep_ratio: bool) -> None:
    """Raise InputError unless :func:`resized_shape` can use these."""
    if isinstance(scale, (int, float)):
        valid = keep_ratio and scale > 0
    else:
        short_edge = keep_ratio and len(scale) == 2 and min(scale) == -1
        valid = len(scale) == 2 and max(scale) > 0 and (short_edge or min(scale) > 0)
    if not valid:
        expected = "a factor above 0, (w, h), or (-1, short edge)" if keep_ratio else "(w, h) without keep_ratio"
        raise InputError(f"expected {expected}, got {scale!r}", field="scale")


def flip(
    keypoint: np.ndarray, score: np.ndarray, img_width: float, order: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Horizontal mirror image of keypoints.

    .. math:: x'_v = w - x_{order(v)}, \quad y'_v = y_{order(v)}

    Args:
        keypoint: (M, T, V, 2), px.
        score: (M, T, V).
        img_width: Width of the image, px.
        order: (V,) indices that swap the joints: ``joint_mirror`` of a layout, or
            :func:`pyskl_semloss.skeletons.mirror_order`.

    Returns:
        New keypoints (M, T, V, 2) and scores (M, T, V) of the same dtypes; missing points stay missing.

    Example:
        >>> keypoint, score = np.array([[[[2.0, 1.0], [7.0, 1.0]]]]), np.array([[[0.5, 1.0]]])
        >>> flipped, scores = flip(keypoint, score, 10, order=(1, 0))
        >>> flipped.tolist(), scores.tolist()
        ([[[[3.0, 1.0], [8.0, 1.0]]]], [[[1.0, 0.5]]])
    """
    flipped = np.take(keypoint, order, axis=2)
    x = flipped[..., 0]
    np.subtract(img_width, x, out=x, where=x != 0)
    return flipped, np.take(score, order, axis=2)
