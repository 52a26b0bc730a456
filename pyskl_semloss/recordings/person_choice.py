"""Following the persons of a recording and choosing those that it is about, in one step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.persons import (
    WAYS,
    arrange,
    choose,
    describe,
    largest_of_each_frame,
    ranked,
    track,
)


@dataclass(frozen=True)
class PersonChoice:
    """Whom a recording is about.

    Attributes:
        person: See :func:`pyskl_semloss.recordings.persons.choose`; ``"frame-largest"`` takes the largest person of
            each frame, whoever that is.
        max_persons: For ``"all"``.
        pause: Frames for which a person may be gone and still be the same; None: one second.

    Raises:
        InputError: There is no such way to choose, or a number is out of its range.
    """

    person: str = "largest"
    max_persons: int = 2
    pause: int | None = None

    def __post_init__(self) -> None:
        if self.person not in WAYS and not (self.person.isascii() and self.person.isdecimal()):
            raise InputError(f"expected {', '.join(WAYS)} or a number, got {self.person!r}", field="person")
        for name, least in (("max_persons", 1), ("pause", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"expected a number from {least}, got {value}", field=name.replace("_", "-"))

    def apply(
        self,
        frame: np.ndarray,
        person: np.ndarray,
        points: np.ndarray,
        scores: np.ndarray,
        frames: int,
        fps: float,
        image_shape: tuple[int, int],
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Follow the N persons found in the frames, and keep those that are chosen.

        Args:
            frame: (N,) ascending.
            person: (N,) the number that a file gives each, the same in all frames; -1 where it gives none.
            points: (N, V, 2) px; every person has at least one point.
            scores: (N, V).
            frames: T.
            fps: Frames per second.
            image_shape: (height, width) px.

        Returns:
            Keypoints (M, T, V, 2) and scores (M, T, V), M at least 1; and facts as plain data: the ``persons``
            followed, the longest seen first, ``persons_found``, numbers ``chosen`` among them, none for
            ``"frame-largest"``, and ``frames_seen`` with one of them.

        Raises:
            InputError: There is no such person, a file has one twice in a frame, or the result would be too large.
        """
        pause = round(fps) if self.pause is None else self.pause
        followed = ranked(frame, _followed(frame, person, points, scores, pause))
        people = describe(frame, points, scores, followed)
        if self.person == "frame-largest":
            place, chosen = largest_of_each_frame(frame, points, scores), []
        else:
            chosen = choose(people, self.person, image_shape, self.max_persons)
            places = np.full(len(people), -1, np.int64)
            places[chosen] = np.arange(len(chosen))
            place = places[followed]
        keypoint, score = arrange(frame, points, scores, place, max(1, len(chosen)), frames)
        facts = {
            "persons": [asdict(each) for each in people[:20]],
            "persons_found": len(people),
            "chosen": chosen,
            "frames_seen": int(len(np.unique(frame[place >= 0]))),
        }
        return keypoint, score, facts


def _followed(frame: np.ndarray, person: np.ndarray, points: np.ndarray, scores: np.ndarray, pause: int) -> np.ndarray:
    """Numbers of the persons: those of the file where it has them for all, else by following them."""
    if not len(person) or person.min() < 0:
        return track(frame, points, scores, pause)
    pairs, counts = np.unique(np.c_[frame, person], axis=0, return_counts=True)
    if counts.max() > 1:
        twice = pairs[counts.argmax()]
        raise InputError(f"frame {twice[0]} has the person {twice[1]} twice", field="person")
    return person
