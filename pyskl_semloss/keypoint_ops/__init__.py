"""Sampling, crop, resize, flip, and graph networks' inputs, of keypoints."""

from pyskl_semloss.keypoint_ops.cropping import (
    check_compact,
    check_crop_ranges,
    compact_crop,
    crop,
    draw_crop_box,
)
from pyskl_semloss.keypoint_ops.features import (
    bones,
    check_normalisation,
    check_stream,
    draw_angle,
    draw_scale,
    fill_persons,
    mark_missing,
    motion,
    normalise,
    rotate,
    stream,
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
    "bones",
    "check_clip",
    "check_compact",
    "check_crop_ranges",
    "check_normalisation",
    "check_sampling",
    "check_scale",
    "check_stream",
    "compact_crop",
    "crop",
    "draw_angle",
    "draw_crop_box",
    "draw_scale",
    "fill_persons",
    "flip",
    "gather_frames",
    "mark_missing",
    "motion",
    "normalise",
    "resize",
    "resized_shape",
    "rotate",
    "stream",
    "uniform_frame_indices",
    "uniform_frame_indices_test",
]
