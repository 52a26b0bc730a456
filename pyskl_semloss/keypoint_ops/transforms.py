"""Pipeline transforms that both hosts register.

With the same seeds, those that MMAction2 has too give what its own classes give, also on numpy 2; annotations are never
written into. A pipeline of a graph network is NormaliseKeypoints, RandomRotateKeypoints, RandomScaleKeypoints,
KeypointStream, SampleKeypointFrames, FormatGraphInput.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyskl_semloss import keypoint_ops as ops
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import SkeletonGraph, SkeletonLayout, get_layout, mirror_order, skeleton_graph

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
        _check_pixels(results, "CompactKeypoints")
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
        _check_pixels(results, "ResizeKeypoints")
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
        _check_pixels(results, "RandomResizedCropKeypoints")
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
        layout = _layout_of(results, self.layout, "no layout says which joints are left and right", "FlipKeypoints")
        return np.asarray(layout.joint_mirror)

    def transform(self, results: Results) -> Results:
        """Flip one clip, or leave it."""
        _check_pixels(results, "FlipKeypoints")
        order = self._order(results)
        results["flip"] = bool(np.random.rand() < self.flip_ratio)
        if results["flip"]:
            flipped = ops.flip(results["keypoint"], results["keypoint_score"], results["img_shape"][1], order)
            results["keypoint"], results["keypoint_score"] = flipped
        return results


class NormaliseKeypoints(KeypointTransform):
    """Bring points from pixels to units of the image or of the body; writes ``keypoint_unit``, (x, y) in px.

    Missing points become (0, 0) with score 0, and stay that. To be put before the transforms of graph networks below.

    Args:
        by: ``"image"`` or ``"body"``, see :func:`pyskl_semloss.keypoint_ops.normalise`.
        threshold: A point with this score or less is missing.
    """

    def __init__(self, by: str = "image", threshold: float = 0.01) -> None:
        ops.check_normalisation(by)
        self.by, self.threshold = by, threshold

    def transform(self, results: Results) -> Results:
        """Normalise one clip."""
        _check_pixels(results, "NormaliseKeypoints")
        ops.check_clip(results["keypoint"], results.get("keypoint_score"), clip=results.get("frame_dir"))
        keypoint, score = ops.mark_missing(results["keypoint"], results.get("keypoint_score"), self.threshold)
        results["keypoint"], results["keypoint_unit"] = ops.normalise(keypoint, score, results["img_shape"], self.by)
        results["keypoint_score"] = score
        return results


class RandomRotateKeypoints(KeypointTransform):
    """Turn a clip around the middle by a random angle, the same in all frames; to be put after the normalisation.

    Args:
        theta: The angle is uniform on [-theta, theta], radians.
    """

    def __init__(self, theta: float = 0.3) -> None:
        ops.draw_angle(theta, np.random.RandomState(0))
        self.theta = theta

    def transform(self, results: Results) -> Results:
        """Turn one clip."""
        unit = _unit_of(results, "RandomRotateKeypoints")
        results["keypoint"] = ops.rotate(results["keypoint"], ops.draw_angle(self.theta), unit)
        return results


class RandomScaleKeypoints(KeypointTransform):
    """Scale x and y of a clip by random factors, the same in all frames; to be put after the normalisation.

    Args:
        scale: Each factor is uniform on [1 - scale, 1 + scale].
    """

    def __init__(self, scale: float = 0.1) -> None:
        ops.draw_scale(scale, np.random.RandomState(0))
        self.scale = scale

    def transform(self, results: Results) -> Results:
        """Scale one clip."""
        _unit_of(results, "RandomScaleKeypoints")
        results["keypoint"] = results["keypoint"] * ops.draw_scale(self.scale).astype(np.float32)
        return results


class KeypointStream(KeypointTransform):
    """Replace points by one of the four inputs of graph networks; to be put before the sampling of frames.

    Args:
        stream: ``"joint"``, ``"bone"``, ``"joint_motion"`` or ``"bone_motion"``; default that of the dataset.
        skeleton: Name or mapping of the layout whose graph says what a bone is; default that of the dataset.
        centre: Index or name of the joint that the bones lead to; default the graph's own.
    """

    def __init__(
        self,
        stream: str | None = None,
        skeleton: str | Mapping[str, Any] | None = None,
        centre: int | str | None = None,
    ) -> None:
        if stream is not None:
            ops.check_stream(stream)
        self.stream, self.centre = stream, centre
        self.layout = None if skeleton is None else get_layout(skeleton)
        self._graphs: dict[SkeletonLayout, SkeletonGraph] = {}

    def _graph(self, results: Results, stream: str) -> SkeletonGraph | None:
        if not stream.startswith("bone"):
            return None
        layout = _layout_of(results, self.layout, "no layout says which joints a bone joins", "KeypointStream")
        if layout not in self._graphs:
            self._graphs[layout] = skeleton_graph(layout, self.centre)
        return self._graphs[layout]

    def transform(self, results: Results) -> Results:
        """Replace the points of one clip."""
        _unit_of(results, "KeypointStream")
        stream = self.stream or results.get("stream", "joint")
        points = ops.stream(results["keypoint"], results["keypoint_score"], stream, self._graph(results, stream))
        results["keypoint"], results["keypoint_score"] = points
        return results


class FormatGraphInput(KeypointTransform):
    """Make ``keypoint`` (S, P, L, V, 3) = clip, person, frame, joint, (x, y, score), the input of graph networks.

    Args:
        num_person: Number P of persons, see :func:`pyskl_semloss.keypoint_ops.fill_persons`.
    """

    def __init__(self, num_person: int = 1) -> None:
        if num_person < 1:
            raise InputError(f"expected at least 1, got {num_person}", field="num_person")
        self.num_person = num_person

    def transform(self, results: Results) -> Results:
        """Format one clip."""
        keypoint, score = ops.fill_persons(results["keypoint"], results.pop("keypoint_score"), self.num_person)
        whole = np.concatenate((keypoint, score[..., None]), axis=-1, dtype=np.float32)
        persons, _, joints, channels = whole.shape
        clips = whole.reshape(persons, results.get("num_clips", 1), -1, joints, channels)
        results["keypoint"] = np.ascontiguousarray(clips.swapaxes(0, 1))
        return results


def _layout_of(results: Results, layout: SkeletonLayout | None, problem: str, step: str) -> SkeletonLayout:
    """Layout of a step, or of the dataset; the clip must have its joints."""
    layout, joints, clip = layout or results.get("skeleton"), results["keypoint"].shape[2], results.get("frame_dir")
    if layout is None:
        fix = f"Give {step}, or KeypointDataset, a skeleton."
        raise InputError(problem, clip=clip, field="skeleton", fix=fix)
    if joints != layout.num_joints:
        problem = f"expected the {layout.num_joints} joints of skeleton {layout.name!r}, got {joints}"
        raise InputError(problem, clip=clip, field="keypoint")
    return layout


def _check_pixels(results: Results, step: str) -> None:
    if "keypoint_unit" in results:
        problem = f"{step} needs points in pixels, got normalised ones"
        fix = f"Put {step} before NormaliseKeypoints, which is there once."
        raise InputError(problem, clip=results.get("frame_dir"), field="pipeline", fix=fix)


def _unit_of(results: Results, step: str) -> tuple[float, float]:
    """Unit of normalised points, px."""
    if "keypoint_unit" not in results:
        problem = f"{step} needs normalised points, got pixels"
        fix = f"Put NormaliseKeypoints before {step}."
        raise InputError(problem, clip=results.get("frame_dir"), field="pipeline", fix=fix)
    return results["keypoint_unit"]


KEYPOINT_TRANSFORMS = (
    SampleKeypointFrames,
    CompactKeypoints,
    ResizeKeypoints,
    RandomResizedCropKeypoints,
    FlipKeypoints,
    NormaliseKeypoints,
    RandomRotateKeypoints,
    RandomScaleKeypoints,
    KeypointStream,
    FormatGraphInput,
)
