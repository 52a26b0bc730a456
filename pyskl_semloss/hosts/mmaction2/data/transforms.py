"""Keypoint and heat-map transforms of the core under MMAction2's registry.

The keypoint transforms give the same results as MMAction2's own with equal seeds.
"""

from mmaction.registry import TRANSFORMS

from pyskl_semloss.heatmap.transform import HeatmapTransform
from pyskl_semloss.keypoint_ops.transforms import KEYPOINT_TRANSFORMS

for _transform in KEYPOINT_TRANSFORMS:
    TRANSFORMS.register_module(module=_transform)


@TRANSFORMS.register_module()
class GeneratePoseHeatmap(HeatmapTransform):
    """Replacement for MMAction2's ``GeneratePoseTarget``.

    See :class:`pyskl_semloss.heatmap.transform.HeatmapTransform`.
    """
