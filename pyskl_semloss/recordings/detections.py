"""Detections of a pose estimator, before tracking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyskl_semloss.annotations.mending import SCORE_LIMIT
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, memory_limit, short_repr
from pyskl_semloss.skeletons import SkeletonLayout

MOST_FRAMES = 500_000
"""Frames of a recording: over five hours at 25 frames/s."""
MOST_PERSONS = 200
"""Persons in one frame."""
_BYTES = 12
"""Of a joint in a frame of a recording: x, y and score."""


@dataclass(frozen=True, eq=False)
class Detections:
    """The N persons detected in the frames of a recording.

    Attributes:
        name: Of the recording.
        layout: What the V joints are.
        frame: (N,) int64, the frame that each was found in, ascending, counted from 0.
        person: (N,) int64, the number that the file gives the person, the same in all frames; -1 where it gives none.
        keypoint: (N, V, 2) float32, x and y in px.
        score: (N, V) float32.
        frames: Number of frames T; those without a person included.
        file: For messages.
        image_shape: (height, width) in px, where the file says it.
        fps: Frames per second, where the file says it.
        size: Bytes of the file, or of all files; None where they are not known.
        score_limit: Scores beyond it are on another scale than 0 to 1; those up to it are cut to 1.
    """

    name: str
    layout: SkeletonLayout
    frame: np.ndarray
    person: np.ndarray
    keypoint: np.ndarray
    score: np.ndarray
    frames: int
    file: str
    image_shape: tuple[int, int] | None = None
    fps: float | None = None
    size: int | None = None
    score_limit: float = SCORE_LIMIT


def check_frames(detections: Detections, joints: int) -> None:
    """Check that a recording's memory is in proportion to its file.

    A single frame number may stand for hours without anybody. A recording takes 12 bytes for each joint of each frame
    of a person, and may take :func:`pyskl_semloss.io.reading.memory_limit` of its file. With a person in one of 20
    frames it takes less.

    Args:
        detections: The content of the file.
        joints: Of the recording.

    Raises:
        InputError: It would take more.
    """
    needed = _BYTES * detections.frames * joints
    if detections.size is None or needed <= memory_limit(detections.size):
        return
    seen = len(np.unique(detections.frame))
    problem = (
        f"the last of its {detections.frames} frames is {detections.frames - 1}, and somebody is in {seen} of them: "
    )
    problem += f"of {detections.size} bytes a recording of {needed >> 20} MiB would be made"
    fix = "Is a frame number wrong? If not, cut the part where nobody is seen, and count the frames anew."
    raise InputError(problem, field="frame", fix=fix)


class Collector:
    """Collector of checked persons while a file is read.

    Args:
        file: For messages.
        columns: Numbers of a person: 3 for each joint, x, y and score.
    """

    def __init__(self, file: AnyPath, columns: int) -> None:
        self.file, self.columns = file, columns
        self._rows: list[np.ndarray] = []
        self._frame: list[int] = []
        self._person: list[int] = []
        self.frames = 0

    def see_frame(self, frame: object, file: AnyPath | None = None) -> int:
        """Count a frame, with or without a person.

        Raises:
            InputError: It is no frame number, or too large.
        """
        if type(frame) is not int or not 0 <= frame < MOST_FRAMES:
            problem = f"expected a frame number from 0 to {MOST_FRAMES - 1}, got {short_repr(frame)}"
            raise InputError(problem, file=file or self.file)
        self.frames = max(self.frames, frame + 1)
        return frame

    def add(self, frame: int, person: int, values: Sequence[Any], where: str, field: str, file: Any = None) -> None:
        """Add a person of a frame: x, y, score of each joint.

        Raises:
            InputError: They are not that many numbers; names the place and the field.
        """
        self._rows.append(self.row(values, self.columns, where, field, file))
        self._frame.append(frame)
        self._person.append(person)

    def row(self, values: object, columns: int, where: str, field: str, file: Any = None) -> np.ndarray:
        """(columns,) float32 of a list of numbers.

        Raises:
            InputError: It is something else.
        """
        try:
            with np.errstate(over="ignore"):
                row = np.array(values, np.float64).astype(np.float32) if isinstance(values, list) else None
        except (TypeError, ValueError, OverflowError):
            row = None
        if row is None or row.shape != (columns,):
            actual = f"{len(values)} values" if isinstance(values, list) else short_repr(values)
            problem = f"{where}: expected {columns} numbers, got {actual}"
            raise InputError(problem, file=file or self.file, field=field)
        return row

    def detections(self, name: str, layout: SkeletonLayout, **facts: Any) -> Detections:
        """All persons that were added, in the order of the frames.

        Raises:
            InputError: There is no frame.
        """
        if not self.frames:
            raise InputError("there is no frame in it", file=self.file)
        values = np.stack(self._rows) if self._rows else np.zeros((0, self.columns), np.float32)
        frame = np.array(self._frame, np.int64)
        order = np.argsort(frame, kind="stable")
        points = values[order].reshape(len(values), self.columns // 3, 3)
        person = np.array(self._person, np.int64)[order]
        return Detections(
            name, layout, frame[order], person, points[..., :2], points[..., 2], self.frames, str(self.file), **facts
        )
