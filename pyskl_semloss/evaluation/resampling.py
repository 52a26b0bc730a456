"""Bootstrap resamples of the clips of a test; the clips of one person stay together where persons are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyskl_semloss.errors import InputError

# Draws that are in memory at once; beyond it resamples are made in blocks.
_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class Units:
    """What is drawn with replacement.

    Clips of one person resemble each other, so that drawing clips one by one makes intervals too narrow. Where persons
    are known whole persons are drawn: the cluster bootstrap; Davison, Hinkley, "Bootstrap Methods and their
    Application", 1997, section 3.8.

    Attributes:
        kind: ``"persons"`` or ``"clips"``.
        member: (N,) number of the unit of each clip, from 0.
        count: Number of units.
    """

    kind: str
    member: np.ndarray
    count: int


def units_of(sample_id: Sequence[str] | np.ndarray, persons: Mapping[str, str] | None = None) -> Units:
    """The units of clips: their persons, or the clips themselves where no persons, or only one, are known.

    Args:
        sample_id: (N,) ids of the clips.
        persons: Person of each clip by id.

    Raises:
        InputError: Some clips have a person and others none.
    """
    ids = [str(clip) for clip in sample_id]
    person_of = [(persons or {}).get(clip, "") for clip in ids]
    missing = [clip for clip, person in zip(ids, person_of, strict=True) if not person]
    if persons and 0 < len(missing) < len(ids):
        fix = "Name all of them, or leave the table out: then clips are resampled one by one."
        raise InputError(f"{len(missing)} of {len(ids)} clips have no person", field="subjects", items=missing, fix=fix)
    number = {person: n for n, person in enumerate(dict.fromkeys(person_of))}
    if len(number) < 2:
        return Units("clips", np.arange(len(ids)), len(ids))
    return Units("persons", np.array([number[person] for person in person_of]), len(number))


def persons_of(sample_id: Sequence[str] | np.ndarray, subjects: Mapping[str, str]) -> dict[str, str]:
    """The person of each clip by id, from a table that names persons of clips or of videos.

    A clip belongs to the entry of its own id, else to the longest one that its id begins with.

    Args:
        sample_id: (N,) ids of the clips.
        subjects: Person by id of a clip or name of a video.

    Raises:
        InputError: A clip belongs to no entry.
    """
    persons: dict[str, str] = {}
    missing = []
    for clip in map(str, sample_id):
        entry = next((clip[:end] for end in range(len(clip), 0, -1) if clip[:end] in subjects), None)
        if entry is None:
            missing.append(clip)
        else:
            persons[clip] = subjects[entry]
    if missing:
        problem = f"{len(missing)} of {len(sample_id)} clips belong to no video of the table"
        raise InputError(problem, field="subjects", items=missing, fix="A clip's id begins with the name of its video.")
    return persons


def resampled(units: Units, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each clip was drawn, (R, N), in blocks of resamples."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(units.count, len(units.member)))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, units.count, (rows, units.count)) + units.count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * units.count).reshape(rows, units.count)
        yield times[:, units.member].astype(np.float64)


def bootstrap(
    units: Units, statistic: Callable[[np.ndarray], np.ndarray], *, resamples: int, level: float, seed: int
) -> np.ndarray:
    """Ends (2, …) of the percentile bootstrap interval of a statistic.

    Args:
        units: What is drawn.
        statistic: Takes how often each clip was drawn (R, N) and returns its value for each resample (R, …).
        resamples: Number of resamples.
        level: Of the interval.
        seed: Of the draws.
    """
    drawn = np.concatenate([statistic(times) for times in resampled(units, resamples, seed)])
    return np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)


def accuracy(times: np.ndarray, hits: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
    """Accuracy (R, M) of models where clip n counts ``times[r, n]`` times; with labels mean-class accuracy.

    Args:
        times: (R, N).
        hits: (M, N), 1 where a model is right, else 0.
        label: (N,). The mean is over the classes that occur in a resample.
    """
    if label is None:
        return times @ hits.T / times.sum(axis=1, keepdims=True)
    member = (label[:, None] == np.unique(label)).astype(np.float64)
    clips = times @ member
    present = clips > 0
    # Recall of an absent class is left out, so it may be anything finite here.
    recall = np.stack([times @ (member * row[:, None]) for row in hits]) / np.where(present, clips, 1)
    return ((recall * present).sum(axis=2) / present.sum(axis=1)).T


def wilson(share: np.ndarray, count: np.ndarray, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of shares of ``count`` clips; Wilson, JASA 1927.

    Unlike a bootstrap's it does not collapse where all or none of the clips are right.
    """
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return middle - half, middle + half
