"""An estimator of poses: one function from a frame to keypoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import reason
from pyskl_semloss.recordings.detections import MOST_PERSONS
from pyskl_semloss.skeletons import SkeletonLayout, get_layout

Keypoints = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Estimator:
    """What finds persons in a frame.

    Attributes:
        function: From a frame, (H, W, 3) uint8 RGB, to keypoints (M persons, V, 2) in px of that frame and scores
            (M, V) from 0 to 1; M may be 0 and differ from frame to frame, and the persons may come in any order. A
            point that is not found has score 0.
        layout: What the V joints are; a name or the fields of a layout are turned into one.
        reset: Forgets the frames that were seen before. None says that each frame is looked at on its own.
        single: It finds one person at most, and whoever that is counts as the same. Otherwise persons are followed and
            chosen, see :class:`pyskl_semloss.recordings.persons.PersonChoice`.
    """

    function: Callable[[np.ndarray], Keypoints]
    layout: SkeletonLayout
    reset: Callable[[], None] | None = None
    single: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", get_layout(self.layout))

    def find(self, frame: np.ndarray) -> Keypoints:
        """Keypoints (M, V, 2) and scores (M, V) of a frame, float32, checked; M is 0 where nobody is seen.

        Raises:
            InputError: What the function returns is not as said above.
        """
        try:
            keypoint, score = self.function(frame)
            keypoint, score = np.asarray(keypoint, np.float32), np.asarray(score, np.float32)
            persons = len(keypoint), len(score)
        except (TypeError, ValueError) as error:
            raise InputError(f"the estimator does not give keypoints and scores ({reason(error)})") from error
        joints = self.layout.num_joints
        if persons == (0, 0):
            return np.zeros((0, joints, 2), np.float32), np.zeros((0, joints), np.float32)
        if keypoint.shape != (len(keypoint), joints, 2) or score.shape != keypoint.shape[:2]:
            problem = f"the estimator gave {keypoint.shape} and {score.shape}, expected (M, {joints}, 2) and "
            raise InputError(f"{problem}(M, {joints}) of layout {self.layout.name!r}")
        most = 1 if self.single else MOST_PERSONS
        if len(keypoint) > most:
            raise InputError(f"the estimator gave {len(keypoint)} persons in a frame, expected {most} at most")
        there = score > 0  # false for NaN
        if not np.isfinite(keypoint[there]).all() or (score > 1).any():
            raise InputError("the estimator gave points that are not finite or scores above 1")
        return np.where(there[..., None], keypoint, np.float32(0)), np.where(there, score, np.float32(0))
