"""CTR-GCN: graph convolution whose graph is refined for every channel and clip.

Chen et al., "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition", ICCV 2021. The
state dict is that of PySKL's ``CTRGCN``, so that weights go from one to the other.
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
    bias_of,
    checked_adjacency,
    entry,
    hosts_order,
    matrix_product,
    normalise_input,
    pointwise,
    run_branches,
    shortcut,
)


class CTRGCN(nn.Module):
    """CTR-GCN backbone.

    Args:
        adjacency: (K, V, V), of :func:`pyskl_semloss.skeletons.adjacency`; the paper's mode is ``"spatial"``, K = 3.
        in_channels: C, 3 for x, y and score.
        base_channels: Channels of the first blocks.
        num_stages: Number of blocks.
        inflate_stages: Blocks, counted from 1, that double the channels.
        down_stages: Blocks that halve the frames.
        num_person: M; every person has input statistics of its own.
        kernel_size: Frames of the temporal kernels.
        dilations: A temporal branch for each.
        tcn_dropout: Probability of dropout after each block but the first.

    Shape:
        Input (N, M, T, V, C), output (N, M, O, T', V): with the defaults O = 256 and T' = T / 4.

    Raises:
        InputError: ``adjacency`` is no (K, V, V), or an input has other persons, joints or coordinates.

    Example:
        >>> CTRGCN(np.eye(5)[None], base_channels=8)(torch.zeros(2, 1, 16, 5, 3)).shape
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
        num_person: int = 1,
        kernel_size: int = 5,
        dilations: Sequence[int] = (1, 2),
        tcn_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        matrices = checked_adjacency(adjacency)
        self.A: Tensor
        self.register_buffer("A", matrices)
        self.data_bn = nn.BatchNorm1d(num_person * in_channels * matrices.shape[1])
        blocks, channels = [], base_channels
        for stage in range(1, num_stages + 1):
            before = in_channels if stage == 1 else channels
            channels *= 1 + (stage > 1 and stage in inflate_stages)
            block = CTRGCNBlock(
                before,
                channels,
                matrices,
                stride=1 + (stage > 1 and stage in down_stages),
                residual=stage > 1,
                kernel_size=kernel_size,
                dilations=dilations,
                dropout=tcn_dropout if stage > 1 else 0.0,
            )
            blocks.append(block)
        self.net = nn.ModuleList(blocks)

    def forward(self, clips: Tensor) -> Tensor:
        """Features of clips."""
        features = normalise_input(clips, self.data_bn, per_person=True)
        for block in self.net:
            features = block(features)
        return hosts_order(features, len(clips))


class CTRGCNBlock(nn.Module):
    """Refined graph convolution, temporal branches and shortcut, (N, C, V, T) to (N, O, V, T / stride)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Tensor,
        stride: int,
        residual: bool,
        kernel_size: int,
        dilations: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.gcn1 = RefinedGraphConv(in_channels, out_channels, adjacency)
        self.tcn1 = TemporalBranches(out_channels, stride, kernel_size, dilations, dropout)
        self.residual = shortcut(in_channels, out_channels, stride) if residual else None

    def forward(self, features: Tensor) -> Tensor:
        """Features after the block."""
        filtered = self.tcn1(self.gcn1(features))
        if self.residual is None:  # nothing is negative
            return filtered
        return (filtered + self.residual(features)).relu_()


class _Refinement(nn.Module):
    """Weights of one subset of the graph; :class:`RefinedGraphConv` applies those of all subsets together."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        relations = 8 if in_channels <= 16 else in_channels // 8
        self.conv1 = nn.Conv2d(in_channels, relations, 1)
        self.conv2 = nn.Conv2d(in_channels, relations, 1)
        self.conv3 = nn.Conv2d(in_channels, out_channels, 1)
        self.conv4 = nn.Conv2d(relations, out_channels, 1)


class RefinedGraphConv(nn.Module):
    r"""Graph convolution with a graph for every channel and clip.

    .. math:: y_v = \sum_k \sum_u \left(A_{kuv} + \alpha\, M_k \tanh(\phi_k(\bar x)_u - \psi_k(\bar x)_v)\right)
        \odot T_k(x)_u

    The mean over frames, :math:`\bar x`, is taken before the linear maps phi and psi, with which it commutes; the maps
    T of all subsets are one product, and the sum over subsets and joints is another.

    Args:
        in_channels: C.
        out_channels: O.
        adjacency: (K, V, V), the start of the learned shared graph.

    Shape:
        Input (N, C, V, T), output (N, O, V, T).
    """

    def __init__(self, in_channels: int, out_channels: int, adjacency: Tensor) -> None:
        super().__init__()
        self.A = nn.Parameter(adjacency.clone())
        self.alpha = nn.Parameter(torch.zeros(1))
        self.convs = nn.ModuleList(_Refinement(in_channels, out_channels) for _ in adjacency)
        if in_channels != out_channels:
            self.down: nn.Module | None = Projection(in_channels, out_channels)
        else:
            self.down = None
        self.bn = nn.BatchNorm2d(out_channels)
        for conv in (module for module in self.modules() if isinstance(module, nn.Conv2d)):
            _initialise(conv)
        # The block starts as its shortcut, almost.
        nn.init.constant_(self.bn.weight, 1e-6)

    def _subsets(self) -> list[_Refinement]:
        return [cast(_Refinement, part) for part in self.convs]

    def _graphs(self, features: Tensor) -> Tensor:
        """(N, O, V, K * V): weight of joint u of subset k in what joint v receives, at [v, k * V + u]."""
        joints, subsets = features.shape[2], self._subsets()
        ends = pointwise(features.mean(-1), [conv for part in subsets for conv in (part.conv1, part.conv2)])
        graphs = []
        for part, shared, pair in zip(subsets, self.A, ends.chunk(len(subsets), dim=1), strict=True):
            start, end = pair.chunk(2, dim=1)
            relation = torch.tanh(start[:, :, None] - end[..., None])
            # Scaled before the product: the weights are few, the graphs many.
            weight, bias = part.conv4.weight.flatten(1) * self.alpha, bias_of(part.conv4) * self.alpha
            base = bias[:, None] + shared.T.flatten()
            graph = torch.baddbmm(base, weight.expand(len(relation), *weight.shape), relation.flatten(2))
            graphs.append(graph.view(len(graph), -1, joints, joints))
        return torch.cat(graphs, dim=-1)

    def _transformed(self, features: Tensor) -> Tensor:
        """(N, O, K * V, T): the maps T of all subsets, in the order of :meth:`_graphs`."""
        weight = torch.stack([part.conv3.weight.flatten(1) for part in self._subsets()], dim=1)
        bias = torch.stack([bias_of(part.conv3) for part in self._subsets()], dim=1)
        mapped = matrix_product(features, weight.flatten(0, 1), bias.flatten())
        return mapped.view(len(mapped), weight.shape[0], -1, features.shape[-1])

    def forward(self, features: Tensor) -> Tensor:
        """Features after the graph convolution."""
        gathered = self.bn(torch.matmul(self._graphs(features), self._transformed(features)))
        return (gathered + (features if self.down is None else self.down(features))).relu_()


class TemporalBranches(nn.Module):
    """Parallel dilated convolutions, pooling and 1x1 convolution over frames.

    Args:
        channels: C, of which each branch makes a part; the last one makes the remainder.
        stride: Step in frames.
        kernel_size: Frames of the kernels.
        dilations: A branch for each.
        dropout: Probability of dropout.

    Shape:
        Input (N, C, V, T), output (N, C, V, ceil(T / stride)).
    """

    def __init__(self, channels: int, stride: int, kernel_size: int, dilations: Sequence[int], dropout: float) -> None:
        super().__init__()
        part = channels // (len(dilations) + 2)
        branches = [
            nn.Sequential(*entry(channels, part), TemporalConv(part, part, kernel_size, stride, dilation))
            for dilation in dilations
        ]
        branches.append(nn.Sequential(*entry(channels, part), FramePool(stride), nn.BatchNorm2d(part)))
        rest = channels - part * (len(dilations) + 1)
        branches.append(nn.Sequential(nn.Conv2d(channels, rest, 1), nn.BatchNorm2d(rest)))
        self.branches, self.stride = nn.ModuleList(branches), stride
        self.drop = nn.Dropout(dropout)
        for conv in (module for module in self.modules() if isinstance(module, nn.Conv2d)):
            _initialise(conv)

    def forward(self, features: Tensor) -> Tensor:
        """Filtered features."""
        *branches, (conv, norm) = (cast(nn.Sequential, branch) for branch in self.branches)
        parts, plain = run_branches(features, branches, cast(nn.Conv2d, conv), self.stride)
        return self.drop(torch.cat([*parts, norm(plain.contiguous())], dim=1).relu_())


def _initialise(conv: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
