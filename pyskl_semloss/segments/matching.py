"""How well found segments agree with annotated ones: F1 at a temporal overlap."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import fold_name
from pyskl_semloss.segments.segment import Segment


class Agreement(NamedTuple):
    """Of found with annotated segments.

    Attributes:
        matched: Pairs.
        found: Number of found segments.
        annotated: Number of annotated segments.
    """

    matched: int
    found: int
    annotated: int

    @property
    def precision(self) -> float:
        """Share of the found segments that are right; 0 where none was found."""
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the annotated segments that were found; 0 where there are none."""
        return self.matched / self.annotated if self.annotated else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of the two; 1 where there was nothing to find and nothing was found."""
        return 2 * self.matched / (self.found + self.annotated) if self.found + self.annotated else 1.0

    def __add__(self, other: Agreement) -> Agreement:  # type: ignore[override]
        """The agreement over two recordings together."""
        return Agreement(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def overlap(one: Segment, other: Segment) -> float:
    """Intersection over union of two stretches of time, 0 to 1."""
    common = min(one.end, other.end) - max(one.start, other.start)
    return max(common, 0.0) / (max(one.end, other.end) - min(one.start, other.start)) if common > 0 else 0.0


def agreement(
    found: Sequence[Segment], annotated: Sequence[Segment], iou: float = 0.5, names: bool = True
) -> Agreement:
    """Match found and annotated segments of the same person (and name) one to one, the best overlaps first.

    Capitals, blanks and the Unicode form of names do not count.

    Args:
        found: By a model.
        annotated: By hand.
        iou: Least intersection over union of a pair, above 0 to 1.
        names: Whether the names must agree, too; otherwise only the times are judged.

    Raises:
        InputError: ``iou`` is none.
    """
    if not 0 < iou <= 1:
        raise InputError(f"expected a share above 0, at most 1, got {iou!r}", field="iou")
    taken_found: set[int] = set()
    taken: set[int] = set()
    for share, a, b in sorted(_pairs(found, annotated, names), key=lambda pair: (-pair[0], pair[1], pair[2])):
        if share >= iou and a not in taken_found and b not in taken:
            taken_found.add(a)
            taken.add(b)
    return Agreement(len(taken), len(found), len(annotated))


def _pairs(found: Sequence[Segment], annotated: Sequence[Segment], names: bool) -> Iterator[tuple[float, int, int]]:
    """Overlap and places of those that overlap, of one person and name."""
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for b in sorted(range(len(annotated)), key=lambda b: annotated[b].start):
        groups[_group(annotated[b], names)].append(b)
    # Up to each segment of a group the latest end, which never falls, so that the first that may overlap is searched.
    ends = {key: list(accumulate((annotated[b].end for b in group), max)) for key, group in groups.items()}
    for a, one in enumerate(found):
        key = _group(one, names)
        for place in range(bisect_right(ends.get(key, []), one.start), len(groups.get(key, []))):
            b = groups[key][place]
            if annotated[b].start >= one.end:
                break
            share = overlap(one, annotated[b])
            if share > 0:
                yield share, a, b


def _group(one: Segment, names: bool) -> tuple[int, str]:
    return one.person, fold_name(one.name) if names else ""
