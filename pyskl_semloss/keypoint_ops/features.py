"""Inputs of graph networks: normalised joints, bones and motions, with scores.

``keypoint`` is (M, T, V, 2) = person, frame, joint, (x, y); ``score`` is (M, T, V). A point is missing where its score
is 0; its coordinates are (0, 0) then, and stay so. Scores are never rotated or scaled. No function changes its input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.keypoint_ops.sampling import GLOBAL_RANDOM_STATE
from pyskl_semloss.skeletons.graph import SkeletonGraph

Points = tuple[np.ndarray, np.ndarray]
STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
"""The inputs that :func:`stream` makes."""
NORMALISATIONS = ("image", "body")
"""The coordinate systems that :func:`normalise` makes."""


def mark_missing(keypoint: np.ndarray, score: np.ndarray | None = None, threshold: float = 0.01) -> Points:
    """Float32 points with (0, 0) and score 0 where a point is missing.

    Args:
        keypoint: (M, T, V, 2).
        score: (M, T, V), or None where every point that is not (0, 0) is sure.
        threshold: A point with this score or less is missing, as in PySKL; so is a point at (0, 0) or with NaN.

    Returns:
        New keypoints (M, T, V, 2) and scores (M, T, V), float32.

    Example:
        >>> raw = np.array([[[[0.0, 0.0], [4.0, 2.0], [5.0, 5.0]]]])
        >>> points, scores = mark_missing(raw, np.array([[[1.0, 0.5, 0.01]]]))
        >>> points.tolist(), scores.tolist()
        ([[[[0.0, 0.0], [4.0, 2.0], [0.0, 0.0]]]], [[[0.0, 0.5, 0.0]]])
    """
    points = keypoint.astype(np.float32)
    scores = np.ones(points.shape[:3], np.float32) if score is None else score.astype(np.float32)
    present = (scores > threshold) & (points != 0).any(axis=-1) & np.isfinite(points).all(axis=-1)
    return np.where(present[..., None], points, np.float32(0)), np.where(present, scores, np.float32(0))


def normalise(
    keypoint: np.ndarray, score: np.ndarray, img_shape: tuple[int, int], by: str = "image"
) -> tuple[np.ndarray, tuple[float, float]]:
    r"""Keypoints in units of the image or of the body, around its middle.

    .. math:: x' = (x - c_x) / u_x, \quad y' = (y - c_y) / u_y

    Args:
        keypoint: (M, T, V, 2), px, as :func:`mark_missing` gives it.
        score: (M, T, V).
        img_shape: (h, w), px.
        by: ``"image"``: the image reaches from -1 to 1 on both axes, as by the hosts' ``PreNormalize2D``. ``"body"``:
            the longer edge of the box around all points of the clip, of all persons and frames, reaches from -1 to 1,
            and x and y have the same unit. Where a body lies in the image, and how large it is, is then lost.

    Returns:
        New keypoints (M, T, V, 2), missing points at (0, 0), and the units (u_x, u_y), px.

    Raises:
        InputError: ``by`` is neither of the two.

    Example:
        >>> points, scores = np.array([[[[480.0, 270.0], [0.0, 0.0]]]]), np.array([[[1.0, 0.0]]])
        >>> points, unit = normalise(points, scores, (1080, 1920))
        >>> points.tolist(), unit
        ([[[[-0.5, -0.5], [0.0, 0.0]]]], (960.0, 540.0))
    """
    check_normalisation(by)
    present = score > 0
    middle, unit = np.array((img_shape[1], img_shape[0])) / 2, np.array((img_shape[1], img_shape[0])) / 2
    if by == "body" and present.any():
        low, high = keypoint[present].min(axis=0), keypoint[present].max(axis=0)
        half = float((high - low).max()) / 2
        middle, unit = (low + high) / 2, np.full(2, half if half > 0 else 1.0)
    points = ((keypoint - middle) / unit).astype(keypoint.dtype)
    return np.where(present[..., None], points, keypoint.dtype.type(0)), (float(unit[0]), float(unit[1]))


def rotate(keypoint: np.ndarray, angle: float, unit: Sequence[float] = (1.0, 1.0)) -> np.ndarray:
    """Keypoints turned around the origin.

    Args:
        keypoint: (M, T, V, 2), normalised; missing points, at (0, 0), stay there.
        angle: Radians; with y down, as in images, a positive angle turns clockwise.
        unit: Length of a unit of x and y, px, of :func:`normalise`: a body keeps its shape also where they differ.

    Returns:
        New keypoints (M, T, V, 2).

    Example:
        >>> rotate(np.array([[[[1.0, 0.0], [0.0, 0.0]]]]), np.pi / 2, unit=(2.0, 1.0)).round(6).tolist()
        [[[[0.0, 2.0], [0.0, 0.0]]]]
    """
    u, v = unit
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array(((cos, -sin * v / u), (sin * u / v, cos)), dtype=keypoint.dtype)
    return keypoint @ turn.T


def draw_angle(theta: float, rng: np.random.RandomState | None = None) -> float:
    """Random angle from the uniform distribution on [-theta, theta], radians.

    Raises:
        InputError: ``theta`` is not in 0 … π.
    """
    if not 0 <= theta <= np.pi:
        raise InputError(f"expected radians from 0 to pi, got {theta}", field="theta")
    return float((GLOBAL_RANDOM_STATE if rng is None else rng).uniform(-theta, theta))


def draw_scale(scale: float, rng: np.random.RandomState | None = None) -> np.ndarray:
    """Random factors (2,) of x and y, each uniform on [1 - scale, 1 + scale].

    ``keypoint * draw_scale(0.1)`` scales a clip; with equal seeds the factors are those of PySKL's ``RandomScale``.

    Raises:
        InputError: ``scale`` is not in 0 … 1, without 1.
    """
    if not 0 <= scale < 1:
        raise InputError(f"expected a number from 0 to below 1, got {scale}", field="scale")
    return 1 + (GLOBAL_RANDOM_STATE if rng is None else rng).uniform(-1, 1, size=2) * scale


def bones(keypoint: np.ndarray, score: np.ndarray, graph: SkeletonGraph) -> Points:
    """Vectors from each joint's parent to the joint.

    Args:
        keypoint: (M, T, V, 2).
        score: (M, T, V).
        graph: Its edges are the bones. The centre, which has no parent, has a bone of no length with its own score. Of
            several parents, which only a published wrong graph has, the last one counts, as in the hosts.

    Returns:
        Bones (M, T, V, 2), and their scores (M, T, V), the mean of both ends'. Where an end is missing, bone and score
        are 0.

    Raises:
        InputError: The keypoints do not have the graph's number of joints.

    Source:
        Shi et al., "Two-Stream Adaptive Graph Convolutional Networks", CVPR 2019.

    Example:
        >>> points, scores = np.array([[[[1.0, 1.0], [4.0, 5.0], [0.0, 0.0]]]]), np.array([[[1.0, 0.5, 0.0]]])
        >>> bone, bone_score = bones(points, scores, SkeletonGraph(3, ((1, 0), (2, 1)), 0))
        >>> bone.tolist(), bone_score.tolist()
        ([[[[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]]], [[[1.0, 0.75, 0.0]]])
    """
    if keypoint.shape[2] != graph.num_nodes:
        problem = f"expected the {graph.num_nodes} joints of the graph, got {keypoint.shape[2]}"
        raise InputError(problem, field="keypoint")
    parents = {graph.centre: graph.centre, **dict(graph.edges)}
    child, parent = np.array(list(parents)), np.array(list(parents.values()))
    bone, bone_score = np.zeros_like(keypoint), np.zeros_like(score)
    bone[:, :, child], bone_score[:, :, child] = _differences(
        (keypoint[:, :, child], score[:, :, child]), (keypoint[:, :, parent], score[:, :, parent])
    )
    return bone, bone_score


def motion(keypoint: np.ndarray, score: np.ndarray) -> Points:
    """Changes of points, or of bones, from each frame to the next.

    Args:
        keypoint: (M, T, V, 2).
        score: (M, T, V).

    Returns:
        Differences (M, T, V, 2), and their scores (M, T, V), the mean of both frames'. In the last frame, and where a
        point is missing in either frame, both are 0.

    Example:
        >>> points = np.array([1.0, 3.0, 4.0]).reshape(1, 3, 1, 1).repeat(2, axis=-1)
        >>> difference, scores = motion(points, np.ones((1, 3, 1)))
        >>> difference[0, :, 0, 0].tolist(), scores.ravel().tolist()
        ([2.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    """
    difference, motion_score = np.zeros_like(keypoint), np.zeros_like(score)
    difference[:, :-1], motion_score[:, :-1] = _differences(
        (keypoint[:, 1:], score[:, 1:]), (keypoint[:, :-1], score[:, :-1])
    )
    return difference, motion_score


def stream(keypoint: np.ndarray, score: np.ndarray, name: str, graph: SkeletonGraph | None = None) -> Points:
    """One of the four inputs that are trained apart and fused.

    Args:
        keypoint: (M, T, V, 2), normalised, with all frames of the clip: motions are between neighbouring frames.
        score: (M, T, V).
        name: ``"joint"``, ``"bone"``, ``"joint_motion"`` or ``"bone_motion"``.
        graph: The edges of the bones; the other streams do without.

    Returns:
        Points (M, T, V, 2) and scores (M, T, V).

    Raises:
        InputError: There is no such stream, or bones are asked for without a graph.
    """
    check_stream(name)
    if name.startswith("bone"):
        if graph is None:
            raise InputError(f"the stream {name!r} needs a graph", field="graph")
        keypoint, score = bones(keypoint, score, graph)
    return motion(keypoint, score) if name.endswith("motion") else (keypoint, score)


def fill_persons(keypoint: np.ndarray, score: np.ndarray, num_person: int) -> Points:
    """Points of exactly ``num_person`` persons, none of them empty.

    The hosts pad with persons whose numbers are all 0, and their heads average over them. Here persons without a
    point are left out, and the others are repeated in turn; the mean over one person repeated is that person's. Of too
    many persons those with the largest sums of scores stay, in their order.

    Args:
        keypoint: (M, T, V, 2).
        score: (M, T, V).
        num_person: Number P of persons.

    Returns:
        Points (P, T, V, 2) and scores (P, T, V); all 0 only if the clip has no point at all.

    Raises:
        InputError: ``num_person`` is below 1.

    Example:
        >>> points, scores = np.array([0.0, 7.0]).reshape(2, 1, 1, 1).repeat(2, axis=-1), np.array([[[0.0]], [[1.0]]])
        >>> fill_persons(points, scores, 3)[0][:, 0, 0, 0].tolist()
        [7.0, 7.0, 7.0]
    """
    if num_person < 1:
        raise InputError(f"expected at least 1, got {num_person}", field="num_person")
    total = score.sum(axis=(1, 2))
    best = np.argsort(-total, kind="stable")[:num_person]
    chosen = np.sort(best[total[best] > 0])
    # A clip without any point has only empty persons.
    order = np.resize(chosen if len(chosen) else best, num_person)
    return keypoint[order], score[order]


def check_normalisation(by: str) -> None:
    """Raise InputError unless :func:`normalise` knows it."""
    if by not in NORMALISATIONS:
        raise InputError(f"expected 'image' or 'body', got {by!r}", field="by")


def check_stream(name: str) -> None:
    """Raise InputError unless :func:`stream` knows it."""
    if name not in STREAMS:
        raise InputError(f"expected one of {', '.join(STREAMS)}, got {name!r}", field="stream")


def _differences(end: Points, start: Points) -> Points:
    """``end`` - ``start`` and the mean score, or 0 where either is missing."""
    present = (end[1] > 0) & (start[1] > 0)
    difference = np.where(present[..., None], end[0] - start[0], end[0].dtype.type(0))
    return difference, np.where(present, (end[1] + start[1]) / 2, end[1].dtype.type(0))
