"""A trained backbone with fewer passes over memory, for recordings on a CPU, of which thousands of windows are scored.

Half of a forward pass is not convolution but normalisation, activation and sums, each of which reads and writes all
features. Here normalisation is part of the weights, and the rest is done by the convolution that made the features,
while they are in the processor's caches. Scores differ from the model's own by rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from pyskl_semloss.heatmap.sparse_convolution import HeatmapConv3d

# Largest difference to the original backbone, over the largest feature, on a volume of noise.
_AGREEMENT = 1e-4


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """The model with such a backbone; the model itself where it has none, or is not on a CPU.

    The new one shares everything else with the model, and is in evaluation mode; its backbone takes no gradient.

    Args:
        model: A ``PoseRecognizer3D`` in evaluation mode.
    """
    if next(model.parameters()).device.type != "cpu":
        return model
    dtype = torch.bfloat16 if getattr(model, "fast", False) else torch.float32
    parts: Any = model
    try:
        backbone = _folded_backbone(parts.backbone, len(parts.data_preprocessor.channels), dtype)
    except (NotImplementedError, AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        # The operations are those of torch's own compiler, and not every build of it has them.
        return model
    made = copy.copy(model)
    made._modules = {**model._modules, "backbone": backbone}
    return made


@torch.inference_mode()
def _folded_backbone(backbone: nn.Module, channels: int, dtype: torch.dtype) -> nn.Module:
    made = FusedSlowOnly(backbone)
    noise = torch.rand((1, channels, 8, 32, 32), generator=torch.Generator().manual_seed(0))
    noise = noise.to(memory_format=torch.channels_last_3d)
    wanted, given = backbone(noise), made(noise)
    if float((given - wanted).abs().max()) > _AGREEMENT * float(wanted.abs().max()):
        raise NotImplementedError("the backbone does something else besides")
    made = made.to(dtype)
    made(noise)
    return made


class FusedSlowOnly(nn.Module):
    """The features that a ``ResNet3dSlowOnly`` gives to its head.

    Args:
        backbone: In evaluation mode, on a CPU, in float32.

    Raises:
        NotImplementedError: It has a part that cannot be fused.
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
        """(N, C, T, H, W) -> (N, channels, T', H', W') in float32."""
        # The weights' type decides, not autocast, which would have the pooling done in float32.
        with torch.autocast("cpu", enabled=False):
            x = self.first(x.to(self.first_bias.dtype))
            x = x.add_(self.first_bias[:, None, None, None]).relu_()
            return self.parts(self.pool(x)).float()


def _first(part: Any) -> tuple[nn.Conv3d, nn.Parameter]:
    """The convolution of the heat maps, which are mostly zero, and its bias."""
    if not isinstance(part.activate, nn.ReLU):
        raise NotImplementedError(f"{type(part.activate).__name__} after the first convolution")
    weight, bias = _folded(part)
    old = part.conv
    new = nn.Conv3d(old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=False)
    new.weight = nn.Parameter(weight, requires_grad=False)
    return HeatmapConv3d.of(new), nn.Parameter(bias, requires_grad=False)


class _Block(nn.Module):
    """A residual block: all but the last convolution are followed by ReLU, the last by the sum and ReLU."""

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
    """Weight and bias of a convolution that does its normalisation, too."""
    if part.conv.padding_mode != "zeros" or part.order != ("conv", "norm", "act"):
        raise NotImplementedError("another padding or order")
    norm = part.norm
    if not isinstance(part.norm, nn.modules.batchnorm._BatchNorm):
        raise NotImplementedError(f"{type(norm).__name__} in the place of batch normalisation")
    weight, bias = fuse_conv_bn_weights(
        part.conv.weight, part.conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return weight.detach().contiguous(memory_format=torch.channels_last_3d), bias.detach()
