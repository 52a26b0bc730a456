"""Segments and segmentations, predicted or annotated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyskl_semloss.errors import InputError, escape_control_characters
from pyskl_semloss.io.reading import short_repr
from pyskl_semloss.semantic.class_names import check_class_names

MOST_SECONDS, MOST_PERSONS = 1e9, 1_000_000
"""A segment begins and ends before the first, and its person's number is below the second."""


@dataclass(frozen=True)
class Segment:
    """Gesture of one person between two moments.

    Attributes:
        start: First moment in s.
        end: The moment behind the last one in s; above ``start``.
        name: Of the class.
        confidence: From 0 to 1; 1 in annotations by hand.
        top: The best classes with their probabilities, best first; the first is ``name`` where a model found it.
        nearest: The class whose name is nearest in the semantic space, or nothing.
        person: Number of the person in the recording, from 0.

    Raises:
        InputError: A field is not as said above.
    """

    start: float
    end: float
    name: str
    confidence: float = 1.0
    top: tuple[tuple[str, float], ...] = ()
    nearest: str = ""
    person: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= MOST_SECONDS:
            problem = f"expected 0 <= start < end <= {MOST_SECONDS:g} in seconds, got {self.start!r} and {self.end!r}"
            raise InputError(problem, field="start, end")
        if not self.name:
            raise InputError("expected the name of a class, got none", field="name")
        check_class_names([self.name, *(name for name, _ in self.top), *([self.nearest] if self.nearest else [])])
        if not 0 <= self.confidence <= 1:
            raise InputError(f"expected 0 to 1, got {self.confidence!r}", field="confidence")
        if not 0 <= self.person < MOST_PERSONS:
            problem = f"expected a number from 0 to {MOST_PERSONS - 1}, got {short_repr(self.person)}"
            raise InputError(problem, field="person")

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return self.end - self.start


@dataclass(frozen=True)
class Segmentation:
    """Segments of a recording, predicted or annotated.

    Attributes:
        segments: By person and start.
        class_names: All names that a segment may have, in the order of the classes; nothing where they are not known.
        name: Of the recording.
        seconds: Duration of the recording; 0 where it is not known.
        video: The file that the recording was made from, or nothing.
        settings: With which numbers the segments were found, for the files.
        explanation: Why there are no segments, and what to do; nothing where there are some, or it is not known.
        unseen_names: Those of ``class_names`` that no model was trained on, named by the nearest name.

    Raises:
        InputError: Two segments of a person overlap, or a name is none of the classes'.
    """

    segments: tuple[Segment, ...]
    class_names: tuple[str, ...] = ()
    name: str = ""
    seconds: float = 0.0
    video: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    explanation: str = ""
    unseen_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.segments, key=lambda segment: (segment.person, segment.start, segment.end)))
        object.__setattr__(self, "segments", ordered)
        known = set(self.class_names)
        for segment in ordered:
            if known and segment.name not in known:
                raise InputError(f"{segment.name!r} is none of the {len(known)} class names", field="name")
        for segment, other in zip(ordered, ordered[1:], strict=False):
            if segment.person == other.person and other.start < segment.end:
                problem = f"{segment.name!r} ends at {segment.end:g} s, {other.name!r} begins at {other.start:g} s"
                raise InputError(f"two segments of a person overlap: {problem}", field="segments")

    def of_person(self, person: int) -> list[Segment]:
        """The segments of one person, by start."""
        return [segment for segment in self.segments if segment.person == person]

    @property
    def persons(self) -> tuple[int, ...]:
        """The persons that have segments."""
        return tuple(sorted({segment.person for segment in self.segments}))

    def in_milliseconds(self) -> list[tuple[int, int, Segment]]:
        """(start, end, segment), the times as whole milliseconds.

        A segment lasts at least 1 ms, and no two of a person overlap after the rounding either.
        """
        result: list[tuple[int, int, Segment]] = []
        for segment in self.segments:
            start, end = round(segment.start * 1000), round(segment.end * 1000)
            if result and result[-1][2].person == segment.person:
                start = max(start, result[-1][1])
            result.append((start, max(end, start + 1), segment))
        return result


def format_segments(segments: Sequence[Segment], unseen_names: Sequence[str] = ()) -> str:
    """Text table of segments: start, end, confidence, name; unseen names are marked."""
    lines = [f"{'start s':>9} {'end s':>9}  conf.  name"]
    several = len({segment.person for segment in segments}) > 1
    for segment in segments:
        whose = f"  (person {segment.person + 1})" if several else ""
        mark = "  (unseen)" if segment.name in unseen_names else ""
        lines.append(f"{segment.start:9.2f} {segment.end:9.2f}   {segment.confidence:.2f}  {segment.name}{mark}{whose}")
    return "\n".join(map(escape_control_characters, lines))
