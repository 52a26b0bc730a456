"""The keypoint transforms of the core under MMAction2's registry; they equal MMAction2's own from equal seeds."""

from mmaction.registry import TRANSFORMS

from pyskl_semloss.keypoint_ops.transforms import KEYPOINT_TRANSFORMS

for _transform in KEYPOINT_TRANSFORMS:
    TRANSFORMS.register_module(module=_transform)
