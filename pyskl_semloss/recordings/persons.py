"""Who is who: following persons from frame to frame, and choosing those that a recording is about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError

FARTHEST = 0.4
"""A person is another one if the joints are farther apart than this, on average, in diagonals of the body's box."""
MOST_POINTS = 150_000_000
"""Points of a recording, persons x frames x joints (1.8 GB)."""
MOST_TRACKS = 1000
"""Persons that are looked for in a frame at a time: those that were seen last."""
WAYS = ("largest", "longest", "central", "frame-largest", "all")
_INERTIA = 0.7


@dataclass(frozen=True)
class Person:
    """One person as it was followed through a recording.

    Attributes:
        number: 0 for the person seen in most frames, 1 for the next.
        frames: Frames it is seen in.
        first: The first of them.
        last: The last of them.
        size: Median diagonal of the box of its joints, px.
        centre: Median of the x and of the y of that box's centre, px.
    """

    number: int
    frames: int
    first: int
    last: int
    size: float
    centre: tuple[float, float]


def track(frame: np.ndarray, keypoint: np.ndarray, score: np.ndarray, pause: int = 25) -> np.ndarray:
    """Give the N persons found in the frames numbers, the same number to what is the same person.

    From frame to frame persons are matched so that the joints move least in total: the distance of two bodies is the
    mean distance of the joints that both have, weighted by their scores, in diagonals of the larger body's box. Where a
    body is expected follows from how it moved before. Beyond :data:`FARTHEST` it is another person.

    Args:
        frame: (N,) ascending.
        keypoint: (N, V, 2) x, y in px.
        score: (N, V); 0 where a joint is missing.
        pause: Frames for which a person may be gone and still be the same.

    Returns:
        (N,) numbers from 0, in the order of appearance.
    """
    numbers = np.full(len(frame), -1, np.int64)
    boxes = _boxes(keypoint, score)
    tracks: list[_Track] = []
    count = 0
    starts = np.flatnonzero(np.diff(frame, prepend=-1) > 0)
    for start, end in zip(starts, np.append(starts, len(frame))[1:], strict=True):
        now = int(frame[start])
        tracks = [each for each in tracks if now - each.seen <= pause + 1]
        if len(tracks) > MOST_TRACKS:
            tracks = sorted(tracks, key=lambda each: each.seen)[-MOST_TRACKS:]
        matches = _match(tracks, keypoint[start:end], score[start:end], boxes[start:end, 0], now)
        for at, index in enumerate(matches, start):
            if index < 0:
                tracks.append(_Track(count))
                index, count = len(tracks) - 1, count + 1
            tracks[index].see(now, keypoint[at], score[at], boxes[at, 0])
            numbers[at] = tracks[index].number
    return numbers


class _Track:
    """A person as it was seen last, and how it moved."""

    def __init__(self, number: int) -> None:
        self.number, self.seen = number, -1
        self.keypoint = self.score = np.zeros(0)
        self.size = 0.0
        self.velocity = np.zeros(2)

    def see(self, now: int, keypoint: np.ndarray, score: np.ndarray, size: float) -> None:
        if self.seen >= 0:
            both = (score > 0) & (self.score > 0)
            step = (keypoint[both] - self.keypoint[both]).mean(0) / (now - self.seen)
            self.velocity = _INERTIA * self.velocity + (1 - _INERTIA) * step
        self.seen, self.keypoint, self.score = now, keypoint, score
        # A body half hidden for a moment is not a smaller one.
        self.size = max(size, 0.9 * self.size)


def _match(tracks: list[_Track], keypoint: np.ndarray, score: np.ndarray, sizes: np.ndarray, now: int) -> list[int]:
    """For each person of a frame its place among the tracks, -1 for a new one."""
    if not tracks:
        return [-1] * len(keypoint)
    cost = np.full((len(keypoint), len(tracks) + len(keypoint)), FARTHEST)
    for at, each in enumerate(tracks):
        expected = each.keypoint + each.velocity * min(now - each.seen, 5)
        weight = score * each.score
        total = weight.sum(1)
        distance = (np.hypot(*(keypoint - expected).transpose(2, 0, 1)) * weight).sum(1)
        size = np.maximum(sizes, each.size).clip(1e-6)
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.where(total > 0, distance / total / size, np.inf)
        cost[:, at] = np.where(relative < FARTHEST, relative, 10 * FARTHEST)
    # Not above: an import takes half a second.
    from scipy.optimize import linear_sum_assignment

    return [int(which) if which < len(tracks) else -1 for which in linear_sum_assignment(cost)[1]]


