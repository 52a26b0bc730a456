"""2-D network over frames equivalent to a 3-D network over volumes.

Inference runtimes have fast kernels for images, but few for volumes.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels
from pyskl_semloss.hosts.mmaction2.export.views import ViewPlan
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import TrainedModel


class ViewMaps(nn.Module):
    """Heat maps of a view or its mirror image as tensor operations.

    They equal those of :func:`pyskl_semloss.heatmap.render_heatmaps` up to rounding.

    Args:
        channels: Joints or limbs of the C channels.
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
        # The mirror image swaps left and right parts and reverses the columns.
        parts = np.stack([channels.parts.ravel(), channels.mirrored().parts.ravel()])
        column = np.arange(size[1])
        self.register_buffer("parts", torch.from_numpy(parts))
        self.register_buffer("columns", torch.from_numpy(np.stack([column, column[::-1]])))
        self.register_buffer("rows", torch.arange(size[0]))

    def forward(self, keypoint: Tensor, score: Tensor, mirror: Tensor) -> Tensor:
        """Heat maps (L, C, H, W) of a view.

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
        # Clamped, because huge coordinates would overflow an integer.
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
        # Scaled so that the exponent is the negative squared distance.
        scale = math.sqrt(0.5) / self.sigma
        x = (columns - middle[..., 0, None]) * scale
        y = (self.rows - middle[..., 1, None]) * scale
        # Pixels outside the window get an infinite distance.
        far = float("inf")
        across_x = torch.where(self._inside(low[..., 0], high[..., 0], columns), -x * unit_y[..., None], far)
        across_y = torch.where(self._inside(low[..., 1], high[..., 1], self.rows), y * unit_x[..., None], far)
        across = across_x[..., None, :] + across_y[..., :, None]
        along = (x * unit_x[..., None])[..., None, :] + (y * unit_y[..., None])[..., :, None]
        beyond = (along.abs() - half[..., None, None] * scale).relu()
        return torch.exp(-(across * across + beyond * beyond)) * peak[..., None, None]


# Largest allowed difference from the original network, relative to the largest feature.
_AGREEMENT = 1e-4


class FramesConvolution(nn.Module):
    """``Conv3d`` as a ``Conv2d`` over the frames of a volume.

    The frames under the kernel become channels.

    Raises:
        NotImplementedError: The convolution has groups, dilation in time or a padding other than zeros.
    """

    def __init__(self, original: nn.Conv3d) -> None:
        super().__init__()
        kernel: Any
        stride: Any
        dilation: Any = original.dilation
        (self.taps, *kernel), (self.stride, *stride) = original.kernel_size, original.stride
        padding: Any = original.padding
        plain = original.groups == 1 and original.dilation[0] == 1 and original.padding_mode == "zeros"
        if not plain or isinstance(padding, str):
            raise NotImplementedError("groups, dilation in time or a padding other than zeros")
        self.padding = padding[0]
        weight = original.weight.detach()
        self.image = nn.Conv2d(
            weight.shape[1] * self.taps,
            weight.shape[0],
            tuple(kernel),
            tuple(stride),
            tuple(padding[1:]),
            tuple(dilation[1:]),
            bias=original.bias is not None,
        )
        self.image.weight.data = weight.transpose(1, 2).flatten(1, 2).contiguous()
        if original.bias is not None and self.image.bias is not None:
            self.image.bias.data = original.bias.detach().clone()

    def forward(self, x: Tensor) -> Tensor:
        """Output frames (T', O, H', W') of frames (T, C, H, W)."""
        shifted = _shifted(x, self.taps, self.stride, self.padding, 0.0)
        return self.image(torch.cat(shifted, dim=1) if shifted[1:] else shifted[0])


class FramesMaxPool(nn.Module):
    """``MaxPool3d`` as a ``MaxPool2d`` over the frames of a volume."""

    def __init__(self, original: nn.MaxPool3d) -> None:
        super().__init__()
        kernel, stride, padding, dilation = (
            value if isinstance(value, Sequence) else (value,) * 3
            for value in (original.kernel_size, original.stride, original.padding, original.dilation)
        )
        if dilation[0] != 1:
            raise NotImplementedError("dilation in time")
        self.taps, self.stride, self.padding = kernel[0], stride[0], padding[0]
        self.image = nn.MaxPool2d(
            tuple(kernel[1:]), tuple(stride[1:]), tuple(padding[1:]), tuple(dilation[1:]), ceil_mode=original.ceil_mode
        )

    def forward(self, x: Tensor) -> Tensor:
        """Output frames (T', C, H', W') of frames (T, C, H, W)."""
        first, *others = _shifted(x, self.taps, self.stride, self.padding, float("-inf"))
        for other in others:
            first = torch.maximum(first, other)
        return self.image(first)


def _shifted(x: Tensor, taps: int, stride: int, padding: int, value: float) -> list[Tensor]:
    """Input frames (T', C, H, W) for each tap of a kernel in time."""
    if (taps, stride, padding) == (1, 1, 0):
        return [x]
    if padding:
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, 0, padding, padding), value=value)
    # Plain numbers, so that a trace holds constants.
    last = (int(x.shape[0]) - taps) // stride * stride
    return [x[tap : tap + last + 1 : stride] for tap in range(taps)]


