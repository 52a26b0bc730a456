"""Frame sampling, crop, resize and flip of keypoints."""

from pyskl_semloss.keypoint_ops.cropping import (
    check_compact,
    check_crop_ranges,
    compact_crop,
    crop,
    draw_crop_box,
)
from pyskl_semloss.keypoint_ops.flipping import flip
from pyskl_semloss.keypoint_ops.resizing import check_scale, resize, resized_shape
from pyskl_semloss.keypoint_ops.sampling import (
    check_clip,
    check_sampling,
    gather_frames,
    uniform_frame_indices,
    uniform_frame_indices_test,
)

__all__ = [
    "check_clip",
    "check_compact",
    "check_crop_ranges",
    "check_sampling",
    "check_scale",
    "compact_crop",
    "crop",
    "draw_crop_box",
    "flip",
    "gather_frames",
    "resize",
    "resized_shape",
    "uniform_frame_indices",
    "uniform_frame_indices_test",
]
