"""Uniform frame sampling: a frame from each equal segment of a clip.

The draws follow MMAction2's ``UniformSampleFrames`` (Duan et al., "Revisiting Skeleton-based Action Recognition",
CVPR 2022) number for number, so that the same seed picks the same frames.
"""

from __future__ import annotations

import numpy as np

from pyskl_semloss.errors import InputError

# numpy offers its global legacy generator, which the hosts seed, only through bound methods of this object.
GLOBAL_RANDOM_STATE: np.random.RandomState = np.random.mtrand._rand


def uniform_frame_indices(
    total_frames: int, clip_len: int, num_clips: int = 1, rng: np.random.RandomState | None = None
) -> np.ndarray:
    """Random frame indices for training, one per equal segment.

    A clip with fewer than L frames is repeated cyclically from a random start.

    Args:
        total_frames: Frames T of the annotation.
        clip_len: Frames L to take per clip.
        num_clips: Number S of independent draws.
        rng: Legacy numpy generator; default numpy's global one.

    Returns:
        (S * L,) int64 indices in [0, T).

    Raises:
        InputError: One of the three numbers is below 1.

    Example:
        >>> uniform_frame_indices(3, 3), uniform_frame_indices(1, 4)
        (array([0, 1, 2]), array([0, 0, 0, 0]))
    """
    check_sampling(clip_len, num_clips)
    _check_total_frames(total_frames)
    rng = GLOBAL_RANDOM_STATE if rng is None else rng
    if total_frames < clip_len:
        starts = [rng.randint(0, total_frames) for _ in range(num_clips)]
        return _cyclic_indices(starts, clip_len, total_frames)
    return _segment_draws(total_frames, clip_len, num_clips, rng)


def uniform_frame_indices_test(total_frames: int, clip_len: int, num_clips: int = 1, seed: int = 255) -> np.ndarray:
    """Reproducible frame indices for validation and testing.

    A clip with fewer than L frames is repeated cyclically from S evenly spaced starts; a longer one is sampled as in
    training, with ``seed``. No global generator is used.

    Args:
        total_frames: Frames T of the annotation.
        clip_len: Frames L to take per clip.
        num_clips: Number S of draws.
        seed: Seed of the draws.

    Returns:
        (S * L,) int64 indices in [0, T).

    Raises:
        InputError: One of the first three numbers is below 1.

    Example:
        >>> uniform_frame_indices_test(2, 4, num_clips=2)
        array([0, 1, 0, 1, 1, 0, 1, 0])
    """
    check_sampling(clip_len, num_clips)
    _check_total_frames(total_frames)
    if total_frames >= clip_len:
        return _segment_draws(total_frames, clip_len, num_clips, np.random.RandomState(seed))
    if total_frames < num_clips:
        starts = list(range(num_clips))
    else:
        starts = [clip * total_frames // num_clips for clip in range(num_clips)]
    return _cyclic_indices(starts, clip_len, total_frames)


def gather_frames(keypoint: np.ndarray, score: np.ndarray | None, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints and scores of the chosen frames.

    Args:
        keypoint: (M, T, V, 2) of any real dtype, px.
        score: (M, T, V), or None where every point counts fully.
        indices: (N,) frame indices in [0, T).

    Returns:
        New float32 arrays: keypoints (M, N, V, 2) and scores (M, N, V), which are ones without ``score``.
    """
    taken = np.take(keypoint, indices, axis=1).astype(np.float32, copy=False)
    if score is None:
        return taken, np.ones(taken.shape[:-1], dtype=np.float32)
    return taken, np.take(score, indices, axis=1).astype(np.float32, copy=False)


def check_clip(
    keypoint: np.ndarray, score: np.ndarray | None, total_frames: int | None = None, clip: object = None
) -> None:
    """Raise InputError unless the arrays of an annotation fit each other and hold at least one frame.

    Args:
        keypoint: Expected to be (M, T, V, 2).
        score: Expected to be (M, T, V), or None.
        total_frames: The annotation's own count, expected to be T, or None.
        clip: The clip's id, for the message.
    """
    if keypoint.ndim != 4 or keypoint.shape[-1] != 2:
        problem = f"expected the shape (person, frame, joint, 2), got {keypoint.shape}"
        raise InputError(problem, clip=clip, field="keypoint")
    if score is not None and score.shape != keypoint.shape[:3]:
        problem = f"expected the shape {keypoint.shape[:3]} of keypoint, got {score.shape}"
        raise InputError(problem, clip=clip, field="keypoint_score")
    frames = keypoint.shape[1]
    if frames < 1:
        raise InputError("expected at least one frame, got none", clip=clip, field="keypoint")
    if total_frames is not None and total_frames != frames:
        raise InputError(f"expected the {frames} of keypoint, got {total_frames}", clip=clip, field="total_frames")


def check_sampling(clip_len: int, num_clips: int) -> None:
    """Raise InputError unless both numbers are at least 1."""
    for field, value in (("clip_len", clip_len), ("num_clips", num_clips)):
        if value < 1:
            raise InputError(f"expected at least 1, got {value}", field=field)


def _check_total_frames(total_frames: int) -> None:
    if total_frames < 1:
        raise InputError(f"expected at least one frame, got {total_frames}", field="total_frames")


def _cyclic_indices(starts: list[int], clip_len: int, total_frames: int) -> np.ndarray:
    return (np.array(starts, dtype=np.int64)[:, None] + np.arange(clip_len)).ravel() % total_frames


def _segment_draws(total_frames: int, clip_len: int, num_clips: int, rng: np.random.RandomState) -> np.ndarray:
    frames = np.arange(clip_len + 1, dtype=np.int64)
    if total_frames >= 2 * clip_len:
        bounds = frames * total_frames // clip_len
        return np.concatenate([bounds[:-1] + rng.randint(np.diff(bounds)) for _ in range(num_clips)])
    # Segments of one or two frames: choosing which places to skip keeps the order strictly rising.
    clips = []
    for _ in range(num_clips):
        skips = np.zeros(clip_len + 1, dtype=np.int64)
        skips[rng.choice(clip_len + 1, total_frames - clip_len, replace=False)] = 1
        clips.append((frames + np.cumsum(skips))[:-1])
    return np.concatenate(clips)