def over_frames(network: nn.Module) -> nn.Module:
    """Copy of a 3-D network over a volume's frames (T, C, H, W).

    Raises:
        NotImplementedError: A part of the network has no counterpart over frames.
    """
    copied = copy.deepcopy(network)
    for name, part in list(copied.named_modules()):
        if isinstance(part, nn.Conv3d):
            image_part: nn.Module = FramesConvolution(part)
        elif isinstance(part, nn.MaxPool3d):
            image_part = FramesMaxPool(part)
        elif isinstance(part, nn.modules.batchnorm._BatchNorm):
            image_part = nn.BatchNorm2d(part.num_features, part.eps, affine=part.affine)
            image_part.load_state_dict(part.state_dict())
        elif "3d" in type(part).__module__ + type(part).__name__ and not list(part.children()):
            raise NotImplementedError(type(part).__name__)
        else:
            continue
        copied.set_submodule(name, image_part)
    # The host's eval() does not return the module.
    copied.eval()
    return copied


class ViewScores(nn.Module):
    """Class scores of a view: heat maps, backbone, head.

    Args:
        model: The trained model.
        plan: Preprocessing of its test.

    Raises:
        InputError: The model has a neck, no pooling, or a part without a counterpart over frames.
    """

    def __init__(self, model: TrainedModel, plan: ViewPlan) -> None:
        super().__init__()
        whole: Any = model.model
        drawn = whole.data_preprocessor
        if whole.with_neck or getattr(whole.cls_head, "avg_pool", None) is None:
            raise InputError("a model with a neck, or without pooling, cannot be exported", file=model.checkpoint)
        self.maps = ViewMaps(drawn.channels, plan.size, drawn.sigma, drawn.threshold)
        self.backbone = _rewritten(model, (plan.frames, len(drawn.channels), *plan.size))
        self.classifier = whole.cls_head.fc_cls
        branch = getattr(whole.cls_head, "semantic_branch", None)
        self.embedding = None if branch is None else branch.fc
        if branch is not None:
            self.register_buffer("names", nn.functional.normalize(branch.label_vectors.float(), dim=-1).T.contiguous())

    def forward(self, keypoint: Tensor, score: Tensor, mirror: Tensor) -> tuple[Tensor, ...]:
        """Class probabilities (C,), and with a semantic branch cosines (C,) to the names.

        Args:
            keypoint: (M persons, L frames, V joints, 2) px of the maps.
            score: (M, L, V).
            mirror: (1,) int64, 1 for the mirror image.
        """
        pooled = self.backbone(self.maps(keypoint, score, mirror)).mean((0, 2, 3))[None]
        probability = self.classifier(pooled).softmax(-1)[0]
        if self.embedding is None:
            return (probability,)
        embedding = self.embedding(pooled)
        length = (embedding * embedding).sum(-1, keepdim=True).sqrt().clamp(min=1e-12)
        return probability, ((embedding / length) @ self.names)[0]


@torch.no_grad()
def _rewritten(model: TrainedModel, shape: tuple[int, ...]) -> nn.Module:
    """Backbone over frames, after a comparison with the original."""
    whole: Any = model.model
    try:
        backbone = over_frames(whole.backbone)
        volume = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        expected = whole.backbone(volume.transpose(0, 1)[None])[0].transpose(0, 1)
        difference = float((backbone(volume) - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    except (NotImplementedError, RuntimeError, AttributeError, IndexError, TypeError) as error:
        problem = f"a part of it has no counterpart ({error})"
    else:
        if difference <= _AGREEMENT:
            return backbone
        problem = f"its counterpart over frames differs by {difference:.1e}"
    raise InputError(f"the backbone cannot be exported: {problem}", file=model.checkpoint, field="model.backbone")
