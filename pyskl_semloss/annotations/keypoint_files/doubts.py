"""What may be wrong with keypoints that are numbers like any others: another image size, x and y exchanged."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.skeletons.joint_names import points_of

_OUTSIDE = 0.1
_STEEP = 0.12
"""Height of one shoulder above the other, in diagonals of the body's box; a quarter where x and y are exchanged."""
_FEW = 10


def outside_of(points: np.ndarray, shape: tuple[int, int]) -> float:
    """Share of the points (N, 2) px that are outside an image of (height, width)."""
    height, width = shape
    return float(((points < 0) | (points > (width, height))).any(-1).mean()) if len(points) else 0.0


def doubts_about(points: np.ndarray, scores: np.ndarray, layout: SkeletonLayout, shape: tuple[int, int]) -> list[str]:
    """What a person should look at, in words.

    Args:
        points: (N, V, 2) px.
        scores: (N, V); 0 where a point is missing.
        layout: What the joints are.
        shape: (height, width) px.
    """
    doubts = []
    share = outside_of(points[scores > 0], shape)
    if share > _OUTSIDE:
        doubts.append(f"{share:.0%} of the points are outside an image of {shape[1]}x{shape[0]}: is that its size?")
    places = [at for at, (side, part) in enumerate(points_of(layout)) if part == "shoulder" and side]
    if len(places) == 2:
        both = (scores[:, places] > 0).all(1)
        if both.sum() >= _FEW and _steepness(points[both], scores[both], places) > _STEEP:
            doubts.append("one shoulder is above the other: are x and y exchanged, or does the person lie?")
    return doubts


def _steepness(points: np.ndarray, scores: np.ndarray, shoulders: list[int]) -> float:
    """Median height of one shoulder above the other, in diagonals of the body's box, if it is more than the width."""
    there = (scores > 0)[..., None]
    low, high = np.where(there, points, np.inf).min(1), np.where(there, points, -np.inf).max(1)
    width, height = np.abs(points[:, shoulders[0]] - points[:, shoulders[1]]).T
    steep = height / np.hypot(*(high - low).T).clip(1e-6)
    return float(np.median(np.where(height > 2 * width, steep, 0)))
