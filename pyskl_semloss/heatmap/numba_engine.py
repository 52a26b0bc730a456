"""CPU engine: volumes of single clips and of batches by the Numba kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyskl_semloss.heatmap.channels import Channels, check_shapes
from pyskl_semloss.heatmap.kernels import draw_joints, draw_limbs


def draw(
    keypoint: np.ndarray,
    score: np.ndarray,
    channels: Channels,
    volume: np.ndarray,
    *,
    sigma: float,
    threshold: float,
    mirror: bool = False,
    blank: bool = True,
) -> None:
    """Draw one clip into a volume, or its mirror image.

    Args:
        keypoint: (M persons, T frames, V joints, 2) x, y in px of the volume.
        score: (M, T, V) peaks.
        channels: What the C channels show.
        volume: (T, C, H, W) float32 view of any strides; changed in place.
        sigma: Standard deviation in px.
        threshold: A score below it draws nothing.
        mirror: Draw the mirror image: columns reversed, left and right channels exchanged.
        blank: Whether the volume holds zeros; otherwise the maximum with what it holds is taken.
    """
    kernel = draw_joints if channels.modality == "joint" else draw_limbs
    if mirror:
        volume, channels = volume[..., ::-1], channels.mirrored()
    kernel(keypoint, score, channels.parts, float(sigma), float(threshold), blank, volume)


def render_heatmaps(
    keypoint: np.ndarray,
    score: np.ndarray,
    channels: Channels,
    size: Sequence[int],
    *,
    sigma: float = 0.6,
    threshold: float = 1e-4,
    mirror: bool = False,
) -> np.ndarray:
    """Heat-map volume of one clip.

    A joint's map is ``score * exp(-d^2 / (2 sigma^2))`` inside the window of three sigmas around the joint; several
    persons are joined by the maximum. A limb's ``d`` is the distance to the segment between its ends and its score
    the smaller of theirs (Duan et al., "Revisiting Skeleton-based Action Recognition", CVPR 2022).

    Args:
        keypoint: (M persons, T frames, V joints, 2) x, y in px of the volume.
        score: (M, T, V) peaks; a point that is not finite or scores below ``threshold`` draws nothing.
        channels: What the C channels show.
        size: Height and width of the maps in px.
        sigma: Standard deviation in px.
        threshold: A score below it draws nothing.
        mirror: Append the mirror image along time.

    Returns:
        (T, C, H, W) float32, or (2T, C, H, W) with ``mirror``.

    Raises:
        InputError: Shapes that do not fit together, or a channel of a joint that the clip lacks.
    """
    keypoint, score = check_points(keypoint, score, channels)
    frames = keypoint.shape[1]
    volume = np.zeros((frames * (2 if mirror else 1), len(channels), int(size[0]), int(size[1])), np.float32)
    for flipped in (False, True)[: 2 if mirror else 1]:
        part = volume[frames:] if flipped else volume[:frames]
        draw(keypoint, score, channels, part, sigma=sigma, threshold=threshold, mirror=flipped)
    return volume


def check_points(keypoint: np.ndarray, score: np.ndarray, channels: Channels) -> tuple[np.ndarray, np.ndarray]:
    """Float32 keypoints (M, T, V, 2) and scores (M, T, V) that fit together and hold every joint of the channels.

    Raises:
        InputError: Shapes that do not fit together, or a channel of a joint that the clip lacks.
    """
    keypoint, score = np.asarray(keypoint, np.float32), np.asarray(score, np.float32)
    check_shapes(keypoint.shape, score.shape, channels)
    return keypoint, score
