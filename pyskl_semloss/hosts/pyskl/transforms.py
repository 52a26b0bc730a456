"""The keypoint transforms of the core under PySKL's registry."""

from pyskl.datasets.builder import PIPELINES

from pyskl_semloss.keypoint_ops.transforms import KEYPOINT_TRANSFORMS

for _transform in KEYPOINT_TRANSFORMS:
    PIPELINES.register_module(module=_transform)
