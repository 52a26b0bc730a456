"""Pipeline transforms that both hosts register.

With the same seeds they give what MMAction2's own classes give, also on numpy 2; annotations are never written into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyskl_semloss import keypoint_ops as ops
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import get_layout, mirror_order

Results = dict[str, Any]


class KeypointTransform:
    """A step of a pipeline: called with the results of a clip, it returns them changed."""

    def transform(self, results: Results) -> Results:
        """Change the results of one clip."""
        raise NotImplementedError

    def __call__(self, results: Results) -> Results:
        """As :meth:`transform`; the hosts call a step."""
        return self.transform(results)


class SampleKeypointFrames(KeypointTransform):
    """Choose frames uniformly and take them: MMAction2's ``UniformSampleFrames`` and ``PoseDecode`` in one step.

    ``keypoint`` (M, T, V, 2) and ``keypoint_score`` (M, T, V), ones where absent, become float32 with S * L frames.

    Args:
        clip_len: Frames L per clip.
        num_clips: Number S of clips.
        test_mode: Whether every epoch takes the same frames, as validation and testing need.
        seed: Seed of the choice in test mode; the global generators stay untouched.
    """

    def __init__(self, clip_len: int, num_clips: int = 1, test_mode: bool = False, seed: int = 255) -> None:
        ops.check_sampling(clip_len, num_clips)
        self.clip_len, self.num_clips, self.test_mode, self.seed = clip_len, num_clips, test_mode, seed

    def transform(self, results: Results) -> Results:
        """Sample one clip."""
        keypoint, score = results["keypoint"], results.get("keypoint_score")
        ops.check_clip(keypoint, score, results.get("total_frames"), results.get("frame_dir"))
        request = (keypoint.shape[1], self.clip_len, self.num_clips)
        if self.test_mode:
            indices = ops.uniform_frame_indices_test(*request, self.seed)
        else:
            indices = ops.uniform_frame_indices(*request)
        results["keypoint"], results["keypoint_score"] = ops.gather_frames(keypoint, score, indices)
        results.update(frame_inds=indices, clip_len=self.clip_len, num_clips=self.num_clips)
        return results


class CompactKeypoints(KeypointTransform):
    """Crop to the box around all points; the arguments of :func:`pyskl_semloss.keypoint_ops.compact_crop`."""

    def __init__(
        self,
        padding: float = 0.25,
        threshold: float = 10,
        hw_ratio: float | Sequence[float] | None = None,
        allow_imgpad: bool = True,
    ) -> None:
        ops.check_compact(padding, hw_ratio)
        self.arguments: dict[str, Any] = dict(
            padding=padding, threshold=threshold, hw_ratio=hw_ratio, allow_imgpad=allow_imgpad
        )

    def transform(self, results: Results) -> Results:
        """Crop one clip."""
        compact = ops.compact_crop(results["keypoint"], results["img_shape"], **self.arguments)
        results["keypoint"], results["img_shape"] = compact
        return results


class ResizeKeypoints(KeypointTransform):
    """Scale the points with their image; the arguments of :func:`pyskl_semloss.keypoint_ops.resized_shape`."""

    def __init__(self, scale: float | Sequence[int], keep_ratio: bool = True) -> None:
        ops.check_scale(scale, keep_ratio)
        self.scale, self.keep_ratio = scale, keep_ratio

    def transform(self, results: Results) -> Results:
        """Resize one clip."""
        resized = ops.resize(results["keypoint"], results["img_shape"], self.scale, self.keep_ratio)
        results["keypoint"], results["img_shape"] = resized
        return results


class RandomResizedCropKeypoints(KeypointTransform):
    """Crop to a random box.

    Args:
        area_range: Lowest and highest part of the image's area.
        aspect_ratio_range: Lowest and highest width / height.
    """

    def __init__(
        self, area_range: Sequence[float] = (0.08, 1.0), aspect_ratio_range: Sequence[float] = (3 / 4, 4 / 3)
    ) -> None:
        ops.check_crop_ranges(area_range, aspect_ratio_range)
        self.area_range, self.aspect_ratio_range = area_range, aspect_ratio_range

    def transform(self, results: Results) -> Results:
        """Crop one clip."""
        box = ops.draw_crop_box(results["img_shape"], self.area_range, self.aspect_ratio_range)
        results["keypoint"], results["img_shape"] = ops.crop(results["keypoint"], box)
        return results


class FlipKeypoints(KeypointTransform):
    """Mirror left and right at random; writes ``flip``.

    Without ``skeleton`` and without lists, the pairs are those of the layout that the dataset names.

    Args:
        flip_ratio: Probability of a flip.
        skeleton: Name or mapping of a layout, which knows its mirror pairs and its number of joints.
        left_kp: Left joints, instead of ``skeleton``.
        right_kp: Their partners on the right.
    """

    def __init__(
        self,
        flip_ratio: float = 0.5,
        skeleton: str | Mapping[str, Any] | None = None,
        left_kp: Sequence[int] | None = None,
        right_kp: Sequence[int] | None = None,
    ) -> None:
        if not 0 <= flip_ratio <= 1:
            raise InputError(f"expected a probability, got {flip_ratio}", field="flip_ratio")
        if (left_kp is None) != (right_kp is None) or (skeleton is not None and left_kp is not None):
            raise InputError("expected skeleton, or left_kp and right_kp, or none of them", field="skeleton")
        self.flip_ratio = flip_ratio
        self.layout = None if skeleton is None else get_layout(skeleton)
        self.pairs = None
        if left_kp is not None and right_kp is not None:
            if len(left_kp) != len(right_kp):
                problem = f"{len(left_kp)} left joints face {len(right_kp)} right joints"
                raise InputError(problem, field="left_kp, right_kp")
            self.pairs = tuple(zip(left_kp, right_kp, strict=True))
            mirror_order(1 + max((joint for pair in self.pairs for joint in pair), default=0), self.pairs)

    def _order(self, results: Results) -> np.ndarray:
        """Joint order (V,) of the mirror image."""
        joints, clip = results["keypoint"].shape[2], results.get("frame_dir")
        if self.pairs is not None:
            return np.asarray(mirror_order(joints, self.pairs, whose=f"clip {clip!r}: "))
        layout = self.layout or results.get("skeleton")
        if layout is None:
            raise InputError(
                "no layout says which joints are left and right",
                clip=clip,
                field="skeleton",
                fix="Give FlipKeypoints, or KeypointDataset, a skeleton.",
            )
        if joints != layout.num_joints:
            problem = f"expected the {layout.num_joints} joints of skeleton {layout.name!r}, got {joints}"
            raise InputError(problem, clip=clip, field="keypoint")
        return np.asarray(layout.joint_mirror)

    def transform(self, results: Results) -> Results:
        """Flip one clip, or leave it."""
        order = self._order(results)
        results["flip"] = bool(np.random.rand() < self.flip_ratio)
        if results["flip"]:
            flipped = ops.flip(results["keypoint"], results["keypoint_score"], results["img_shape"][1], order)
            results["keypoint"], results["keypoint_score"] = flipped
        return results


KEYPOINT_TRANSFORMS = (
    SampleKeypointFrames,
    CompactKeypoints,
    ResizeKeypoints,
    RandomResizedCropKeypoints,
    FlipKeypoints,
)
