"""Keypoint and heat-map transforms of the core under PySKL's registry."""

from typing import Any

from pyskl.datasets.builder import PIPELINES

from pyskl_semloss.heatmap.transform import HeatmapTransform
from pyskl_semloss.keypoint_ops.transforms import KEYPOINT_TRANSFORMS

for _transform in KEYPOINT_TRANSFORMS:
    PIPELINES.register_module(module=_transform)


@PIPELINES.register_module()
class GeneratePoseHeatmap(HeatmapTransform):
    """Replacement for PySKL's ``GeneratePoseTarget``, with its score threshold of 1e-3.

    Keypoints stay in the results. See :class:`pyskl_semloss.heatmap.transform.HeatmapTransform`.
    """

    def __init__(self, *args: Any, score_threshold: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(*args, score_threshold=score_threshold, **kwargs)  # type: ignore[misc]
