"""Operations, bytes and time of a training step, from module shapes."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_NORMS = nn.modules.batchnorm._BatchNorm
_POOLS = (nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d)

# Dense bfloat16 FLOP/s and bytes/s, from NVIDIA's data sheets, by a part of the device's name.
GPU_PEAKS = {
    "H200": (989e12, 4.8e12),
    "H100 PCIe": (756e12, 2.0e12),
    "H100": (989e12, 3.35e12),
    "A100": (312e12, 2.0e12),
}


@dataclass(frozen=True)
class Layer:
    """Work of a module's call: multiply-adds, and elements read or written.

    Attributes:
        kind: ``"convolution"``, ``"norm"``, ``"activation"``, ``"pool"`` or ``"add"``.
        inputs: Elements of its input.
        outputs: Elements of its output.
        weights: Elements of its parameters.
        macs: Multiply-adds forward.
        first: Whether no module before it learns, so that its input needs no gradient.
    """

    kind: str
    inputs: int
    outputs: int
    weights: int = 0
    macs: int = 0
    first: bool = False

    @property
    def macs_backward(self) -> int:
        """Multiply-adds backward: for the gradient of the weights, and of the input."""
        return self.macs * (1 if self.first else 2)

    def moved(self, fused: bool) -> tuple[int, int]:
        """Elements of activations that cross memory forward and backward.

        With ``fused``, activation functions and residual sums are part of the norm before them, forward and backward.
        They only cost the other addend.
        """
        x, y = self.inputs, self.outputs
        if self.kind == "convolution":
            # Backward: the gradient of y for each of the two products, x for the weights' and the gradient of x.
            return x + y, (y + x if self.first else 2 * y + 2 * x)
        if self.kind == "norm":
            # Forward once for the statistics and once to apply them; backward the same two passes, with two operands.
            return 2 * x + y, 5 * x
        if self.kind == "activation":
            return (0, 0) if fused else (x + y, 3 * y)
        if self.kind == "add":
            return (y, 2 * y) if fused else (3 * y, 3 * y)
        return x + y, x + y


@dataclass(frozen=True)
class StepCost:
    """Cost of one training step.

    Attributes:
        flops_forward: Two for each multiply-add, as FLOP/s are counted.
        flops_backward: The same, of the backward pass.
        bytes_forward: Bytes of activations and weights that are read and written.
        bytes_backward: The same, of the backward pass.
        bytes_optimizer: SGD with momentum reads weights, gradients and momenta and writes weights and momenta.
    """

    flops_forward: float
    flops_backward: float
    bytes_forward: float
    bytes_backward: float
    bytes_optimizer: float

    @property
    def flops(self) -> float:
        """Of the whole step."""
        return self.flops_forward + self.flops_backward

    @property
    def bytes(self) -> float:
        """Of the whole step."""
        return self.bytes_forward + self.bytes_backward + self.bytes_optimizer

    def floor(self, flops_per_second: float, bytes_per_second: float) -> float:
        """Lower bound of a step in seconds: the longer of computing and moving."""
        return max(self.flops / flops_per_second, self.bytes / bytes_per_second)


def layers_of(model: Any, shape: Sequence[int]) -> list[Layer]:
    """Work of each module of a recogniser's backbone and head; nothing is computed.

    Args:
        model: With ``backbone`` and ``cls_head`` (pooling, dropout, ``fc_cls`` and, where there is one, the branch).
        shape: (N, C, T, H, W).
    """
    # Hooks and compiled code stay with the original.
    parts = nn.ModuleList([copy.deepcopy(model.backbone), copy.deepcopy(model.cls_head)]).to("meta")
    backbone, head = parts
    for module in parts.modules():
        module._compiled_call_impl = None
    layers: list[Layer] = []
    hooks = [module.register_forward_hook(_recorder(layers)) for module in _counted(backbone)]
    backbone.train()
    with torch.no_grad():
        feature = backbone(torch.empty(tuple(shape), device="meta"))
    for hook in hooks:
        hook.remove()
    clips, channels, *volume = feature.shape
    layers.append(Layer("pool", feature.numel(), clips * channels))
    for linear in (module for module in head.modules() if isinstance(module, nn.Linear)):
        layers.append(_linear(linear, clips))
    return layers


def _linear(linear: nn.Linear, clips: int) -> Layer:
    weights = sum(value.numel() for value in linear.parameters())
    macs = clips * linear.in_features * linear.out_features
    return Layer("convolution", clips * linear.in_features, clips * linear.out_features, weights, macs)


def _counted(backbone: nn.Module) -> Iterable[nn.Module]:
    from mmaction.models.backbones.resnet3d import BasicBlock3d, Bottleneck3d

    kinds = (*_CONVOLUTIONS, _NORMS, *_POOLS, nn.ReLU, BasicBlock3d, Bottleneck3d)
    return [module for module in backbone.modules() if isinstance(module, kinds)]


def _recorder(layers: list[Layer]) -> Any:
    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x, y = inputs[0].numel(), output.numel()
        weights = sum(value.numel() for value in module.parameters(recurse=False))
        if isinstance(module, _CONVOLUTIONS):
            first = not any(layer.kind == "convolution" for layer in layers)
            # Each output element sums one product for each weight of its channel.
            macs = y * (module.weight.numel() // module.weight.shape[0])
            layers.append(Layer("convolution", x, y, weights, macs, first))
        elif isinstance(module, _NORMS):
            layers.append(Layer("norm", x, y, weights))
        elif isinstance(module, nn.ReLU):
            layers.append(Layer("activation", x, y))
        elif isinstance(module, _POOLS):
            # A pool of one pixel passes its input on.
            if x != y:
                layers.append(Layer("pool", x, y))
        else:
            layers.append(Layer("add", y, y))

    return record


def step_cost(model: Any, shape: Sequence[int], *, element: int = 2, fused: bool = True) -> StepCost:
    """Operations and bytes of a training step of a recogniser.

    Each operation reads or writes each of its operands once; caches between operations are not modelled. The volume
    of the heat maps is counted. Weights are float32; with ``element`` 2 a copy of them in that precision is written
    and read.

    Args:
        model: A recogniser.
        shape: (N, C, T, H, W) of the volumes of a step.
        element: Bytes of an activation.
        fused: Whether activation functions and residual sums are done beside the norms.
    """
    layers = layers_of(model, shape)
    parameters = sum(value.numel() for value in model.parameters() if value.requires_grad)
    volume = 1
    for size in shape:
        volume *= size
    forward = volume + sum(layer.moved(fused)[0] for layer in layers)
    backward = sum(layer.moved(fused)[1] for layer in layers)
    weights = sum(layer.weights for layer in layers)
    cast = weights * (4 + element) if element != 4 else 0
    return StepCost(
        flops_forward=2.0 * sum(layer.macs for layer in layers),
        flops_backward=2.0 * sum(layer.macs_backward for layer in layers),
        bytes_forward=float(element * (forward + weights) + cast),
        # Weights are read once more, their gradients written.
        bytes_backward=float(element * (backward + weights) + 4 * weights),
        bytes_optimizer=20.0 * parameters,
    )


def peaks(device: str) -> dict[str, Any]:
    """FLOP/s by precision, and bytes/s: published for known GPUs, else measured."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        for part, (flops, moved) in GPU_PEAKS.items():
            if part in name:
                return {"source": f"data sheet of the {part}", "bfloat16": flops, "bytes": moved}
    size, elements = (8192, 1 << 28) if device == "cuda" else (1536, 1 << 25)
    source = torch.empty(elements, device=device)
    target = torch.empty_like(source)
    peaks: dict[str, Any] = {
        "source": f"measured here: {size} x {size} matrix product, copy of {4 * elements >> 20} MB"
    }
    peaks["bytes"] = 8.0 * elements / _best(lambda: target.copy_(source), device)
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        matrix = torch.ones((size, size), dtype=dtype, device=device)
        peaks[name] = 2.0 * size**3 / _best(functools.partial(torch.matmul, matrix, matrix), device)
    return peaks


def _best(work: Callable[[], object], device: str, times: int = 5) -> float:
    """Seconds of the shortest of some runs."""
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken[1:])
