"""MediaPipe Holistic as an estimator: body and hands of one person. Its face mesh is left out.

The graph is the one in MediaPipe's wheel without the two nodes of the face, which changes nothing of body and hands.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.errors import HostError
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.skeletons import SkeletonLayout
from pyskl_semloss.video.estimator import Estimator, Keypoints

VERSION = "0.10.21"
"""The names of MediaPipe's inner streams are those of this version."""
COMPLEXITIES = {"mediapipe": 1, "mediapipe-lite": 0, "mediapipe-heavy": 2}
_MODELS = ("lite", "full", "heavy")
_PARTS = {"PoseLandmarkCpu", "HandLandmarksLeftAndRightCpu"}
_EMPTY = np.zeros((64, 64, 3), np.uint8)
"""Nobody is in it, so that nothing follows from it; at it the graph says in silence what it has to say."""
_GRAPH = "modules/holistic_landmark/holistic_landmark_cpu.binarypb"
_PRESENCE = "handlandmarksleftandrightcpu__handlandmarksfromposecpu_{}__handlandmarkcpu__hand_presence_score"
_HANDS = (("left_hand_landmarks", _PRESENCE.format(1), 33), ("right_hand_landmarks", _PRESENCE.format(2), 54))
"""Points of a hand, its presence and the place of its first point in the layout."""

# fmt: off
_BODY = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pose_pinky", "right_pose_pinky", "left_pose_index",
    "right_pose_index", "left_pose_thumb", "right_pose_thumb", "left_hip", "right_hip", "left_knee", "right_knee",
    "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)
_BODY_LIMBS = (
    (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (11, 12), (11, 13), (13, 15),
    (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (24, 26), (25, 27), (26, 28), (27, 29), (28, 30),
    (27, 31), (28, 32),
)
# fmt: on
_BODY_PAIRS = ((1, 4), (2, 5), (3, 6), *((at, at + 1) for at in range(7, 33, 2)))
_HAND = (
    "hand_root",
    *(f"thumb_{part}" for part in ("cmc", "mcp", "ip", "tip")),
    *(f"{finger}_finger_{part}" for finger in ("index", "middle", "ring") for part in ("mcp", "pip", "dip", "tip")),
    *(f"pinky_{part}" for part in ("mcp", "pip", "dip", "tip")),
)
_HAND_LIMBS = tuple((0 if at % 4 == 1 else at - 1, at) for at in range(1, 21))

MEDIAPIPE75 = SkeletonLayout(
    "mediapipe75",
    (*_BODY, *(f"left_{name}" for name in _HAND), *(f"right_{name}" for name in _HAND)),
    (*_BODY_LIMBS, *((first + a, first + b) for first in (33, 54) for a, b in _HAND_LIMBS)),
    (*_BODY_PAIRS, *((33 + at, 54 + at) for at in range(21))),
    source="MediaPipe Holistic: 33 points of the body, 21 of the left hand, 21 of the right; sides are the person's",
)
"""The coarse hand points of MediaPipe's body (``pose_index`` and so on) are named apart from those of the hands."""


def mediapipe_holistic(complexity: int = 1, threads: int = 0) -> Estimator:
    """MediaPipe Holistic for a video: it follows one person and smooths over time.

    A point of the body scores its visibility, which is near 0 where it is hidden or outside the image. All points of a
    hand score the presence of that hand, as MediaPipe's hand model gives it, if it is above MediaPipe's own limit of
    0.5; else the hand is missing.

    Args:
        complexity: Model of the body: 0 lite, 1 full, 2 heavy. The wheel holds the full one.
        threads: Threads of the graph; 0: as many as there are cores.

    Raises:
        HostError: MediaPipe is missing, of another version, or lacks the model.
    """
    graph, side = _graph(complexity, threads)
    outputs = ["pose_landmarks", *(name for hand in _HANDS for name in hand[:2])]
    with silent_stderr():
        from mediapipe.python.solution_base import SolutionBase

        solution = SolutionBase(graph_config=graph, side_inputs=side, outputs=outputs)
        solution.process(_EMPTY)
    fresh = [True]

    def function(frame: np.ndarray) -> Keypoints:
        # What MediaPipe has to say it says at its first frames.
        with silent_stderr() if fresh[0] else contextlib.nullcontext():
            result = solution.process(np.ascontiguousarray(frame))
        fresh[0] = False
        return keypoints_of(result, frame.shape[1], frame.shape[0])

    def reset() -> None:
        fresh[0] = True
        with silent_stderr():
            solution.reset()
            solution.process(_EMPTY)

    return Estimator(function, MEDIAPIPE75, reset, single=True)


def keypoints_of(result: Any, width: int, height: int) -> Keypoints:
    """Keypoints and scores of MediaPipe's result.

    Keypoints are (M, 75, 2) in px, scores (M, 75); M is 1, or 0 if nobody is seen.
    """
    if not result.pose_landmarks:
        return np.zeros((0, 75, 2), np.float32), np.zeros((0, 75), np.float32)
    points = np.zeros((1, 75, 3), np.float32)
    points[0, :33] = [(point.x, point.y, point.visibility) for point in result.pose_landmarks.landmark]
    for name, presence, first in _HANDS:
        hand = getattr(result, name)
        if hand:
            score = getattr(result, presence)
            points[0, first : first + 21] = [(point.x, point.y, score) for point in hand.landmark]
    return points[..., :2] * np.array([width, height], np.float32), points[..., 2].clip(0, 1)


def _graph(complexity: int, threads: int) -> tuple[Any, dict[str, Any]]:
    """MediaPipe's graph of body and hands, and its settings."""
    folder = _mediapipe()
    model = folder / f"modules/pose_landmark/pose_landmark_{_MODELS[complexity]}.tflite"
    if not model.is_file():
        command = f'python -c "import mediapipe as m; m.solutions.holistic.Holistic(model_complexity={complexity})"'
        raise HostError(
            f"MediaPipe's wheel does not hold {model.name}; with a network MediaPipe gets it; run: {command}"
        )
    with silent_stderr():
        from mediapipe.framework import calculator_pb2

        graph = calculator_pb2.CalculatorGraphConfig.FromString((folder / _GRAPH).read_bytes())
    nodes = [node.SerializeToString() for node in graph.node if node.calculator in _PARTS]
    graph.ClearField("node")
    graph.ClearField("type")
    for node in nodes:
        graph.node.add().ParseFromString(node)
    for streams in (graph.output_stream, graph.input_side_packet):
        without_face = [stream for stream in streams if "face" not in stream]
        del streams[:]
        streams.extend(without_face)
    if threads:
        graph.num_threads = threads
    side = dict(model_complexity=complexity, smooth_landmarks=True, use_prev_landmarks=True)
    return graph, side | dict(enable_segmentation=False, smooth_segmentation=False)


def _mediapipe() -> Path:
    """MediaPipe's folder."""
    import importlib.metadata

    command = f"run: {pip_install('video')}"
    try:
        with silent_stderr():
            import mediapipe
        version = importlib.metadata.version("mediapipe")
    except ImportError:
        raise HostError(f"poses in videos need MediaPipe, which is not installed; {command}") from None
    if version != VERSION:
        raise HostError(f"MediaPipe {VERSION} is needed, but {version} is installed; {command}")
    return Path(mediapipe.__file__).parent


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard what C code writes to stderr.

    MediaPipe has no switch for it.
    """
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
