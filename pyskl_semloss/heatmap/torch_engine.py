"""Heat-map engine for batches on any device, in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from pyskl_semloss.heatmap.channels import Channels, check_shapes

# Intermediate tensors are as large as the volume: limbs are drawn in blocks of frames of about this many pixels.
_BLOCK_PIXELS = 1 << 26


def _window(low: Tensor, high: Tensor, grid: Tensor, sigma: float) -> Tensor:
    """Pixels (..., size) inside the window; double precision and truncation as in the Numba kernels."""
    first = torch.trunc(low.double() - 3 * sigma)
    last = torch.trunc(high.double() + 3 * sigma) + 1
    return (grid >= first.unsqueeze(-1)) & (grid < last.unsqueeze(-1))


def _axis(centre: Tensor, size: int, sigma: float) -> Tensor:
    """One axis of the separable Gaussian, cut to its window: (..., ) px -> (..., size)."""
    grid = torch.arange(size, device=centre.device, dtype=centre.dtype)
    value = torch.exp((grid - centre.unsqueeze(-1)) ** 2 * (-0.5 / sigma**2))
    return value * _window(centre, centre, grid, sigma)


def _joint_maps(point: Tensor, peak: Tensor, height: int, width: int, sigma: float) -> Tensor:
    """(F, C, 2) px and (F, C) peaks -> (F, H, W, C)."""
    columns = _axis(point[..., 0], width, sigma).transpose(1, 2)
    rows = (_axis(point[..., 1], height, sigma) * peak.unsqueeze(-1)).transpose(1, 2)
    return rows.unsqueeze(2) * columns.unsqueeze(1)


def _limb_maps(ends: Tensor, peaks: Tensor, height: int, width: int, sigma: float, threshold: float) -> Tensor:
    """(F, C, 2 ends, 2) px and (F, C, 2) peaks -> (F, H, W, C)."""
    a, b = ends.unbind(2)
    peak = peaks.amin(-1)
    peak = torch.where(peak >= threshold, peak, 0.0)
    direction = b - a
    length2 = (direction**2).sum(-1)
    short = length2 < 1
    peak = torch.where(short & (peak > 0), peaks[..., 0], peak)
    # A short limb is its first end; the zero direction makes the general formula draw just that.
    unit = torch.where(short, 0.0, 1.0).unsqueeze(-1) * direction / length2.clamp(min=1.0).unsqueeze(-1)
    b = torch.where(short.unsqueeze(-1), a, b)
    grid_x = torch.arange(width, device=ends.device, dtype=ends.dtype)
    grid_y = torch.arange(height, device=ends.device, dtype=ends.dtype)
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    inside_x = _window(low[..., 0], high[..., 0], grid_x, sigma).transpose(1, 2).unsqueeze(1)
    inside_y = _window(low[..., 1], high[..., 1], grid_y, sigma).transpose(1, 2).unsqueeze(2)
    x = grid_x[None, None, :, None] - a[:, None, None, :, 0]
    y = grid_y[None, :, None, None] - a[:, None, None, :, 1]
    along = (x * unit[:, None, None, :, 0] + y * unit[:, None, None, :, 1]).clamp(0, 1)
    direction = b - a
    distance2 = (x - along * direction[:, None, None, :, 0]) ** 2 + (y - along * direction[:, None, None, :, 1]) ** 2
    return torch.exp(distance2 * (-0.5 / sigma**2)) * peak[:, None, None, :] * inside_x * inside_y


def render_batch(
    keypoint: Tensor,
    score: Tensor,
    channels: Channels,
    size: Sequence[int],
    *,
    sigma: float = 0.6,
    threshold: float = 1e-4,
    dtype: torch.dtype = torch.float32,
    fuse: bool = False,
) -> Tensor:
    """Heat-map volumes of a batch of clips, on the device of the keypoints.

    The meaning is that of :func:`pyskl_semloss.heatmap.render_heatmaps`.

    Args:
        keypoint: (N clips, M persons, T frames, V joints, 2) x, y in px of the volume.
        score: (N, M, T, V) peaks; padded persons have score 0.
        channels: What the C channels show.
        size: Height and width of the maps in px.
        sigma: Standard deviation in px.
        threshold: A score below it draws nothing.
        dtype: Of the result; the maps are computed in float32.
        fuse: Compile the drawing into one kernel that keeps nothing but the result; the first call takes seconds.

    Returns:
        (N, C, T, H, W), channels last in memory.

    Raises:
        InputError: Shapes that do not fit together, or a channel of a joint that the clips lack.

    Example:
        >>> keypoint, score = torch.tensor([2.0, 1.0]).reshape(1, 1, 1, 1, 2), torch.full((1, 1, 1, 1), 0.5)
        >>> volume = render_batch(keypoint, score, Channels.joints(1), (3, 4))
        >>> volume.shape, [round(value, 3) for value in volume[0, 0, 0, 1].tolist()]
        (torch.Size([1, 1, 1, 3, 4]), [0.002, 0.125, 0.5, 0.125])
    """
    check_shapes(tuple(keypoint.shape), tuple(score.shape), channels, batched=True)
    clips, persons, frames = keypoint.shape[:3]
    height, width = int(size[0]), int(size[1])
    parts = torch.as_tensor(channels.parts, device=keypoint.device)
    point, peak = keypoint.float()[:, :, :, parts], score.float()[:, :, :, parts]
    known = torch.isfinite(point).all(-1) & (peak >= threshold)
    point, peak = torch.where(known.unsqueeze(-1), point, 0.0), torch.where(known, peak, 0.0)
    # (N, M, T, ...) -> (M, N*T, ...)
    point, peak = point.transpose(0, 1).flatten(1, 2), peak.transpose(0, 1).flatten(1, 2)
    options = (channels.modality, height, width, sigma, threshold, dtype)
    if fuse:
        volume = _fused()(point, peak, *options)
    else:
        volume = torch.empty((clips * frames, height, width, len(channels)), dtype=dtype, device=keypoint.device)
        block = max(1, _BLOCK_PIXELS // (height * width * max(len(channels), 1)))
        for start in range(0, clips * frames, block):
            part = slice(start, start + block)
            volume[part] = _maps(point[:, part], peak[:, part], *options)
    return volume.view(clips, frames, height, width, len(channels)).permute(0, 4, 1, 2, 3)


def _maps(
    point: Tensor,
    peak: Tensor,
    modality: str,
    height: int,
    width: int,
    sigma: float,
    threshold: float,
    dtype: torch.dtype,
) -> Tensor:
    """Points and peaks (M, F, C, ...) of all persons -> (F, H, W, C)."""
    maps = torch.zeros((), dtype=torch.float32, device=point.device).expand(
        point.shape[1], height, width, point.shape[2]
    )
    for person, peaks in zip(point.unbind(0), peak.unbind(0), strict=True):
        if modality == "joint":
            drawn = _joint_maps(person, peaks, height, width, sigma)
        else:
            drawn = _limb_maps(person, peaks, height, width, sigma, threshold)
        maps = torch.maximum(maps, drawn)
    return maps.to(dtype)


@cache
def _fused() -> Callable[..., Tensor]:
    return torch.compile(_maps)