def _boxes(keypoint: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(N, 3): diagonal and centre x, y of the box of each person's known joints, px; zeros where none is known."""
    known = np.greater(score, 0)
    low = np.where(known[..., None], keypoint, np.inf).min(1)
    high = np.where(known[..., None], keypoint, -np.inf).max(1)
    seen = known.any(1)[:, None]
    low, high = np.where(seen, low, 0), np.where(seen, high, 0)
    return np.c_[np.hypot(*(high - low).T), (low + high) / 2]


def ranked(frame: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(N,) numbers of persons, whatever they are, as 0 to P - 1: 0 is seen in most frames, then in the first frame."""
    _, first, index, counts = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, frame[first], -counts))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[index]


def describe(frame: np.ndarray, keypoint: np.ndarray, score: np.ndarray, numbers: np.ndarray) -> list[Person]:
    """The persons of a recording, by their numbers.

    Args:
        frame: (N,) ascending.
        keypoint: (N, V, 2) px.
        score: (N, V).
        numbers: (N,) as :func:`ranked` gives them.
    """
    if not len(numbers):
        return []
    boxes = _boxes(keypoint, score)
    order = np.argsort(numbers, kind="stable")
    people = []
    for number, row in enumerate(np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)):
        size, x, y = np.median(boxes[row], axis=0).tolist()
        people.append(Person(number, len(row), int(frame[row[0]]), int(frame[row[-1]]), size, (x, y)))
    return people


def choose(people: list[Person], how: str, image_shape: tuple[int, int], most: int = 2) -> list[int]:
    """Numbers of the persons that a recording is about.

    Args:
        people: As :func:`describe` gives them.
        how: ``"largest"`` and ``"central"`` look at those seen in at least half as many frames as the longest:
            the largest median size, or the median place nearest to the image's centre. ``"longest"`` is seen in most
            frames, ``"all"`` are up to ``most``, the longest first, and a number is that place in the order of length.
        image_shape: (height, width) px.
        most: For ``"all"``.

    Raises:
        InputError: There is no such person, or no such way to choose.
    """
    if how == "all":
        return [each.number for each in people[:most]]
    if how.isdecimal() and how.isascii():
        if len(how) > 6 or int(how) >= len(people):
            last = f"0 to {len(people) - 1}" if people else "none"
            raise InputError(f"there is no person {how}, they are {last}", field="person")
        return [int(how)]
    if how not in WAYS:
        raise InputError(f"expected {', '.join(WAYS)} or a number, got {how!r}", field="person")
    seen = [each for each in people if 2 * each.frames >= people[0].frames]
    height, width = image_shape
    rank = {
        "largest": lambda each: -each.size,
        "central": lambda each: (each.centre[0] - width / 2) ** 2 + (each.centre[1] - height / 2) ** 2,
        "longest": lambda each: each.number,
    }[how]
    return [min(seen, key=rank).number] if seen else []


def arrange(
    frame: np.ndarray, keypoint: np.ndarray, score: np.ndarray, slot: np.ndarray, persons: int, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Put persons into the arrays of a recording.

    Args:
        frame: (N,).
        keypoint: (N, V, 2).
        score: (N, V).
        slot: (N,) index 0 to M - 1 of the person that each is, -1 for those that are left out.
        persons: M.
        frames: T.

    Returns:
        (M, T, V, 2) and (M, T, V) float32, zeros where a person is not seen.

    Raises:
        InputError: They would be too large.
    """
    joints = keypoint.shape[1]
    if persons * frames * joints > MOST_POINTS:
        problem = f"{persons} persons in {frames} frames of {joints} joints are more than {MOST_POINTS} points"
        raise InputError(problem, fix="Choose fewer persons, or cut the recording into parts.")
    points = np.zeros((persons, frames, joints, 2), np.float32)
    scores = np.zeros((persons, frames, joints), np.float32)
    kept = slot >= 0
    points[slot[kept], frame[kept]], scores[slot[kept], frame[kept]] = keypoint[kept], score[kept]
    return points, scores


def largest_of_each_frame(frame: np.ndarray, keypoint: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(N,) 0 for the largest person of each frame and -1 for the others."""
    size = _boxes(keypoint, score)[:, 0]
    order = np.lexsort((-size, frame))
    first = order[np.r_[True, np.diff(frame[order]) > 0]] if len(frame) else order
    slot = np.full(len(frame), -1, np.int64)
    slot[first] = 0
    return slot


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
            slot, chosen = largest_of_each_frame(frame, points, scores), []
        else:
            chosen = choose(people, self.person, image_shape, self.max_persons)
            slots = np.full(len(people), -1, np.int64)
            slots[chosen] = np.arange(len(chosen))
            slot = slots[followed]
        keypoint, score = arrange(frame, points, scores, slot, max(1, len(chosen)), frames)
        facts = {
            "persons": [asdict(each) for each in people[:20]],
            "persons_found": len(people),
            "chosen": chosen,
            "frames_seen": int(len(np.unique(frame[slot >= 0]))),
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
