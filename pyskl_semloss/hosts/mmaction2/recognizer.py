"""The host's 3-D recogniser in the memory layout that the heat maps come in."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models import Recognizer3D
from mmaction.registry import MODELS

from pyskl_semloss.errors import InputError


@MODELS.register_module()
class PoseRecognizer3D(Recognizer3D):
    """``Recognizer3D`` whose weights lie channels last in memory, as ``PoseHeatmapPreprocessor`` makes its volumes.

    Volumes and weights of different layouts cost a copy in every convolution, several times the work itself. The
    state dict is the host's. The layout is set before the model is wrapped for several processes, whose gradient
    buckets keep the layout that they are made with.

    Raises:
        InputError: The backbone takes another number of channels than the preprocessor draws.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        drawn = getattr(self.data_preprocessor, "channels", None)
        taken = getattr(self.backbone, "in_channels", None)
        if drawn is not None and taken is not None and len(drawn) != taken:
            raise InputError(
                f"the backbone takes {taken} channels, the preprocessor draws {len(drawn)} {drawn.modality}s",
                field="model.backbone.in_channels",
                fix=f"Set it to {len(drawn)}.",
            )
        self.to(memory_format=torch.channels_last_3d)
