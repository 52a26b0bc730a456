"""DG-STGCN: graph convolution on learned graphs, with no skeleton behind them.

Duan et al., "DG-STGCN: Dynamic Spatial-Temporal Modeling for Skeleton-based Action Recognition", 2022. The state dict
is that of PySKL's ``DGSTGCN`` with ``gcn_ctr='T'`` and ``gcn_ada='T'``, so that weights go from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from pyskl_semloss.gcn.layers import (
    FramePool,
    Projection,
    TemporalConv,
    checked_adjacency,
    entry,
    hosts_order,
    normalise_input,
    pointwise,
    run_branches,
    shortcut,
)

_DILATIONS = (1, 2, 3, 4)
_COEFFICIENTS = 25
"""PySKL's number of weights of the mean joint, whatever the skeleton; more only for a skeleton with more joints."""


class DGSTGCN(nn.Module):
    """DG-STGCN backbone.

    Args:
        adjacency: (K, V, V), of :func:`pyskl_semloss.skeletons.adjacency` in the mode ``"random"``, K = 8 in the paper.
        in_channels: C, 3 for x, y and score.
        base_channels: Channels of the first blocks.
        num_stages: Number of blocks.
        inflate_stages: Blocks, counted from 1, that double the channels.
        down_stages: Blocks that halve the frames.
        ratio: Channels of each of the K graphs over those of the block; 1 / K in the paper.
        tcn_dropout: Probability of dropout after each block but the first.

    Shape:
        Input (N, M, T, V, C), output (N, M, O, T', V): with the defaults O = 256 and T' = T / 4. M may vary.

    Raises:
        InputError: ``adjacency`` is no (K, V, V), or an input has other joints or coordinates.

    Example:
        >>> DGSTGCN(np.zeros((4, 5, 5)), base_channels=8, ratio=0.25)(torch.zeros(2, 1, 16, 5, 3)).shape
        torch.Size([2, 1, 32, 4, 5])
    """

    def __init__(
        self,
        adjacency: np.ndarray | Tensor,
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 10,
        inflate_stages: Sequence[int] = (5, 8),
        down_stages: Sequence[int] = (5, 8),
        ratio: float = 0.125,
        tcn_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        matrices = checked_adjacency(adjacency)
        self.data_bn = nn.BatchNorm1d(in_channels * matrices.shape[1])
        blocks, channels = [], base_channels
        for stage in range(1, num_stages + 1):
            before = in_channels if stage == 1 else channels
            channels *= 1 + (stage > 1 and stage in inflate_stages)
            stride = 1 + (stage > 1 and stage in down_stages)
            dropout = tcn_dropout if stage > 1 else 0.0
            blocks.append(DGBlock(before, channels, matrices, stride, stage > 1, ratio, dropout))
        self.gcn = nn.ModuleList(blocks)

    def forward(self, clips: Tensor) -> Tensor:
        """Features of clips."""
        features = normalise_input(clips, self.data_bn, per_person=False)
        for block in self.gcn:
            features = block(features)
        return hosts_order(features, len(clips))


class DGBlock(nn.Module):
    """Dynamic graph convolution, temporal branches and shortcut, (N, C, V, T) to (N, O, V, T / stride)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Tensor,
        stride: int,
        residual: bool,
        ratio: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.gcn = DynamicGraphConv(in_channels, out_channels, adjacency, ratio)
        self.tcn = DynamicTemporalBranches(out_channels, stride, dropout, adjacency.shape[1])
        self.residual = shortcut(in_channels, out_channels, stride) if residual else None

    def forward(self, features: Tensor) -> Tensor:
        """Features after the block."""
        filtered = self.tcn(self.gcn(features))
        if self.residual is not None:
            filtered = filtered + self.residual(features)
        return filtered.relu_()


class DynamicGraphConv(nn.Module):
    r"""Graph convolution with graphs that are learned, one part for all clips and two parts from the clip.

    .. math:: y_v = P \sum_u \left(A_{ku} + \alpha \tanh(\phi(\bar x)_u - \psi(\bar x)_v)
        + \beta\, \mathrm{softmax}_u(\phi_k(\bar x)_u \cdot \psi_k(\bar x)_v)\right) \odot Q(x)_u

    Each of the K groups of channels of Q has its graph A and its attention; the second part differs between channels.

    Args:
        in_channels: C.
        out_channels: O.
        adjacency: (K, V, V), the start of the learned graphs.
        ratio: Channels of a group over O.

    Shape:
        Input (N, C, V, T), output (N, O, V, T).
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor, ratio: float) -> None:
        super().__init__()
        subsets = len(adjacency)
        self.group = int(ratio * out_channels)
        hidden = self.group * subsets
        self.A = nn.Parameter(adjacency.clone())
        self.alpha = nn.Parameter(torch.zeros(subsets))
        self.beta = nn.Parameter(torch.zeros(subsets))
        self.pre = nn.Sequential(*entry(in_channels, hidden))
        self.post = nn.Conv2d(hidden, out_channels, 1)
        self.conv1 = nn.Conv2d(in_channels, hidden, 1)
        self.conv2 = nn.Conv2d(in_channels, hidden, 1)
        if in_channels != out_channels:
            self.down: nn.Module | None = Projection(in_channels, out_channels)
        else:
            self.down = None
        self.bn = nn.BatchNorm2d(out_channels)

    def _graphs(self, features: Tensor) -> Tensor:
        """(N, K * group, V, V): weight of joint u in what joint v receives, at [u, v]."""
        ends = pointwise(features.mean(-1), [self.conv1, self.conv2])
        start, end = ends.unflatten(1, (2, len(self.A), self.group)).unbind(1)
        attention = torch.softmax(torch.matmul(start.transpose(-1, -2), end), dim=-2)
        # As in PySKL, all groups share the first weight.
        common = torch.addcmul(self.A, attention, self.beta[0])
        relation = torch.tanh(start[..., None] - end[..., None, :])
        return torch.addcmul(common[:, :, None], relation, self.alpha[0]).flatten(1, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Features after the graph convolution."""
        conv, *rest = self.pre
        mapped = pointwise(features, [cast(nn.Conv2d, conv)])
        for layer in rest:
            mapped = layer(mapped)
        gathered = torch.matmul(self._graphs(features).transpose(-1, -2), mapped)
        filtered = self.bn(pointwise(gathered, [self.post]))
        return (filtered + (features if self.down is None else self.down(features))).relu_()


class DynamicTemporalBranches(nn.Module):
    """Parallel temporal filters of the joints and of their mean, which each joint takes in by a learned weight.

    Args:
        channels: C, of which each branch makes a part; the first one makes the remainder.
        stride: Step in frames.
        dropout: Probability of dropout.
        num_joints: V.

    Shape:
        Input (N, C, V, T), output (N, C, V, ceil(T / stride)).
    """

    def __init__(self, channels: int, stride: int, dropout: float, num_joints: int) -> None:
        super().__init__()
        self.add_coeff = nn.Parameter(torch.zeros(max(_COEFFICIENTS, num_joints)))
        part = channels // (len(_DILATIONS) + 2)
        branches: list[nn.Module] = []
        for dilation in _DILATIONS:
            size = channels - part * (len(_DILATIONS) + 1) if dilation == 1 else part
            conv = TemporalConv(size, size, 3, stride, dilation, norm=False)
            branches.append(nn.Sequential(*entry(channels, size), conv))
        branches.append(nn.Sequential(*entry(channels, part), FramePool(stride)))
        branches.append(nn.Conv2d(channels, part, 1))
        self.branches, self.stride = nn.ModuleList(branches), stride
        self.transform = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1)
        )
        self.bn = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Filtered features."""
        joints = features.shape[2]
        with_mean = torch.cat((features, features.mean(2, keepdim=True)), dim=2)
        *branches, last = self.branches
        parts, plain = run_branches(
            with_mean, [cast(nn.Sequential, branch) for branch in branches], cast(nn.Conv2d, last), self.stride
        )
        filtered = torch.cat([*parts, plain], dim=1)
        mixed = torch.addcmul(filtered[:, :, :joints], filtered[:, :, joints:], self.add_coeff[:joints, None])
        *before, conv = self.transform
        for layer in before:
            mixed = layer(mixed)
        return self.drop(self.bn(pointwise(mixed, [cast(nn.Conv2d, conv)])))
