"""SMG as it is distributed: the columns of its skeleton files, its 25 Kinect joints, its gesture numbers."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.datasets.sources import RawFormat

JOINTS, VALUES = 25, 11
COLUMNS = JOINTS * VALUES
PIXEL = 7
"""Where the colour-image position stands among a joint's values, after the world position and the quaternion."""
NUM_CLASSES = 17
TEST_SUBJECTS = range(36, 41)


def smg_points(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour-image positions (T, 25, 2) in px and scores (T, 25) in a table (T, 275).

    The files hold no confidence: the score is 1, and 0 where the position is (0, 0) or no number.
    """
    points = table.reshape(-1, JOINTS, VALUES)[..., PIXEL : PIXEL + 2]
    return points, (np.isfinite(points).all(-1) & points.any(-1)).astype(float)


SMG = RawFormat(
    name="SMG",
    skeleton_suffix="_skeleton.csv",
    label_suffix="_finelabels.csv",
    id_pattern=r"Sample\d+",
    clip_separator="",
    columns=COLUMNS,
    points=smg_points,
    num_joints=JOINTS,
    classes={gesture: gesture - 1 for gesture in range(1, NUM_CLASSES + 1)},
    num_classes=NUM_CLASSES,
    test_subjects=tuple(TEST_SUBJECTS),
)
