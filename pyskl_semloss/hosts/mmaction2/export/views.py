"""Test pipeline of a config as tensor operations, from annotation entries to views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyskl_semloss.annotations.mending import OFF_IMAGE_FACTOR
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.data.packing import PackKeypoints
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import TrainedModel, build_steps
from pyskl_semloss.keypoint_ops import uniform_frame_indices_test
from pyskl_semloss.keypoint_ops.geometry import ratio_range
from pyskl_semloss.keypoint_ops.transforms import CompactKeypoints, ResizeKeypoints, SampleKeypointFrames

MOST_FRAMES = 32767
"""Longest clip in frames; frame indices are stored in 16 bits."""
_INFINITY = float("inf")


@dataclass(frozen=True)
class ViewPlan:
    """Preprocessing of a clip in a test, before rendering.

    Attributes:
        frames: Number L of frames of a view.
        num_clips: Number S of draws of L frames from a clip.
        seed: Seed of the draws.
        compact: (padding, threshold in px, lowest and highest height / width or None, whether the box may exceed the
            image), or None without crop.
        size: (height, width) of the maps in px.
        mirrored: Whether the mirror image of each view is added as a view.
        drop_off_image: Whether points outside the image count as missing.
        binary_score: Whether every known point scores 1.
    """

    frames: int
    num_clips: int
    seed: int
    compact: tuple[float, float, tuple[float, float] | None, bool] | None
    size: tuple[int, int]
    mirrored: bool
    drop_off_image: bool
    binary_score: bool

    @property
    def views(self) -> int:
        """Number of views of a clip, mirror images included."""
        return self.num_clips * (1 + self.mirrored)


def view_plan(model: TrainedModel, one_view: bool = False) -> ViewPlan:
    """Plan of a model's test pipeline.

    Args:
        model: The model with its pipeline.
        one_view: Use one view of each clip, not all views of the config's test.

    Raises:
        InputError: A step, or a setting of a step, has no counterpart as tensor operations.
    """
    if model.is_graph_network:
        problem = f"it is a graph network ({model.modality}), and the file draws heat maps for PoseC3D models alone"
        _refuse(model, problem, "Leave it out; semloss predict and the app take it.")
    steps = build_steps(model.steps(one_view))
    sample = _only(steps, SampleKeypointFrames, model)
    resize = _only(steps, ResizeKeypoints, model)
    pack = _only(steps, PackKeypoints, model)
    crops = [step for step in steps if isinstance(step, CompactKeypoints)]
    if [sample, *crops[:1], resize, pack] != steps:
        types = ", ".join(type(step).__name__ for step in steps)
        _refuse(model, f"expected SampleKeypointFrames, CompactKeypoints, ResizeKeypoints, PackKeypoints, got {types}")
    if not sample.test_mode:
        _refuse(model, "its SampleKeypointFrames draws random frames", "Set test_mode=True.")
    if resize.keep_ratio:
        _refuse(model, "its maps have no fixed size", "Give ResizeKeypoints a (width, height) and keep_ratio=False.")
    if not model.model.data_preprocessor.use_score:
        _refuse(model, "with use_score=False padded persons cannot be distinguished from others")
    compact = None
    if crops:
        chosen = crops[0].arguments
        ratios = None if chosen["hw_ratio"] is None else ratio_range(chosen["hw_ratio"])
        compact = (float(chosen["padding"]), float(chosen["threshold"]), ratios, bool(chosen["allow_imgpad"]))
    return ViewPlan(
        frames=sample.clip_len,
        num_clips=sample.num_clips,
        seed=sample.seed,
        compact=compact,
        size=(int(resize.scale[1]), int(resize.scale[0])),
        mirrored=pack.mirrored_views,
        drop_off_image=model.rules.off_image == "drop",
        binary_score=model.binary_score,
    )


def _only(steps: Sequence[Callable], kind: type, model: TrainedModel) -> Any:
    matching = [step for step in steps if isinstance(step, kind)]
    if len(matching) != 1:
        _refuse(model, f"expected one {kind.__name__}, got {len(matching)}")
    return matching[0]


def _refuse(model: TrainedModel, problem: str, fix: str = "Predict with torch, see semloss predict.") -> None:
    raise InputError(f"its test pipeline cannot be exported: {problem}", file=model.checkpoint, fix=fix)


class ClipViews(nn.Module):
    """Views of clips, bit-identical to the reader's and the test pipeline's.

    Clips are repaired, sampled, cropped and resized.

    Args:
        plan: The steps.
        max_frames: Longest clip in frames. A graph cannot compute the draws, so they are stored for each length.

    Raises:
        InputError: ``max_frames`` is not from 1 to :data:`MOST_FRAMES`.
    """

    frame_of: Tensor

    def __init__(self, plan: ViewPlan, max_frames: int) -> None:
        super().__init__()
        if not 1 <= max_frames <= MOST_FRAMES:
            raise InputError(f"expected 1 to {MOST_FRAMES}, got {max_frames}", field="max_frames")
        self.plan = plan
        lengths = range(1, max_frames + 1)
        rows = [uniform_frame_indices_test(total, plan.frames, plan.num_clips, plan.seed) for total in lengths]
        rows.insert(0, np.zeros_like(rows[0]))
        self.register_buffer("frame_of", torch.from_numpy(np.stack(rows).astype(np.int16)))

    def forward(
        self, keypoint: Tensor, score: Tensor, total_frames: Tensor, img_shape: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Views of a batch.

        Args:
            keypoint: (N clips, M persons, T frames, V joints, 2) x, y in px, padded with 0.
            score: (N, M, T, V).
            total_frames: (N,) int64, the frames of each clip, 1 to T.
            img_shape: (N, 2) int64, height and width of the images in px.

        Returns:
            Keypoints (K, M, L, V, 2) in px of the maps and scores (K, M, L, V) of the K = N * views views, grouped by
            clip, and (K, 1) int64, 1 for each mirror image.
        """
        plan = self.plan
        keypoint, score = self._repaired(keypoint, score, img_shape)
        frame = self.frame_of.index_select(0, total_frames).long()
        # A graph can refuse a wrong length only by an index outside the frames.
        frames = keypoint.shape[2]
        frame = frame + frames * ((total_frames < 1) | (total_frames > frames)).long()[:, None]
        chosen = frame[:, None, :, None].expand(-1, score.shape[1], -1, score.shape[3])
        score = score.gather(2, chosen)
        keypoint = keypoint.gather(2, chosen[..., None].expand(-1, -1, -1, -1, 2))
        height, width = img_shape[:, 0], img_shape[:, 1]
        if plan.compact is not None:
            keypoint, height, width = _compacted(keypoint, height, width, *plan.compact)
        factor = torch.stack([plan.size[1] / width.double(), plan.size[0] / height.double()], -1).float()
        keypoint = keypoint * factor[:, None, None, None]
        points, scores = self._as_views(keypoint, 5), self._as_views(score, 4)
        mirror = torch.arange(plan.views).div(plan.num_clips, rounding_mode="floor")
        mirror = (mirror[None] + torch.zeros_like(height)[:, None]).reshape(-1, 1)
        return points, scores, mirror

    def _repaired(self, keypoint: Tensor, score: Tensor, img_shape: Tensor) -> tuple[Tensor, Tensor]:
        # Comparisons are false for NaN.
        score = torch.where(score.abs() < _INFINITY, score, 0.0).clamp(0.0, 1.0)
        limit = (OFF_IMAGE_FACTOR * img_shape.amax(1).float())[:, None, None, None]
        x, y = keypoint[..., 0], keypoint[..., 1]
        known = (x.abs() <= limit) & (y.abs() <= limit)
        if self.plan.drop_off_image:
            height, width = (img_shape[:, axis].float()[:, None, None, None] for axis in (0, 1))
            known = known & (x >= 0) & (y >= 0) & (x < width) & (y < height)
        keypoint = torch.where(known[..., None], keypoint, 0.0)
        if self.plan.binary_score:
            return keypoint, ((keypoint[..., 0] != 0) | (keypoint[..., 1] != 0)).float()
        return keypoint, torch.where(known, score, 0.0)

    def _as_views(self, value: Tensor, dims: int) -> Tensor:
        """Views (N * views, M, L, ...) of draws (N, M, S * L, ...), mirror images after each clip's views."""
        plan = self.plan
        split = value.unflatten(2, (plan.num_clips, plan.frames)).transpose(1, 2)
        several = torch.cat([split, split], 1) if plan.mirrored else split
        return several.flatten(0, 1)


