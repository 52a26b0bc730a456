"""Clips for the page: keypoints in two bytes a point, and what every model says of every clip."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.annotations import Clip
from pyskl_semloss.report.inputs import ReportInputs

MISSING_LEVEL = 255
"""The byte of a point that is not there."""

LEVELS = 254
"""Steps of a coordinate over the range in which its joint moves."""

MAX_FRAMES, MIN_FRAMES = 45, 8
BUDGET = 12_000_000
"""Bytes that all keypoints together may take before the text encoding, which makes 4 of 3."""


@dataclass(frozen=True)
class PackedClips:
    """Keypoints of all clips as one text.

    Args:
        text: Base64 of the clips' bytes, each clip padded to a multiple of three bytes.
        index: Per clip [first byte, frames kept, frames, step, persons, x, y, width, height of the box, and the
            same four of the view]; None for a clip without a point.
        error: The largest distance in px, along x or y, between a kept point and its original.
        frames: The most frames that a clip keeps.
    """

    text: str
    index: list[list[float] | None]
    error: float
    frames: int


def pack_clip(clip: Clip, max_frames: int = MAX_FRAMES) -> tuple[bytes, list[float], float] | None:
    """Reduce a clip to bytes.

    Every joint has a range of its own, given in 16 bits of the clip's box (x, y, width, height: 4 x uint16); within it
    a coordinate is one byte, 0 … 254, or 255 for a missing point. So a joint that rests is kept finely, and one that
    moves far is kept to half of 1/254 of its way. Frames are thinned to every n-th.

    Args:
        clip: The clip.
        max_frames: The most frames to keep.

    Returns:
        The bytes, (P joints of all persons, 4) uint16 little-endian and then (T, P, 2) uint8; the entry of the index
        without the first byte; the largest error in px. None if no point is there.
    """
    step = math.ceil(clip.total_frames / max_frames)
    there = (clip.keypoint != 0).any(-1) | (clip.keypoint_score > 0)
    persons = there.any((1, 2))
    if not persons.any():
        return None
    points = clip.keypoint[persons, ::step].astype(np.float64)
    seen = there[persons, ::step]
    people, frames, joints = seen.shape
    points = points.transpose(1, 0, 2, 3).reshape(frames, people * joints, 2)
    seen = seen.transpose(1, 0, 2).reshape(frames, people * joints)
    if not seen.any():
        return None
    low, high = points[seen].min(0), points[seen].max(0)
    size = np.maximum(high - low, 1e-3)
    masked = np.where(seen[..., None], points, np.nan)
    with np.errstate(invalid="ignore"):
        near = np.nanmin(np.where(seen.any(0)[None, :, None], masked, low), 0)
        far = np.nanmax(np.where(seen.any(0)[None, :, None], masked, low), 0)
    ranges = np.concatenate([np.floor((near - low) / size * 65535), np.ceil((far - low) / size * 65535)], axis=1).clip(
        0, 65535
    )
    start, stop = low + ranges[:, :2] / 65535 * size, low + ranges[:, 2:] / 65535 * size
    span = np.maximum(stop - start, 1e-9)
    level = np.where(seen[..., None], np.rint((masked - start) / span * LEVELS).clip(0, LEVELS), MISSING_LEVEL)
    error = np.abs(start + level / LEVELS * span - points)[seen].max()
    view = np.percentile(points[seen], [0.5, 99.5], axis=0)
    entry = [frames, clip.total_frames, step, people, *low, *size, *view[0], *(view[1] - view[0])]
    content = ranges.astype("<u2").tobytes() + level.astype(np.uint8).tobytes()
    return content, [round(float(value), 2) for value in entry], float(error)


def frames_that_fit(clips: Sequence[Clip | None], budget: int = BUDGET) -> int:
    """The most frames a clip, from 45 down to 8, with which all clips stay within the budget of bytes."""
    lengths = np.array([clip.total_frames for clip in clips if clip is not None] or [0])
    points = np.array([clip.keypoint.shape[0] * clip.keypoint.shape[2] for clip in clips if clip is not None] or [0])
    for frames in range(MAX_FRAMES, MIN_FRAMES, -1):
        steps = np.ceil(lengths / frames).clip(1)
        if (points * (8 + 2 * np.ceil(lengths / steps))).sum() <= budget:
            return frames
    return MIN_FRAMES


def pack_clips(clips: Sequence[Clip | None], budget: int = BUDGET) -> PackedClips:
    """Pack clips, in their order; None stands for a clip whose keypoints are not known."""
    frames = frames_that_fit(clips, budget)
    blocks: list[bytes] = []
    index: list[list[float] | None] = []
    place, error = 0, 0.0
    for clip in clips:
        packed = None if clip is None else pack_clip(clip, frames)
        if packed is None:
            index.append(None)
            continue
        content, entry, off = packed
        content += b"\0" * (-len(content) % 3)  # so that every clip begins a group of four characters
        index.append([place, *entry])
        blocks.append(content)
        place, error = place + len(content), max(error, off)
    return PackedClips(base64.b64encode(b"".join(blocks)).decode(), index, error, frames)


def clip_table(inputs: ReportInputs, top: int = 5) -> dict[str, Any]:
    """What the models say of each clip, as columns of whole numbers; probabilities in 1/10000.

    Returns:
        ``ids``, ``label``; ``top`` and ``prob``: (N * k), the classes of the final model's highest scores and these;
        ``truth``: its score of the true class (-1: unknown label); ``split``: the parts' disagreement, see
        :func:`disagreement`; ``parts``: for each part its ``best`` class, that one's ``prob``, and ``at``, (N * k), its
        scores of the classes in ``top``, and ``truth``.
    """
    final = inputs.final.scores
    label = final.label
    order = np.argsort(-final.score, axis=1, kind="stable")[:, : min(top, final.score.shape[1])]
    return {
        "ids": final.sample_id.tolist(),
        "label": label.tolist(),
        "k": order.shape[1],
        "top": order.ravel().tolist(),
        "prob": _parts_of_10000(np.take_along_axis(final.score, order, 1)),
        "truth": _truth(final.score, label),
        "split": _parts_of_10000(disagreement([part.scores.score for part in inputs.parts])),
        "parts": [
            {
                "best": part.scores.score.argmax(1).tolist(),
                "prob": _parts_of_10000(part.scores.score.max(1)),
                "at": _parts_of_10000(np.take_along_axis(part.scores.score, order, 1)),
                "truth": _truth(part.scores.score, label),
            }
            for part in (inputs.parts if inputs.fusion else ())
        ],
    }


def disagreement(scores: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) how far the parts' scores of a clip are apart, 0 … 1: the mean total variation distance over all pairs.

    For probabilities, the total variation distance is half the sum of the absolute differences. With one part it is 0.
    """
    pairs = [(a, b) for n, a in enumerate(scores) for b in scores[n + 1 :]]
    if not pairs:
        return np.zeros(len(scores[0]))
    return np.mean([np.abs(a.astype(np.float64) - b).sum(1) / 2 for a, b in pairs], axis=0)


def _parts_of_10000(values: np.ndarray) -> list[int]:
    return np.rint(np.asarray(values, np.float64).ravel() * 10_000).astype(int).tolist()


def _truth(score: np.ndarray, label: np.ndarray) -> list[int]:
    own = np.take_along_axis(score, label.clip(0)[:, None], 1)[:, 0]
    return np.where(label >= 0, np.rint(own.astype(np.float64) * 10_000), -1).astype(int).tolist()
