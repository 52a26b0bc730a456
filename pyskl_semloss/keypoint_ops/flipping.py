"""Horizontal flip, on keypoints only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def flip(
    keypoint: np.ndarray, score: np.ndarray, img_width: float, order: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror left and right: x becomes ``img_width - x``, and joints change places.

    Args:
        keypoint: (M, T, V, 2), px.
        score: (M, T, V).
        img_width: Width of the image, px.
        order: (V,) indices that swap the joints: ``joint_mirror`` of a layout, or
            :func:`pyskl_semloss.skeletons.mirror_order`.

    Returns:
        New keypoints and scores of the same shapes and dtypes; missing points stay missing.
    """
    flipped = np.take(keypoint, order, axis=2)
    x = flipped[..., 0]
    np.subtract(img_width, x, out=x, where=x != 0)
    return flipped, np.take(score, order, axis=2)
