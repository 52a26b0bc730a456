"""When the annotations of an ELAN file happen: time slots without times, and annotations that lie in others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import shown
from pyskl_semloss.segments.elan_document import Annotation, Document, Tier

Times = dict[str, tuple[float, float]]
"""(start, end) in ms by the ids of annotations."""


def times_of(document: Document, name: str) -> tuple[Times, int]:
    """The times of a tier's annotations, and how many of its time slots had to be interpolated.

    A slot without a time lies between its neighbours on the tier, all at the same distance, as ELAN draws it. An
    annotation that refers to another has the other's times; several that refer to the same share them out in equal
    parts, in their order.

    Raises:
        InputError: A slot, an annotation or a tier that is referred to is not there, slots have no times on both sides,
            tiers depend on each other in a circle, or an annotation does not end behind its start; names tier and
            annotation.
    """
    times: Times = {}
    guessed = 0
    for tier in reversed(_line(document, name)):
        try:
            own, guessed = _aligned(document, tier)
            own.update(_referring(tier, times))
            _check(own)
        except InputError as error:
            raise InputError(f"tier {shown(tier.name)}: {error.problem}") from None
        times = own
    return times, guessed


def _line(document: Document, name: str) -> list[Tier]:
    """A tier and those that its times depend on."""
    tiers = [document.tiers[name]]
    while any(one.slots is None for one in tiers[-1].annotations):
        parent = tiers[-1].parent
        if parent not in document.tiers or any(parent == tier.name for tier in tiers):
            problem = f"tier {shown(tiers[-1].name)}: the tier that it depends on, {shown(parent)}, "
            raise InputError(problem + ("depends on it" if parent in document.tiers else "is not there"))
        tiers.append(document.tiers[parent])
    return tiers


def _aligned(document: Document, tier: Tier) -> tuple[Times, int]:
    aligned = [one for one in tier.annotations if one.slots is not None]
    for one in aligned:
        if absent := [slot for slot in one.slots or () if slot not in document.slots]:
            raise InputError(f"annotation {shown(one.id)}: there is no time slot {shown(absent[0])}")
    used = {slot for one in aligned for slot in one.slots or ()}
    known: dict[str, float | None] = {slot: document.slots[slot] for slot in used}
    guessed = sum(value is None for value in known.values())
    if guessed:
        order = {slot: place for place, slot in enumerate(document.slots)}
        known = dict(_interpolated([(slot, known[slot]) for slot in sorted(used, key=order.__getitem__)]))
    result: Times = {}
    for one in aligned:
        start, end = (known[slot] for slot in one.slots or ())
        if start is None or end is None:
            raise InputError(f"annotation {shown(one.id)}: its time slots have no times, nor have those around them")
        result[one.id] = (start, end)
    return result, guessed


def _interpolated(slots: Sequence[tuple[str, float | None]]) -> list[tuple[str, float | None]]:
    """The slots of a tier in their order, those without a time between two with one at equal distances."""
    result = list(slots)
    last: int | None = None
    for place, (_, value) in enumerate(slots):
        if value is None:
            continue
        before = None if last is None else slots[last][1]
        if last is not None and before is not None:
            for between in range(last + 1, place):
                result[between] = (slots[between][0], before + (value - before) * (between - last) / (place - last))
        last = place
    return result


def _referring(tier: Tier, parents: Mapping[str, tuple[float, float]]) -> Times:
    groups: dict[str, list[Annotation]] = defaultdict(list)
    for one in tier.annotations:
        if one.slots is None:
            groups[one.parent].append(one)
    result: Times = {}
    for parent, group in groups.items():
        if parent not in parents:
            raise InputError(f"annotation {shown(group[0].id)}: there is no annotation {shown(parent)} that it lies in")
        start, end = parents[parent]
        share = (end - start) / len(group)
        for place, one in enumerate(_in_order(group)):
            result[one.id] = (start + place * share, end if place == len(group) - 1 else start + (place + 1) * share)
    return result


def _in_order(group: Sequence[Annotation]) -> list[Annotation]:
    """Annotations of one parent, each behind the one that it names as the previous."""
    if len(group) == 1:
        return list(group)
    after = {one.previous: one for one in group}
    ordered: list[Annotation] = []
    current = after.get("")
    while current is not None and len(ordered) < len(group):
        ordered.append(current)
        current = after.get(current.id)
    if len(ordered) < len(group):
        problem = f"annotation {shown(group[0].id)} and its {len(group) - 1} neighbours: "
        raise InputError(f"{problem}PREVIOUS_ANNOTATION names no order of them")
    return ordered


def _check(times: Times) -> None:
    for name, (start, end) in times.items():
        if not start < end:
            problem = f"annotation {shown(name)}: expected an end behind the start, got {start / 1000:.3f} and "
            raise InputError(f"{problem}{end / 1000:.3f} s")
