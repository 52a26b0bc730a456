"""The heat maps of one view as few tensor operations, frames first, so that a graph can hold them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from pyskl_semloss.heatmap import Channels


class ViewMaps(nn.Module):
    """Draw one view, or its mirror image; the meaning is that of :func:`pyskl_semloss.heatmap.render_heatmaps`.

    Args:
        channels: What the C channels show.
        size: (height, width) of the maps in px.
        sigma: Standard deviation in px.
        threshold: A score below it draws nothing.
    """

    parts: Tensor
    columns: Tensor
    rows: Tensor

    def __init__(self, channels: Channels, size: tuple[int, int], sigma: float, threshold: float) -> None:
        super().__init__()
        self.modality, self.sigma, self.threshold = channels.modality, sigma, threshold
        self.shape = channels.parts.shape
        # The mirror image shows other parts, from the last column to the first.
        parts = np.stack([channels.parts.ravel(), channels.mirrored().parts.ravel()])
        column = np.arange(size[1])
        self.register_buffer("parts", torch.from_numpy(parts))
        self.register_buffer("columns", torch.from_numpy(np.stack([column, column[::-1]])))
        self.register_buffer("rows", torch.arange(size[0]))

    def forward(self, keypoint: Tensor, score: Tensor, mirror: Tensor) -> Tensor:
        """Draw a view, (L, C, H, W).

        Args:
            keypoint: (M persons, L frames, V joints, 2) finite x, y in px of the maps.
            score: (M, L, V) peaks.
            mirror: (1,) int64, 1 for the mirror image.
        """
        part = self.parts.index_select(0, mirror)[0]
        columns = self.columns.index_select(0, mirror)[0]
        point, peak = keypoint.index_select(2, part), score.index_select(2, part)
        if self.modality == "joint":
            maps = self._joints(point, torch.where(peak >= self.threshold, peak, 0.0), columns)
        else:
            maps = self._limbs(point.unflatten(2, self.shape), peak.unflatten(2, self.shape), columns)
        return maps.amax(0)

    def _joints(self, point: Tensor, peak: Tensor, columns: Tensor) -> Tensor:
        across = self._along_axis(point[..., 0], columns)
        down = self._along_axis(point[..., 1], self.rows) * peak[..., None]
        return down[..., :, None] * across[..., None, :]

    def _along_axis(self, centre: Tensor, grid: Tensor) -> Tensor:
        offset = grid - centre[..., None]
        value = torch.exp(offset * offset * (-0.5 / self.sigma**2))
        return torch.where(self._inside(centre, centre, grid), value, 0.0)

    def _inside(self, low: Tensor, high: Tensor, grid: Tensor) -> Tensor:
        """Whether a pixel is in the window; float64 and truncation as in the Numba kernels."""
        # Of what lies far outside only the side matters, and a huge number would not fit a whole one.
        size = float(len(grid))
        first = (low.double() - 3 * self.sigma).clamp(0.0, size).long()
        last = (high.double() + 3 * self.sigma).clamp(-2.0, size).long() + 1
        return (grid >= first[..., None]) & (grid < last[..., None])

    def _limbs(self, ends: Tensor, peaks: Tensor, columns: Tensor) -> Tensor:
        """Squared distance across the limb, plus that beyond its ends, both as a sum of a row's and a column's part."""
        a, b = ends[..., 0, :], ends[..., 1, :]
        peak = torch.minimum(peaks[..., 0], peaks[..., 1])
        known = peak >= self.threshold
        length2 = ((b - a) * (b - a)).sum(-1)
        short = length2 < 1
        # A short limb is its first end: the middle of a limb of length 0, in any direction.
        peak = torch.where(known, torch.where(short, peaks[..., 0], peak), 0.0)
        b = torch.where(short[..., None], a, b)
        length = length2.clamp(min=1.0).sqrt()
        unit_x = torch.where(short, 1.0, (b - a)[..., 0] / length)
        unit_y = torch.where(short, 0.0, (b - a)[..., 1] / length)
        half = torch.where(short, 0.0, length / 2)
        middle = a + (b - a) / 2
        low, high = torch.minimum(a, b), torch.maximum(a, b)
        # In units in which the exponent is the plain square.
        scale = math.sqrt(0.5) / self.sigma
        x = (columns - middle[..., 0, None]) * scale
        y = (self.rows - middle[..., 1, None]) * scale
        # Infinitely far is what lies outside the window.
        far = float("inf")
        across_x = torch.where(self._inside(low[..., 0], high[..., 0], columns), -x * unit_y[..., None], far)
        across_y = torch.where(self._inside(low[..., 1], high[..., 1], self.rows), y * unit_x[..., None], far)
        across = across_x[..., None, :] + across_y[..., :, None]
        along = (x * unit_x[..., None])[..., None, :] + (y * unit_y[..., None])[..., :, None]
        beyond = (along.abs() - half[..., None, None] * scale).relu()
        return torch.exp(-(across * across + beyond * beyond)) * peak[..., None, None]
