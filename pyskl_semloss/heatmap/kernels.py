"""Numba kernels: each point or limb touches only the pixels of its own window.

The volume is any view of shape (T, C, H, W), so that one kernel writes contiguous, channels-last and mirrored
volumes alike. Windows are computed in double precision: a border that falls on a whole pixel must not depend on the
rounding of a float32 difference.
"""

from __future__ import annotations

import math

import numba
import numpy as np

# Beyond this many sigmas a limb's pixel is below 1e-6 of the peak, a tenth of the agreement that is promised.
_LIMB_REACH = math.sqrt(2.0 * math.log(1e6))


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


@numba.njit(nogil=True, cache=True)
def _draw_point(plane: np.ndarray, x: float, y: float, peak: float, sigma: float, row: np.ndarray) -> None:
    """Maximum of the plane (H, W) and a Gaussian of the given peak; ``row`` (W,) is scratch memory."""
    height, width = plane.shape
    left, right = _window(x, x, sigma, width)
    top, bottom = _window(y, y, sigma, height)
    if left >= right or top >= bottom:
        return
    scale = np.float32(-0.5 / (sigma * sigma))
    x32, y32 = np.float32(x), np.float32(y)
    for i in range(left, right):
        dx = np.float32(i) - x32
        row[i] = math.exp(dx * dx * scale)
    for j in range(top, bottom):
        dy = np.float32(j) - y32
        column = np.float32(peak) * np.float32(math.exp(dy * dy * scale))
        for i in range(left, right):
            value = column * row[i]
            if value > plane[j, i]:
                plane[j, i] = value


@numba.njit(nogil=True, cache=True, fastmath={"contract", "nsz", "nnan"})
def _segment_row(
    row: np.ndarray, first: int, last: int, px: float, py: float, dx: float, dy: float, scale: float, peak: float
) -> None:
    """Values of one pixel row: ``row[i]`` for first <= i < last; (px, py) is pixel 0 seen from the first end."""
    length2 = dx * dx + dy * dy
    ux, uy = np.float32(dx / length2), np.float32(py * dy / length2)
    x0, y0, dx32, dy32 = np.float32(px), np.float32(py), np.float32(dx), np.float32(dy)
    scale32, peak32 = np.float32(scale), np.float32(peak)
    zero, one, lowest = np.float32(0), np.float32(1), np.float32(-16)
    for i in range(first, last):
        x = x0 + np.float32(i)
        along = min(max(x * ux + uy, zero), one)
        ex = x - along * dx32
        ey = y0 - along * dy32
        row[i] = peak32 * _exp(max((ex * ex + ey * ey) * scale32, lowest))


@numba.njit(nogil=True, cache=True)
def _draw_segment(
    plane: np.ndarray, ax: float, ay: float, bx: float, by: float, peak: float, sigma: float, row: np.ndarray
) -> None:
    """Maximum of the plane (H, W) and a Gaussian of the distance to the segment a-b; ``row`` (W,) is scratch."""
    height, width = plane.shape
    left, right = _window(min(ax, bx), max(ax, bx), sigma, width)
    top, bottom = _window(min(ay, by), max(ay, by), sigma, height)
    dx, dy = bx - ax, by - ay
    reach = _LIMB_REACH * sigma
    scale = -0.5 / (sigma * sigma)
    # In row j the pixels within reach of the segment lie beside the part of it that the row's band cuts out.
    for j in range(top, bottom):
        py = j - ay
        begin, end = 0.0, 1.0
        if dy != 0.0:
            one, other = (py - reach) / dy, (py + reach) / dy
            begin, end = max(min(one, other), 0.0), min(max(one, other), 1.0)
        elif abs(py) > reach:
            continue
        if begin > end:
            continue
        xa, xb = ax + begin * dx, ax + end * dx
        first = max(left, int(max(min(xa, xb) - reach, 0.0)))
        last = min(right, int(min(max(xa, xb) + reach, width + 1.0)) + 2)
        _segment_row(row, first, last, -ax, py, dx, dy, scale, peak)
        for i in range(first, last):
            if row[i] > plane[j, i]:
                plane[j, i] = row[i]


@numba.njit(nogil=True, cache=True)
def draw_joints(
    keypoint: np.ndarray, score: np.ndarray, joints: np.ndarray, sigma: float, threshold: float, volume: np.ndarray
) -> None:
    """Draw joint ``joints[c]`` into channel c of a cleared volume.

    Args:
        keypoint: (M persons, T frames, V joints, 2) x, y in px.
        score: (M, T, V) peaks.
        joints: (C,) joint of each channel.
        sigma: Standard deviation in px.
        threshold: A score below it draws nothing.
        volume: (T, C, H, W), changed in place.
    """
    row = np.empty(volume.shape[3], np.float32)
    for t in range(volume.shape[0]):
        for c in range(joints.shape[0]):
            v = joints[c]
            for m in range(keypoint.shape[0]):
                peak = score[m, t, v]
                x, y = keypoint[m, t, v, 0], keypoint[m, t, v, 1]
                if peak >= threshold and math.isfinite(x) and math.isfinite(y):
                    _draw_point(volume[t, c], x, y, peak, sigma, row)


@numba.njit(nogil=True, cache=True)
def draw_limbs(
    keypoint: np.ndarray, score: np.ndarray, limbs: np.ndarray, sigma: float, threshold: float, volume: np.ndarray
) -> None:
    """Draw limb ``limbs[c]`` into channel c of a cleared volume; arguments as in :func:`draw_joints`, limbs (C, 2)."""
    height, width = volume.shape[2:]
    row = np.empty(width, np.float32)
    for t in range(volume.shape[0]):
        for c in range(limbs.shape[0]):
            a, b = limbs[c, 0], limbs[c, 1]
            for m in range(keypoint.shape[0]):
                peak = min(score[m, t, a], score[m, t, b])
                ax, ay = float(keypoint[m, t, a, 0]), float(keypoint[m, t, a, 1])
                bx, by = float(keypoint[m, t, b, 0]), float(keypoint[m, t, b, 1])
                # The negated comparison also leaves out a NaN score.
                if not peak >= threshold or not math.isfinite(ax + ay + bx + by):
                    continue
                left, right = _window(min(ax, bx), max(ax, bx), sigma, width)
                top, bottom = _window(min(ay, by), max(ay, by), sigma, height)
                if left >= right or top >= bottom:
                    continue
                length2 = (ax - bx) * (ax - bx) + (ay - by) * (ay - by)
                if length2 < 1.0:
                    _draw_point(volume[t, c], ax, ay, score[m, t, a], sigma, row)
                else:
                    _draw_segment(volume[t, c], ax, ay, bx, by, peak, sigma, row)
