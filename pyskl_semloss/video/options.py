"""Options of pose estimation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.persons import PersonChoice
from pyskl_semloss.recordings.recording import check_fps
from pyskl_semloss.skeletons import SkeletonLayout, get_layout


@dataclass(frozen=True)
class EstimationOptions:
    """Options of pose estimation.

    Attributes:
        layout: Layout of the result; a name, fields or a file of them are turned into one.
        estimator: ``"mediapipe"`` or another name of :func:`pyskl_semloss.video.load_estimator`.
        max_side: Frames with a longer side than this, in px, are made smaller before they are given to the estimator.
        stride: Only each stride-th frame is taken; the recording has the video's frame rate divided by it.
        start: Second of the video at which the recording begins.
        end: Second at which it ends; None: the end of the video.
        fps: Frame rate of a video that does not say it, or says a wrong one: its frames are taken as evenly spaced.
        person: Whom the recording is about, where the estimator finds several; see
            :class:`pyskl_semloss.recordings.persons.PersonChoice`, and so for ``max_persons`` and ``pause``.
        max_persons: For ``"all"``.
        pause: Frames of the recording for which a person may be gone and still be the same; None: one second.

    Raises:
        InputError: One of them is out of its range, or there is no such layout.
    """

    layout: SkeletonLayout = "openpose22"  # type: ignore[assignment]
    estimator: str = "mediapipe"
    max_side: int = 960
    stride: int = 1
    start: float = 0.0
    end: float | None = None
    fps: float | None = None
    person: str = "largest"
    max_persons: int = 2
    pause: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", get_layout(self.layout))
        if not isinstance(self.estimator, str) or not self.estimator:
            raise InputError(f"expected a name or 'module:factory', got {self.estimator!r}", field="estimator")
        for name, least in (("max_side", 32), ("stride", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"expected a whole number from {least}, got {value!r}", field=name)
        if not 0 <= self.start < math.inf:
            raise InputError(f"expected a second from 0, got {self.start}", field="start")
        if self.end is not None and not self.start < self.end < math.inf:
            raise InputError(f"expected a second after the start ({self.start:g} s), got {self.end}", field="end")
        if self.fps is not None:
            check_fps(self.fps)
        _ = self.choice

    @property
    def choice(self) -> PersonChoice:
        """Choice of the persons in the recording."""
        return PersonChoice(self.person, self.max_persons, self.pause)
