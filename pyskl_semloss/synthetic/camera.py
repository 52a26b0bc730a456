"""From joints in space to what a pose estimator gives: pixels, confidences, noise and lost points."""

from __future__ import annotations

import numpy as np

from pyskl_semloss.synthetic.body import Subject

IMAGE = (1080, 1920)
"""(height, width) in px."""
FINGERS = slice(12, 22)
HANDS = np.array([4, 7, *range(12, 22)])


def project(joints: np.ndarray, subject: Subject, rng: np.random.Generator) -> np.ndarray:
    """Place a body in the image: turn it, look at it with slight perspective, scale and shift it.

    Args:
        joints: (T, V, 3) in shoulder widths; x right, y down, z to the camera.
        subject: Gives the distance (px per shoulder width), seat and viewing angle.
        rng: Varies them a little from clip to clip.

    Returns:
        (T, V, 2) in px, inside the image for all ordinary movements.
    """
    yaw = np.deg2rad(subject.yaw + rng.normal(0, 7))
    x, y, z = np.moveaxis(joints, -1, 0)
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    scale = subject.scale * rng.uniform(0.94, 1.06)
    height, width = IMAGE
    room = np.array([[1.4 * scale, width - 1.4 * scale], [1.15 * scale, height - 1.75 * scale]])
    middle = room[:, 0] + subject.seat * (room[:, 1] - room[:, 0]) + rng.normal(0, 12, 2)
    near = 1 + 0.10 * z
    return np.stack([x * near, (y + 0.10 * z) * near], -1) * scale + middle


def observe(
    pixels: np.ndarray, scale: float, hidden: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add the errors of a pose estimator.

    Args:
        pixels: (T, V, 2) true positions in px.
        scale: Px per shoulder width: the errors grow with it.
        hidden: (T,) how far the hands are out of sight, 0 to 1; None when they never are.
        rng: Source of the errors.

    Returns:
        Keypoints (T, V, 2) in px and scores (T, V) from 0 to 1, both float32; lost points are (0, 0) with score 0.
    """
    frames, joints = pixels.shape[:2]
    level = np.full(joints, 0.008)
    level[HANDS] = 0.014
    level[FINGERS] = 0.022
    points = pixels + rng.standard_normal(pixels.shape) * (level * rng.uniform(0.7, 1.5) * scale)[:, None]
    wild = rng.random((frames, joints)) < 0.003
    points += np.where(wild[..., None], rng.normal(0, 0.2 * scale, pixels.shape), 0)
    sure = np.full(joints, 0.86)
    sure[FINGERS] = 0.62
    score = sure + rng.normal(0, 0.04, joints) + rng.normal(0, 0.05, (frames, joints)) - 0.3 * wild
    lost = rng.random((frames, joints)) < np.where(level > 0.02, 0.03, 0.006)
    for _ in range(rng.poisson(1.2)):
        start = rng.integers(frames)
        lost[start : start + rng.integers(3, 15), rng.choice(HANDS) if rng.random() < 0.7 else rng.integers(joints)] = (
            True
        )
    if hidden is not None:
        score[:, HANDS] -= 0.4 * hidden[:, None]
        lost[:, HANDS] |= rng.random((frames, len(HANDS))) < 0.6 * hidden[:, None]
    height, width = IMAGE
    lost |= (points < 0).any(-1) | (points[..., 0] >= width) | (points[..., 1] >= height)
    points = np.where(lost[..., None], 0, points.round(2))
    return points.astype(np.float32), np.where(lost, 0, score.clip(0.05, 1).round(3)).astype(np.float32)
