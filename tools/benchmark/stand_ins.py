"""What stands in for a real part where only the others are measured."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class NoBackbone(nn.Module):
    """Takes volumes and gives features of a backbone's shape for nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, volume: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, channels, 1, 1, 1), zeros."""
        return volume.new_zeros((len(volume), self.channels, 1, 1, 1))


def random_batch(clips: int, persons: int, frames: int, joints: int, size: int, seed: int) -> dict[str, Any]:
    """A batch as :class:`PackKeypoints` packs it, of points that wander over maps of ``size`` x ``size`` px."""
    from mmaction.structures import ActionDataSample

    generator = torch.Generator().manual_seed(seed)
    shape = (1, persons, frames, joints)
    samples = []
    for number in range(clips):
        sample = ActionDataSample()
        # MMAction2 1.2 renamed the label's field.
        set_label = getattr(sample, "set_gt_label", None) or sample.set_gt_labels
        set_label(number % 2)
        for key, value in (("img_shape", (size, size)), ("sample_id", str(number))):
            sample.set_field(value, key, field_type="metainfo")
        samples.append(sample)
    points = [size * torch.rand((*shape, 2), generator=generator) for _ in range(clips)]
    scores = [torch.rand(shape, generator=generator) for _ in range(clips)]
    return {"inputs": {"keypoint": points, "keypoint_score": scores}, "data_samples": samples}
