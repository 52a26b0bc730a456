"""The host's 3-D recogniser with channels-last weights and optional bfloat16."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from mmaction.models import I3DHead, Recognizer3D, ResNet3d
from mmaction.registry import MODELS
from mmcv.cnn.bricks.wrappers import Conv3d
from torch import Tensor

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap.sparse_convolution import HeatmapConv3d
from pyskl_semloss.hosts.mmaction2.model.preprocessor import PoseHeatmapPreprocessor, Views
from pyskl_semloss.skeletons import get_layout

# Peak activation memory of one view, over the size of its float32 input volume.
_PEAK_MEMORY_RATIO = 5


@MODELS.register_module()
class PoseRecognizer3D(Recognizer3D):
    """``Recognizer3D`` with weights channels last, like ``PoseHeatmapPreprocessor``'s volumes.

    Different memory layouts of volumes and weights would cost a copy in every convolution, several times the
    convolution itself. The state dict is the host's. The memory layout is set before the model is wrapped for
    distributed training, whose gradient buckets keep it.

    On a CPU the first convolution skips zero pixels, about 99 of 100.

    Testing renders and scores the views of a batch in parts, so that memory does not grow with their number; the scores
    equal those of a single pass.

    Args:
        backbone: As in the host. ``in_channels=None`` is set from the preprocessor's layout and modality.
        *args: As in the host.
        fast: Compute in bfloat16 with weights and losses in float32, and compile on a GPU.
        compile: Whether to compile the backbone and the torch heat-map engine; None: on a GPU, if ``fast``.
        test_memory: Approximate memory in MB for volumes and features in testing; None: 128 on a CPU, whose caches are
            small, 4096 on a GPU.
        **kwargs: As in the host.

    Raises:
        InputError: The backbone's number of channels differs from that of the preprocessor's heat maps.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        *args: Any,
        fast: bool = False,
        compile: bool | None = None,
        test_memory: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_with_channels(backbone, kwargs.get("data_preprocessor")), *args, **kwargs)
        if test_memory is not None and not test_memory > 0:
            raise InputError(f"expected a positive number of MB, got {test_memory!r}", field="model.test_memory")
        self.fast, self.test_memory, self._compile = fast, test_memory, compile
        drawn = getattr(self.data_preprocessor, "channels", None)
        taken = getattr(self.backbone, "in_channels", None)
        if drawn is not None and taken is not None and len(drawn) != taken:
            raise InputError(
                f"the backbone takes {taken} channels, the preprocessor draws {len(drawn)} {drawn.modality}s",
                field="model.backbone.in_channels",
                fix=f"Set it to {len(drawn)}.",
            )
        check_feature_width(self)
        first: Any = getattr(self.backbone, "conv1", None)
        if isinstance(getattr(first, "conv", None), torch.nn.Conv3d):
            # The host's convolutions are mmcv's, which differ from torch's only for empty volumes and old torch.
            first.conv = HeatmapConv3d.of(first.conv, (torch.nn.Conv3d, Conv3d))
        if fast:
            self.cls_head.register_forward_hook(_in_float32)
        if compile:
            self._compile_parts()
        self.to(memory_format=torch.channels_last_3d)

    def _compile_parts(self) -> None:
        # In place, to keep the names in the state dict.
        self.backbone.compile()
        if isinstance(self.data_preprocessor, PoseHeatmapPreprocessor):
            self.data_preprocessor.fuse = True

    def _apply(self, *args: Any, **kwargs: Any) -> PoseRecognizer3D:
        """As in torch; a ``fast`` model that moves to a GPU is set up for bfloat16 and compilation."""
        super()._apply(*args, **kwargs)
        if getattr(self, "fast", False) and self._device.type == "cuda":
            if isinstance(self.data_preprocessor, PoseHeatmapPreprocessor):
                self.data_preprocessor.dtype = torch.bfloat16
            if self._compile is None:
                self._compile = True
                self._compile_parts()
        return self

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _precision(self) -> contextlib.AbstractContextManager:
        # Without fast, the caller's autocast applies, such as the host's mixed precision.
        return torch.autocast(self._device.type, torch.bfloat16) if self.fast else contextlib.nullcontext()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As in the host."""
        with self._precision():
            return super().forward(*args, **kwargs)

    def test_step(self, data: dict[str, Any]) -> list:
        """Predictions of a batch, computed for some views at a time."""
        if self.with_neck or not isinstance(self.data_preprocessor, PoseHeatmapPreprocessor):
            return super().test_step(data)
        views = self.data_preprocessor.views(data)
        with self._precision():
            return self.cls_head.predict(self._features(views), views.samples)

    def val_step(self, data: dict[str, Any]) -> list:
        """As :meth:`test_step`."""
        return self.test_step(data)

    def _features(self, views: Views) -> Tensor:
        """Pooled features (N * S views, channels, 1, 1, 1), each clip's mirror images after its views."""
        render, pool = self.data_preprocessor.render, getattr(self.cls_head, "avg_pool", None) or torch.nn.Identity()
        clips, views_of_clip = views.keypoint.shape[:2]
        keypoint, score = views.keypoint.flatten(0, 1), views.score.flatten(0, 1)
        step = self._views_at_a_time(views)
        images = []
        for mirror in (False, True)[: 1 + views.mirrored]:
            parts = []
            for start in range(0, len(keypoint), step):
                part = slice(start, start + step)
                volume = render(keypoint[part, None], score[part, None], views.size, [mirror]).flatten(0, 2)
                parts.append(pool(self.backbone(volume.permute(0, 4, 1, 2, 3))))
                # The next volume reuses this memory, which is still in the caches.
                del volume
            images.append(torch.cat(parts).unflatten(0, (clips, views_of_clip)))
        return torch.cat(images, dim=1).flatten(0, 1)

    def _views_at_a_time(self, views: Views) -> int:
        memory = self.test_memory or (128 if self._device.type == "cpu" else 4096)
        height, width = views.size
        pixels = views.keypoint.shape[3] * height * width * len(self.data_preprocessor.channels)
        return max(1, int(memory * 2**20 / (pixels * 4 * _PEAK_MEMORY_RATIO)))


