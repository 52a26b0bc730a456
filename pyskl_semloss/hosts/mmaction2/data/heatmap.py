"""The heat-map transform of the core under MMAction2's registry."""

from mmaction.registry import TRANSFORMS

from pyskl_semloss.heatmap.transform import HeatmapTransform


@TRANSFORMS.register_module()
class GeneratePoseHeatmap(HeatmapTransform):
    """Drop-in for MMAction2's ``GeneratePoseTarget``; see :class:`pyskl_semloss.heatmap.transform.HeatmapTransform`."""
