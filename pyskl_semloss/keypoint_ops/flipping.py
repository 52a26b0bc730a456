"""Horizontal flip, on keypoints only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
