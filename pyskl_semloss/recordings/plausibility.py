"""What may be wrong with keypoints that are numbers like any others: another image size, x and y exchanged."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.recordings.anatomy import anatomical_doubts, sides_doubts
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
    known = points[scores > 0]
    share = outside_of(known, shape)
    if share > _OUTSIDE:
        height, width = shape
        size = f"an image of {width}x{height}"
        if outside_of(known, (width, height)):
            doubts.append(f"{share:.0%} of the points are outside {size}: is that its size?")
        else:
            doubts.append(f"{share:.0%} of the points are outside {size}, none of {height}x{width}: are its width and "
                          "height exchanged?")  # fmt: skip
    if _lies(points, scores, layout):
        doubts.append("one shoulder is above the other: are x and y exchanged, or does the person lie?")
    else:
        doubts += sides_doubts(points, scores, layout)
    return [*doubts, *anatomical_doubts(points, scores, layout)]


def _lies(points: np.ndarray, scores: np.ndarray, layout: SkeletonLayout) -> bool:
    places = [at for at, (side, part) in enumerate(points_of(layout)) if part == "shoulder" and side]
    if len(places) != 2:
        return False
    both = (scores[:, places] > 0).all(1)
    return bool(both.sum() >= _FEW and _steepness(points[both], scores[both], places) > _STEEP)


def _steepness(points: np.ndarray, scores: np.ndarray, shoulders: list[int]) -> float:
    """Median height of one shoulder above the other, in diagonals of the body's box, if it is more than the width."""
    there = (scores > 0)[..., None]
    low, high = np.where(there, points, np.inf).min(1), np.where(there, points, -np.inf).max(1)
    width, height = np.abs(points[:, shoulders[0]] - points[:, shoulders[1]]).T
    steep = height / np.hypot(*(high - low).T).clip(1e-6)
    return float(np.median(np.where(height > 2 * width, steep, 0)))
