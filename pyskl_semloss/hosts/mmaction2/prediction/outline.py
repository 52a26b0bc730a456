"""A recorded model without memory: torch's meta device knows the shapes of weights and features, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.prediction.recorded_config import MOST_NUMBERS


@torch.no_grad()
def check_outline(model: Any, steps: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a model whose parts do not fit each other, or whose features would fill the memory.

    Args:
        model: On the meta device.
        steps: Its recorded test pipeline.

    Raises:
        InputError: A volume or a feature of one view has more than ``MOST_NUMBERS`` numbers.
        RuntimeError: torch's, where parts do not fit.
    """
    model.eval()
    preprocessor = model.data_preprocessor
    frames = next(step["clip_len"] for step in steps if step["type"] == "SampleKeypointFrames")
    size = (len(preprocessor.channels), frames, *_map_size(steps))
    _check_numbers(size)
    hooks = [part.register_forward_hook(_check_feature) for part in model.modules() if not list(part.children())]
    volume = torch.empty((1, *size), device="meta").to(memory_format=torch.channels_last_3d)
    model.cls_head(model.backbone(volume))
    for hook in hooks:
        hook.remove()


def _map_size(steps: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Height and width of the maps in px; of a square around them where they keep their ratio."""
    resize = next(step for step in reversed(steps) if step["type"] == "ResizeKeypoints")
    width, height = resize["scale"]
    return (max(width, height),) * 2 if resize.get("keep_ratio", True) else (height, width)


def _check_feature(part: nn.Module, taken: Any, given: Any) -> None:
    if isinstance(given, Tensor):
        _check_numbers(given.shape)


def _check_numbers(shape: Sequence[int]) -> None:
    numbers = 1
    for size in shape:
        numbers *= size
    if numbers > MOST_NUMBERS:
        shown = " x ".join(map(str, shape))
        problem = f"a view of a clip takes {shown} = {numbers} numbers at a time, more than {MOST_NUMBERS}"
        raise InputError(problem, field="meta.cfg: model.backbone, test_dataloader.dataset.pipeline")