def check_feature_width(model: Any) -> None:
    """Refuse a head whose in_channels differ from the backbone's output width.

    The host would fail at the first clip only.

    Args:
        model: A recogniser of the host. Only ``ResNet3d`` with ``I3DHead`` is checked.

    Raises:
        InputError: Names both widths.
    """
    backbone, head = model.backbone, getattr(model, "cls_head", None)
    if model.with_neck or not isinstance(backbone, ResNet3d) or not isinstance(head, I3DHead):
        return
    widths = [backbone.block.expansion * backbone.base_channels * 2**stage for stage in backbone.out_indices]
    if widths != [head.in_channels]:
        given = ", ".join(map(str, widths))
        raise InputError(
            f"the backbone gives {given} channels, the head takes {head.in_channels}",
            field="model.cls_head.in_channels",
            fix=f"Set it to {given}, or change model.backbone.base_channels." if len(widths) == 1 else None,
        )


def _with_channels(backbone: Mapping[str, Any], preprocessor: object) -> Mapping[str, Any]:
    """Backbone's config, with an open number of channels set from the preprocessor's config."""
    stated = backbone.get("in_channels", "the host's") is not None
    if stated or not isinstance(preprocessor, Mapping) or "skeleton" not in preprocessor:
        return backbone
    layout, modality = get_layout(preprocessor["skeleton"]), preprocessor.get("modality", "joint")
    return {**backbone, "in_channels": layout.num_channels(modality)}


def _in_float32(head: torch.nn.Module, taken: Any, given: Any) -> Any:
    """Float32 scores of the host's heads; its losses and metrics do not accept bfloat16."""
    return given.float() if isinstance(given, Tensor) else given
