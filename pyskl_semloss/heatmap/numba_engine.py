"""Heat-map engine for the CPU: Numba kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numba
import numpy as np

from pyskl_semloss.heatmap.channels import Channels, check_shapes

# Beyond this many sigmas a limb's pixel is below 1e-6 of the peak, a tenth of the agreement that is promised.
_LIMB_REACH = math.sqrt(2.0 * math.log(1e6))
_CHUNK = 8


@numba.njit(nogil=True, cache=True)
def _window(low: float, high: float, sigma: float, size: int) -> tuple[int, int]:
    """Pixels [first, last) along one axis; ``int`` truncates toward zero, as both hosts do."""
    first = int(min(max(low - 3.0 * sigma, 0.0), float(size)))
    last = int(min(max(high + 3.0 * sigma, -2.0), float(size))) + 1
    return first, min(last, size)


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz"}, inline="always")
def _exp(x: np.float32) -> np.float32:
    """exp(x) for -16 <= x <= 0 to 2e-6 absolute, as (Taylor(x / 16)) ** 16: no call, so the loop vectorises."""
    y = x * np.float32(1 / 16)
    p = np.float32(1 / 720)
    p = p * y + np.float32(1 / 120)
    p = p * y + np.float32(1 / 24)
    p = p * y + np.float32(1 / 6)
    p = p * y + np.float32(1 / 2)
    p = p * y + np.float32(1)
    p = p * y + np.float32(1)
    p = p * p
    p = p * p
    p = p * p
    return p * p


@numba.njit(nogil=True, cache=True, inline="always")
def _merge(line: np.ndarray, chunk: np.ndarray, start: int, blank: bool) -> None:
    """Maximum of the pixels of one row from ``start`` on and ``chunk``."""
    if line.shape[0] < _CHUNK:
        for k in range(line.shape[0]):
            line[k] = max(line[k], chunk[k])
    elif blank:
        for k in range(_CHUNK):
            line[start + k] = chunk[k]
    else:
        for k in range(_CHUNK):
            line[start + k] = max(line[start + k], chunk[k])


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz", "nnan"}, inline="always")
def _point_chunk(chunk: np.ndarray, start: int, first: int, last: int, x: float, scale: float, peak: float) -> None:
    """``peak`` times the Gaussian along one axis for the pixels from ``start`` on; 0 outside [first, last)."""
    x0, scale32, peak32 = np.float32(start - x), np.float32(scale), np.float32(peak)
    zero, lowest = np.float32(0), np.float32(-16)
    for k in range(_CHUNK):
        d = x0 + np.float32(k)
        value = peak32 * _exp(max(d * d * scale32, lowest))
        chunk[k] = value if (start + k >= first) & (start + k < last) else zero


@numba.njit(nogil=True, cache=True)
def _draw_point(
    plane: np.ndarray, x: float, y: float, peak: float, sigma: float, blank: bool, scratch: np.ndarray
) -> None:
    """Maximum of the plane (H, W) and a Gaussian of the given peak; ``scratch`` is (3, _CHUNK)."""
    height, width = plane.shape
    left, right = _window(x, x, sigma, width)
    top, bottom = _window(y, y, sigma, height)
    scale = -0.5 / (sigma * sigma)
    row, column, chunk = scratch[0], scratch[1], scratch[2]
    start = left
    while start < right:
        start = max(min(start, width - _CHUNK), 0)
        _point_chunk(row, start, left, right, x, scale, peak)
        for j in range(top, bottom):
            if (j - top) % _CHUNK == 0:
                _point_chunk(column, j, top, bottom, y, scale, 1.0)
            factor = column[(j - top) % _CHUNK]
            for k in range(_CHUNK):
                chunk[k] = factor * row[k]
            _merge(plane[j], chunk, start, blank)
        start += _CHUNK


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz", "nnan"}, inline="always")
def _segment_chunk(
    chunk: np.ndarray,
    start: int,
    first: int,
    last: int,
    ax: float,
    py: float,
    dx: float,
    dy: float,
    ux: float,
    uy: float,
    scale: float,
    peak: float,
) -> None:
    """Values of the pixels from ``start`` on in one row; 0 outside [first, last)."""
    x0, y0, dx32, dy32 = np.float32(start - ax), np.float32(py), np.float32(dx), np.float32(dy)
    ux32, along0, scale32, peak32 = np.float32(ux), np.float32(py * uy), np.float32(scale), np.float32(peak)
    zero, unit, lowest = np.float32(0), np.float32(1), np.float32(-16)
    for k in range(_CHUNK):
        x = x0 + np.float32(k)
        along = min(max(x * ux32 + along0, zero), unit)
        ex = x - along * dx32
        ey = y0 - along * dy32
        value = peak32 * _exp(max((ex * ex + ey * ey) * scale32, lowest))
        chunk[k] = value if (start + k >= first) & (start + k < last) else zero


@numba.njit(nogil=True, cache=True)
def _draw_segment(
    plane: np.ndarray,
    ax: float,
    ay: float,
    bx: float,
    by: float,
    peak: float,
    sigma: float,
    blank: bool,
    chunk: np.ndarray,
) -> None:
    """Maximum of the plane (H, W) and a Gaussian of the distance to the segment a-b; ``chunk`` is scratch memory.

    Rows are drawn in chunks of fixed length: how many pixels of a row the segment reaches is hard to predict, for the
    processor too.
    """
    height, width = plane.shape
    left, right = _window(min(ax, bx), max(ax, bx), sigma, width)
    top, bottom = _window(min(ay, by), max(ay, by), sigma, height)
    dx, dy = bx - ax, by - ay
    length2 = dx * dx + dy * dy
    ux, uy = dx / length2, dy / length2
    reach = _LIMB_REACH * sigma
    scale = -0.5 / (sigma * sigma)
    steepness = 1.0 / dy if abs(dy) > 1e-9 else 1e30
    for j in range(top, bottom):
        py = j - ay
        # Within reach of the row lies the part of the segment from begin to end; beside it, its pixels.
        upper, lower = (py - reach) * steepness, (py + reach) * steepness
        begin, end = min(max(min(upper, lower), 0.0), 1.0), min(max(max(upper, lower), 0.0), 1.0)
        xa, xb = ax + begin * dx, ax + end * dx
        first = max(left, int(max(min(xa, xb) - reach, 0.0)))
        last = min(right, int(min(max(xa, xb) + reach, width + 1.0)) + 2)
        start = first
        while start < last:
            start = max(min(start, width - _CHUNK), 0)
            _segment_chunk(chunk, start, first, last, ax, py, dx, dy, ux, uy, scale, peak)
            _merge(plane[j], chunk, start, blank)
            start += _CHUNK


@numba.njit(nogil=True, cache=True)
def draw_joints(
    keypoint: np.ndarray,
    score: np.ndarray,
    joints: np.ndarray,
    sigma: float,
    threshold: float,
    blank: bool,
    volume: np.ndarray,
) -> None:
    """Draw joint ``joints[c]`` into channel c of a volume.

    Args:
        keypoint: (M persons, T frames, V joints, 2) x, y in px.
        score: (M, T, V) peaks.
        joints: (C,) joint of each channel.
        sigma: Standard deviation in px.
        threshold: A score below it draws nothing.
        blank: Whether the volume holds zeros.
        volume: (T, C, H, W), changed in place.
    """
    scratch = np.empty((3, _CHUNK), np.float32)
    for t in range(volume.shape[0]):
        for c in range(joints.shape[0]):
            v, untouched = joints[c], blank
            for m in range(keypoint.shape[0]):
                peak = score[m, t, v]
                x, y = keypoint[m, t, v, 0], keypoint[m, t, v, 1]
                if peak >= threshold and math.isfinite(x) and math.isfinite(y):
                    _draw_point(volume[t, c], x, y, peak, sigma, untouched, scratch)
                    untouched = False


@numba.njit(nogil=True, cache=True)
def draw_limbs(
    keypoint: np.ndarray,
    score: np.ndarray,
    limbs: np.ndarray,
    sigma: float,
    threshold: float,
    blank: bool,
    volume: np.ndarray,
) -> None:
    """Draw limb ``limbs[c]`` into channel c of a volume; arguments as in :func:`draw_joints`, limbs (C, 2)."""
    scratch = np.empty((3, _CHUNK), np.float32)
    for t in range(volume.shape[0]):
        for c in range(limbs.shape[0]):
            a, b = limbs[c, 0], limbs[c, 1]
            untouched = blank
            for m in range(keypoint.shape[0]):
                first, second = score[m, t, a], score[m, t, b]
                ax, ay = float(keypoint[m, t, a, 0]), float(keypoint[m, t, a, 1])
                bx, by = float(keypoint[m, t, b, 0]), float(keypoint[m, t, b, 1])
                # Each compared by itself: of a number and NaN, min gives the one or the other.
                if not (first >= threshold and second >= threshold and math.isfinite(ax + ay + bx + by)):
                    continue
                length2 = (ax - bx) * (ax - bx) + (ay - by) * (ay - by)
                if length2 < 1.0:
                    _draw_point(volume[t, c], ax, ay, first, sigma, untouched, scratch)
                else:
                    _draw_segment(volume[t, c], ax, ay, bx, by, min(first, second), sigma, untouched, scratch[0])
                untouched = False


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

    Example:
        >>> keypoint, score = np.array([[[[2.0, 1.0]]]]), np.array([[[0.5]]])
        >>> volume = render_heatmaps(keypoint, score, Channels.joints(1), (3, 4))
        >>> volume.shape, volume[0, 0, 1].round(3).tolist()
        ((1, 1, 3, 4), [0.0020000000949949026, 0.125, 0.5, 0.125])
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
