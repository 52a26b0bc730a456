"""Resize, on keypoints only; the sizes are those of ``mmcv.rescale_size``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyskl_semloss.errors import InputError

Shape = tuple[int, int]


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