def _compacted(
    keypoint: Tensor,
    height: Tensor,
    width: Tensor,
    padding: float,
    threshold: float,
    ratios: tuple[float, float] | None,
    allow_imgpad: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batched :func:`pyskl_semloss.keypoint_ops.compact_crop`, with float64 for its Python floats."""
    present = keypoint != 0
    clips = keypoint.shape[0]
    low = torch.where(present, keypoint, _INFINITY).reshape(clips, -1, 2).amin(1)
    high = torch.where(present, keypoint, -_INFINITY).reshape(clips, -1, 2).amax(1)
    large = (high - low) >= threshold
    used = large[:, 0] & large[:, 1]
    low, high = (torch.where(used[:, None], value, 0.0) for value in (low, high))
    centre, half = (high + low).double() / 2, (high - low).double() / 2 * (1 + padding)
    half_x, half_y = half[:, 0], half[:, 1]
    if ratios is not None:
        half_y = torch.maximum(ratios[0] * half_x, half_y)
        half_x = torch.maximum(1 / ratios[1] * half_y, half_x)
    half = torch.stack([half_x, half_y], -1)
    first, last = centre - half, centre + half
    image = torch.stack([width, height], -1)
    if not allow_imgpad:
        first, last = first.clamp(min=0.0), torch.minimum(image.double(), last)
    corner = first.long()
    extent = last.long() - corner
    used = used & (extent[:, 0] >= 1) & (extent[:, 1] >= 1)
    corner = torch.where(used[:, None], corner, 0)
    extent = torch.where(used[:, None], extent, image)
    moved = keypoint - corner.float()[:, None, None, None]
    return torch.where(present, moved, keypoint), extent[:, 1], extent[:, 0]
