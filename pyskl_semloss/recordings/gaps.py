"""Filling short gaps in keypoints by interpolation in time."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.errors import InputError

DOUBT = 0.5
"""The score of a filled point is the lower score of the two ends of its gap times this."""


def fill_gaps(keypoint: np.ndarray, score: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Fill gaps of each joint on a straight line between the points before and after.

    Args:
        keypoint: (M, T, V, 2) px.
        score: (M, T, V); 0 where a point is missing.
        longest: Frames of the longest gap to be filled; a gap at the start or the end never is.

    Returns:
        Keypoints and scores, new arrays unless nothing was filled, and how many points were.

    Raises:
        InputError: ``longest`` is negative.
    """
    if longest < 0:
        raise InputError(f"expected a number of frames from 0, got {longest}", field="fill-gaps")
    known = score > 0
    frames = score.shape[1]
    if longest == 0 or known.all() or not known.any():
        return keypoint, score, 0
    at = np.broadcast_to(np.arange(frames)[:, None], score.shape)
    before = np.maximum.accumulate(np.where(known, at, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, at, frames)[:, ::-1], axis=1)[:, ::-1]
    missing = ~known & (before >= 0) & (after < frames) & (after - before <= longest + 1)
    person, frame, joint = np.nonzero(missing)
    if not len(frame):
        return keypoint, score, 0
    start, end = before[missing], after[missing]
    share = ((frame - start) / (end - start))[:, None]
    keypoint, score = keypoint.copy(), score.copy()
    keypoint[missing] = (1 - share) * keypoint[person, start, joint] + share * keypoint[person, end, joint]
    score[missing] = DOUBT * np.minimum(score[person, start, joint], score[person, end, joint])
    return keypoint, score, len(frame)
