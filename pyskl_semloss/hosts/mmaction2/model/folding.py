"""Batch-norm folding and operator fusion of a trained backbone, for fast prediction on a CPU.

Half of a forward pass is normalisation, activation and addition, each of which reads and writes all features. Here
batch norm is folded into the convolution weights, and activation and addition are fused into the convolutions, while
the features are in the processor's caches. Scores agree with the model's own up to rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pyskl_semloss.heatmap.sparse_convolution import HeatmapConv3d

# Largest allowed difference from the original backbone on a volume of noise, relative to the largest feature.
_AGREEMENT = 1e-4


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Copy of a model with a folded backbone for CPU inference.

    The copy shares all other modules with the model. Its backbone takes no gradient and computes in float32, or in
    bfloat16 if the model is ``fast``.

    Args:
        model: A ``PoseRecognizer3D`` in evaluation mode.

    Returns:
        The copy, or the model itself if it is not on a CPU, its backbone cannot be folded, or it is ``fast`` and
        oneDNN has no bfloat16 on this processor (such as with AVX2 only).
    """
    if next(model.parameters()).device.type != "cpu":
        return model
    dtype = torch.bfloat16 if getattr(model, "fast", False) else torch.float32
    parts: Any = model
    try:
        backbone = _folded_backbone(parts.backbone, len(parts.data_preprocessor.channels), dtype)
    except (NotImplementedError, AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        # Some builds of torch lack the fused operators of its compiler; without bfloat16 in oneDNN they raise.
        return model
    folded = copy.copy(model)
    folded._modules = {**model._modules, "backbone": backbone}
    return folded


@torch.inference_mode()
def _folded_backbone(backbone: nn.Module, channels: int, dtype: torch.dtype) -> nn.Module:
    folded = FusedSlowOnly(backbone)
    noise = torch.rand((1, channels, 8, 32, 32), generator=torch.Generator().manual_seed(0))
    noise = noise.to(memory_format=torch.channels_last_3d)
    expected, features = backbone(noise), folded(noise)
    if float((features - expected).abs().max()) > _AGREEMENT * float(expected.abs().max()):
        raise NotImplementedError("the backbone has a part that folding does not copy")
    folded = folded.to(dtype)
    # Raises where a fused operator does not support the type.
    folded(noise)
    return folded


class FusedSlowOnly(nn.Module):
    """``ResNet3dSlowOnly`` with folded batch norm and fused activations.

    Args:
        backbone: The network in evaluation mode, on a CPU, in float32.

    Raises:
        NotImplementedError: A part cannot be folded or fused.
        AttributeError: It is another kind of network.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        if len(backbone.out_indices) != 1:
            raise NotImplementedError("features of several stages")
        self.first, self.first_bias = _first(backbone.conv1)
        self.pool = backbone.maxpool if backbone.with_pool1 else nn.Identity()
        stages = [[_Block(block) for block in getattr(backbone, name)] for name in backbone.res_layers]
        stages = stages[: backbone.out_indices[0] + 1]
        parts: list[nn.Module] = [block for stage in stages for block in stage]
        if backbone.with_pool2:
            parts.insert(len(stages[0]), backbone.pool2)
        self.parts = nn.Sequential(*parts)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, channels, T', H', W') in float32 of volumes (N, C, T, H, W)."""
        # The weights' type decides; autocast would do the pooling in float32.
        with torch.autocast("cpu", enabled=False):
            x = self.first(x.to(self.first_bias.dtype))
            x = x.add_(self.first_bias[:, None, None, None]).relu_()
            return self.parts(self.pool(x)).float()


def _first(part: Any) -> tuple[nn.Conv3d, nn.Parameter]:
    """First convolution, which skips the zeros of heat maps, and its bias."""
    if not isinstance(part.activate, nn.ReLU):
        raise NotImplementedError(f"{type(part.activate).__name__} after the first convolution")
    weight, bias = _folded(part)
    old = part.conv
    new = nn.Conv3d(old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=False)
    new.weight = nn.Parameter(weight, requires_grad=False)
    return HeatmapConv3d.of(new), nn.Parameter(bias, requires_grad=False)


class _Block(nn.Module):
    """Residual block: ReLU after each convolution, and addition of the identity before the last ReLU."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        if block.non_local:
            raise NotImplementedError("a non-local block")
        self.convolutions = nn.ModuleList(_Convolution(part) for part in _convolutions(block))
        self.shortcut = None if block.downsample is None else _Convolution(block.downsample)

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.shortcut is None else self.shortcut(x)
        for convolution in self.convolutions[:-1]:
            x = convolution(x, relu=True)
        return self.convolutions[-1](x, relu=True, plus=identity)


def _convolutions(block: Any) -> Iterator[Any]:
    for number in (1, 2, 3):
        if hasattr(block, f"conv{number}"):
            yield getattr(block, f"conv{number}")


class _Convolution(nn.Module):
    def __init__(self, part: Any) -> None:
        super().__init__()
        weight, bias = _folded(part)
        self.weight, self.bias = (nn.Parameter(value, requires_grad=False) for value in (weight, bias))
        self.options = (part.conv.padding, part.conv.stride, part.conv.dilation, part.conv.groups)

    def forward(self, x: Tensor, relu: bool = False, plus: Tensor | None = None) -> Tensor:
        take, kind = torch.ops.mkldnn._convolution_pointwise, "relu" if relu else "none"
        if plus is None:
            return take(x, self.weight, self.bias, *self.options, kind, [], "")
        return take.binary(x, plus, self.weight, self.bias, *self.options, "add", 1.0, kind, [], "")


def _folded(part: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with its batch norm folded in."""
    if part.conv.padding_mode != "zeros" or part.order != ("conv", "norm", "act"):
        raise NotImplementedError("another padding or order")
    norm = part.norm
    if not isinstance(part.norm, nn.modules.batchnorm._BatchNorm):
        raise NotImplementedError(f"{type(norm).__name__} in the place of batch normalisation")
    weight, bias = fuse_conv_bn_weights(
        part.conv.weight, part.conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return weight.detach().contiguous(memory_format=torch.channels_last_3d), bias.detach()
