"""iMiGUE as it is distributed: the columns of its skeleton files, its 22 joints, its gesture numbers."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.datasets.sources import RawFormat

POINTS = 35
COLUMNS = 1 + 3 * POINTS
JOINTS = (*range(8), *range(15, 19), *range(25, 35))
"""The 22 joints among OpenPose's BODY_25 and the two groups of five finger points."""
CLASSES = {**{gesture: gesture - 1 for gesture in range(1, 33)}, 99: 31}
"""Gesture number to class; 99 is the non-gesture class, which is 32 too."""
NUM_CLASSES = 32


def imigue_points(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (T, 22, 2) in px and scores (T, 22) of the joints in a table (T, 106): frame, 35 x (x, y, score)."""
    points = table[:, 1:].reshape(-1, POINTS, 3)[:, JOINTS]
    return points[..., :2], points[..., 2]


IMIGUE = RawFormat(
    name="iMiGUE",
    skeleton_suffix="_light_hand.csv",
    label_suffix="_label.csv",
    id_pattern=r"\d+",
    clip_separator="_",
    columns=COLUMNS,
    points=imigue_points,
    num_joints=len(JOINTS),
    classes=CLASSES,
    num_classes=NUM_CLASSES,
)
