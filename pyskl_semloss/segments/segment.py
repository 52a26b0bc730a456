"""A named stretch of time, as it is found in a recording or annotated by hand."""

from __future__ import annotations

from dataclasses import dataclass

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import shown
from pyskl_semloss.semantic.class_names import check_class_names

MOST_SECONDS, MOST_PERSONS = 1e9, 1_000_000
"""A segment begins and ends before the first, and its person's number is below the second."""


@dataclass(frozen=True)
class Segment:
    """A gesture of one person.

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
            problem = f"expected a number from 0 to {MOST_PERSONS - 1}, got {shown(self.person)}"
            raise InputError(problem, field="person")

    @property
    def seconds(self) -> float:
        """Duration in s."""
        return self.end - self.start
