"""Layers that graph networks share, on features (N, C, V, T) = clip, channel, joint, frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pyskl_semloss.errors import InputError


def pointwise(features: Tensor, convs: Sequence[nn.Conv2d]) -> Tensor:
    """Several 1x1 convolutions of the same features as one matrix product.

    Args:
        features: (N, C, *), read once for all of them.
        convs: Convolutions of C channels with kernel 1; their strides are not applied.

    Returns:
        (N, O, *), O being the sum of their output channels, in their order.
    """
    if len(convs) == 1:
        weight, bias = convs[0].weight, convs[0].bias
    else:
        weight, bias = torch.cat([conv.weight for conv in convs]), torch.cat([bias_of(conv) for conv in convs])
    return matrix_product(features, weight.flatten(1), bias)


def matrix_product(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``weight`` (O, C) times ``features`` (N, C, *), plus ``bias`` (O,): (N, O, *)."""
    clips, _, *rest = features.shape
    columns = features.reshape(clips, features.shape[1], -1)
    weights = weight.expand(clips, *weight.shape)
    if bias is None:
        return torch.bmm(weights, columns).view(clips, -1, *rest)
    return torch.baddbmm(bias[:, None], weights, columns).view(clips, -1, *rest)


class TemporalConv(nn.Module):
    """Convolution over the frames of each joint, and batch norm.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: Odd number of frames.
        stride: Step in frames.
        dilation: Frames from a tap of the kernel to the next.
        norm: Whether batch norm follows.

    Shape:
        Input (N, C, V, T), output (N, O, V, ceil(T / stride)). The weight is PySKL's, (O, C, kernel_size, 1).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        dilation: int = 1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, (kernel_size, 1), (stride, 1), dilation=(dilation, 1))
        self.bn: nn.Module = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation

    def forward(self, features: Tensor) -> Tensor:
        """Filtered features."""
        if self.kernel_size == 1:
            return self.bn(pointwise(every(features, self.stride), [self.conv]))
        padding = self.dilation * (self.kernel_size - 1) // 2
        weight = self.conv.weight.transpose(2, 3)
        return self.bn(
            functional.conv2d(
                features, weight, self.conv.bias, (1, self.stride), (0, padding), (1, self.dilation)
            )
        )  # fmt: skip


class FramePool(nn.Module):
    """Maximum of each frame and its two neighbours, every ``stride`` frames.

    Shape:
        Input (N, C, V, T), output (N, C, V, ceil(T / stride)).
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """Pooled features."""
        return functional.max_pool2d(features, (1, 3), (1, self.stride), (0, 1))


def every(features: Tensor, stride: int) -> Tensor:
    """Every ``stride``-th frame of (N, C, V, T)."""
    return features if stride == 1 else features[..., ::stride]


def entry(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Start of a temporal branch: 1x1 convolution, batch norm, ReLU."""
    return [nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def run_branches(
    features: Tensor, branches: Sequence[nn.Sequential], last: nn.Conv2d, stride: int
) -> tuple[list[Tensor], Tensor]:
    """Parallel temporal branches, their 1x1 convolutions in one product.

    Args:
        features: (N, C, V, T).
        branches: Each an :func:`entry` and what follows it.
        last: 1x1 convolution of the branch that has nothing else.
        stride: Of ``last``; the others know their own.

    Returns:
        Outputs of the branches, and that of ``last``.
    """
    convs = [cast(nn.Conv2d, branch[0]) for branch in branches]
    sizes = [conv.out_channels for conv in (*convs, last)]
    *parts, plain = pointwise(features, [*convs, last]).split(sizes, dim=1)
    # Batch norm is several times slower on a slice of the channels than on a copy of it.
    return [branch[1:](part.contiguous()) for branch, part in zip(branches, parts, strict=True)], every(plain, stride)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Residual connection of a block: identity, or 1x1 convolution where the shape changes."""
    same = in_channels == out_channels and stride == 1
    return nn.Identity() if same else TemporalConv(in_channels, out_channels, stride=stride)


class Projection(nn.Sequential):
    """1x1 convolution and batch norm, (N, C, V, T) to (N, O, V, T)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Projected features."""
        conv, norm = self
        return norm(pointwise(features, [cast(nn.Conv2d, conv)]))


def normalise_input(clips: Tensor, norm: nn.BatchNorm1d, per_person: bool) -> Tensor:
    """Batch norm of every coordinate of every joint, over clips and frames.

    Args:
        clips: (N, M, T, V, C).
        norm: Of V * C channels, or M * V * C with ``per_person``.
        per_person: Whether each of the M persons has statistics of its own.

    Returns:
        (N * M, C, V, T).

    Raises:
        InputError: The clips do not have the persons, joints and coordinates of ``norm``.
    """
    n, m, t, v, c = clips.shape
    channels = (m if per_person else 1) * v * c
    if channels != norm.num_features:
        problem = f"expected {norm.num_features} persons x joints x coordinates, got {channels} of {tuple(clips.shape)}"
        raise InputError(problem, field="keypoint")
    columns = clips.permute(0, 1, 3, 4, 2).reshape(-1, channels, t)
    return norm(columns).view(n * m, v, c, t).transpose(1, 2).contiguous()


def hosts_order(features: Tensor, clips: int) -> Tensor:
    """(N * M, C, V, T) to what the hosts' heads take, (N, M, C, T, V)."""
    _, channels, joints, frames = features.shape
    return features.transpose(2, 3).contiguous().view(clips, -1, channels, frames, joints)


def checked_adjacency(adjacency: np.ndarray | Tensor) -> Tensor:
    """Adjacency matrices (K, V, V) as float32; else an InputError."""
    matrices = torch.as_tensor(adjacency, dtype=torch.float32)
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2]:
        raise InputError(f"expected the shape (K, V, V), got {tuple(matrices.shape)}", field="adjacency")
    return matrices


def bias_of(conv: nn.Conv2d) -> Tensor:
    """Bias (O,) of a convolution that has one."""
    assert conv.bias is not None
    return conv.bias
