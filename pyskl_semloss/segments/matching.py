"""How well found segments agree with annotated ones: F1 at a temporal overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import fold
from pyskl_semloss.segments.segment import Segment


class Agreement(NamedTuple):
    """Of found with annotated segments.

    Attributes:
        matched: Pairs.
        predicted: Number of predicted segments.
        annotated: Number of annotated segments.
    """

    matched: int
    predicted: int
    annotated: int

    @property
    def precision(self) -> float:
        """Share of the predicted segments that are right; 0 without any."""
        return self.matched / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the annotated segments that were predicted; 0 without any."""
        return self.matched / self.annotated if self.annotated else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 without any segment at all."""
        return 2 * self.matched / (self.predicted + self.annotated) if self.predicted + self.annotated else 1.0

    def __add__(self, other: Agreement) -> Agreement:  # type: ignore[override]
        """The agreement over two recordings together."""
        return Agreement(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def overlap(segment: Segment, other: Segment) -> float:
    """Intersection over union of two stretches of time, 0 to 1."""
    common = min(segment.end, other.end) - max(segment.start, other.start)
    return max(common, 0.0) / (max(segment.end, other.end) - min(segment.start, other.start)) if common > 0 else 0.0


def agreement(
    predicted: Sequence[Segment], annotated: Sequence[Segment], iou: float = 0.5, names: bool = True
) -> Agreement:
    """Match found and annotated segments of the same person (and name) one to one, the best overlaps first.

    Capitals, blanks and the Unicode form of names do not count.

    Args:
        predicted: By a model.
        annotated: By hand.
        iou: Least intersection over union of a pair, above 0 to 1.
        names: Whether the names must agree, too; otherwise only the times are judged.

    Raises:
        InputError: ``iou`` is none.
    """
    if not 0 < iou <= 1:
        raise InputError(f"expected a share above 0, at most 1, got {iou!r}", field="iou")
    taken_predicted: set[int] = set()
    taken: set[int] = set()
    for share, a, b in sorted(_pairs(predicted, annotated, names), key=lambda pair: (-pair[0], pair[1], pair[2])):
        if share >= iou and a not in taken_predicted and b not in taken:
            taken_predicted.add(a)
            taken.add(b)
    return Agreement(len(taken), len(predicted), len(annotated))


def _pairs(predicted: Sequence[Segment], annotated: Sequence[Segment], names: bool) -> Iterator[tuple[float, int, int]]:
    """Overlap and places of those that overlap, of one person and name."""
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for b in sorted(range(len(annotated)), key=lambda b: annotated[b].start):
        groups[_group(annotated[b], names)].append(b)
    # Up to each segment of a group the latest end, which never falls, so that the first that may overlap is searched.
    ends = {key: list(accumulate((annotated[b].end for b in group), max)) for key, group in groups.items()}
    for a, segment in enumerate(predicted):
        key = _group(segment, names)
        for index in range(bisect_right(ends.get(key, []), segment.start), len(groups.get(key, []))):
            b = groups[key][index]
            if annotated[b].start >= segment.end:
                break
            share = overlap(segment, annotated[b])
            if share > 0:
                yield share, a, b


def _group(segment: Segment, names: bool) -> tuple[int, str]:
    return segment.person, fold(segment.name) if names else ""
