"""The heat-map transform of the core under PySKL's registry."""

from typing import Any

from pyskl.datasets.builder import PIPELINES

from pyskl_semloss.heatmap.transform import HeatmapTransform


@PIPELINES.register_module()
class GeneratePoseHeatmap(HeatmapTransform):
    """Drop-in for PySKL's ``GeneratePoseTarget``, whose lowest score that draws is 1e-3; keypoints stay as they are.

    See :class:`pyskl_semloss.heatmap.transform.HeatmapTransform`.
    """

    def __init__(self, *args: Any, score_threshold: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(*args, score_threshold=score_threshold, **kwargs)  # type: ignore[misc]
