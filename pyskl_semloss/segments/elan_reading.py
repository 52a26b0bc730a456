"""Segments from ELAN files: choice of tiers, names, times."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyskl_semloss.errors import InputError, escape_control_characters, located
from pyskl_semloss.io.reading import AnyPath, closest_names, first_forbidden_character, fold_name, short_repr
from pyskl_semloss.segments.elan_document import Annotation, Document, Media, Tier, read_document
from pyskl_semloss.segments.segment import Segment, Segmentation

Tiers = Mapping[str, int | None] | Sequence[str]
CONFIDENCE = "confidence"
"""The linguistic type of the tiers that hold confidences, which are no names of gestures."""
_PERSON = re.compile(r"person[ _-]?0*([1-9][0-9]{0,3})")
_CHOOSE = "Choose with --tier NAME, or --tier NAME PERSON for each person; in Python tiers={NAME: PERSON}, from 0."


def read_eaf(path: AnyPath, tiers: Tiers = (), video: str = "") -> Segmentation:
    """Read annotations from the tiers of an ELAN file; confidences are 1.

    A tier belongs to the person whose number its name has, as "person 2", or its participant; wherever it lies in the
    file. Tiers without annotations are nobody's. The only tier with annotations needs no number: it is the first
    person's.

    Times are those of the linked video, also where ELAN shows it from a later moment on (``TIME_ORIGIN``). What is left
    out, interpolated or mended is said in warnings, and so are linked media that are not there; nothing is opened.

    Args:
        path: The file.
        tiers: Names of the tiers to read, or persons, from 0, by names of tiers. Capitals and blanks do not count. May
            be left out where it is clear which they are.
        video: The name of the linked video whose times are wanted; needed where videos begin at different moments.

    Raises:
        InputError: The file is absent or no ELAN file; it is not clear which tiers are meant and whose they are, or
            which video; there is no such tier or video; annotations of a person overlap, or have no times.
    """
    document = read_document(path)
    with located(file=path):
        notes: list[str] = []
        media = _media(document, video)
        offset = media.origin if media else 0
        chosen = _chosen(document, tiers) if tiers else _clear(document)
        segments = [segment for name, person in chosen for segment in _segments(document, name, person, offset, notes)]
        segmentation = Segmentation(tuple(segments), name=Path(path).stem, video=_linked(document, media, path, notes))
    for text in notes:
        warnings.warn(escape_control_characters(f"{os.fspath(path)}: {text}"), stacklevel=2)
    return segmentation


def _clear(document: Document) -> list[tuple[str, int]]:
    """The tiers with annotations and their persons, where that is beyond doubt."""
    filled = [tier for tier in document.tiers.values() if any(_is_named(annotation) for annotation in tier.annotations)]
    filled = [tier for tier in filled if not _holds_confidences(tier)]
    persons = [_person(tier) for tier in filled]
    if len(filled) == 1 and persons[0] >= -1:
        return [(filled[0].name, max(persons[0], 0))]
    if min(persons, default=0) < 0 or len(set(persons)) < len(filled) or any(tier.parent for tier in filled):
        problem = f"{len(filled)} tiers have annotations, and which are the gestures of which person is not clear"
        if len(filled) == 1:
            problem = "its tier's name is one person's, its participant another"
        raise InputError(problem, field="tiers", items=map(_described, filled), fix=_CHOOSE)
    return [(tier.name, person) for tier, person in zip(filled, persons, strict=True)]


def _chosen(document: Document, tiers: Tiers) -> list[tuple[str, int]]:
    wanted = tiers if isinstance(tiers, Mapping) else dict.fromkeys([tiers] if isinstance(tiers, str) else tiers)
    result: list[tuple[str, int]] = []
    for requested, number in wanted.items():
        name = _find(requested, document.tiers, "tier", [_described(tier) for tier in document.tiers.values()])
        person = _person(document.tiers[name]) if number is None else number
        if person < 0 and len(wanted) > 1:
            problem = f"which person the tier {short_repr(name)} is of is not clear"
            raise InputError(problem, field="tiers", fix="Give the number of each: --tier NAME PERSON.")
        result.append((name, max(person, 0)))
    if len({name for name, _ in result}) < len(result):
        raise InputError("a tier is named twice", field="tiers")
    return result


def _find(requested: str, known: Sequence[str] | Mapping[str, object], kind: str, items: Sequence[str]) -> str:
    if requested in known:
        return requested
    alike = [name for name in known if fold_name(name) == fold_name(requested)]
    if len(alike) != 1:
        problem = f"there is no {kind} {requested!r}" if not alike else f"several {kind}s are called like {requested!r}"
        likely = closest_names(requested, known)
        fix = f"Did you mean {likely[0]!r}?" if likely else None
        raise InputError(f"{problem}; there are", field=kind, items=items, fix=fix)
    return alike[0]


def _person(tier: Tier) -> int:
    """Person number, from 0, in a tier's name or participant.

    -1 without one, -2 where they differ.
    """
    matches = [_PERSON.fullmatch(fold_name(text)) for text in (tier.name, tier.participant)]
    numbers = {int(match[1]) - 1 for match in matches if match}
    return -1 if not numbers else numbers.pop() if len(numbers) == 1 else -2


def _holds_confidences(tier: Tier) -> bool:
    """True for the tiers of confidences that this package writes."""
    return bool(tier.parent) and CONFIDENCE in (tier.type, tier.name.rpartition(" ")[2])


def _is_named(annotation: Annotation) -> bool:
    return bool(annotation.entry or annotation.text.strip())


def _described(tier: Tier) -> str:
    named = [annotation.text.strip() for annotation in tier.annotations if annotation.text.strip()]
    text = f"{tier.name!r}: {len(tier.annotations) or 'no'} annotations"
    text += f", such as {short_repr(named[0])}" if named else ""
    text += f"; participant {short_repr(tier.participant)}" if tier.participant else ""
    return text + (f"; depends on {short_repr(tier.parent)}" if tier.parent else "")


def _segments(document: Document, name: str, person: int, offset: int, notes: list[str]) -> list[Segment]:
    tier = document.tiers[name]
    times, guessed = times_of(document, name)
    segments, unnamed, mended = [], 0, 0
    for annotation in tier.annotations:
        text, changed = _name_of(document, tier, annotation)
        mended += changed
        if not text:
            unnamed += 1
            continue
        start, end = ((moment + offset) / 1000 for moment in times[annotation.id])
        try:
            segments.append(Segment(start, end, text, person=person))
        except InputError as error:
            raise error.located(f"tier {short_repr(name)}, annotation {short_repr(annotation.id)}") from None
    for count, consequence in (
        (unnamed, "annotations without a name are left out"),
        (mended, "names are those of the controlled vocabulary, where the annotations have other texts"),
        (guessed, "time slots without times are taken to lie evenly between their neighbours, as in ELAN"),
    ):
        if count:
            notes.append(f"tier {name!r}: {count} {consequence}")
    return segments


def _name_of(document: Document, tier: Tier, annotation: Annotation) -> tuple[str, bool]:
    """Name of an annotation, and whether it differs from its text."""
    text = (
        annotation.text.strip()
        if first_forbidden_character(annotation.text) is None
        else " ".join(annotation.text.split())
    )
    entries = document.vocabularies.get(document.types.get(tier.type, ""), {})
    values = entries.get(annotation.entry or text, [])
    if not values or any(fold_name(value) == fold_name(text) for _, value in values):
        return text, False
    # A text that is an entry's id may be another entry's name.
    if not annotation.entry and any(
        fold_name(value) == fold_name(text) for each in entries.values() for _, value in each
    ):
        return text, False
    language = annotation.language or tier.language
    name = next((value for each, value in values if each == language), values[0][1]).strip()
    return (name, bool(text)) if name else (text, False)


def _media(document: Document, video: str) -> Media | None:
    """Medium that the times refer to: the named one, else a video."""
    media = document.media
    if video:
        names = [_name(medium) for medium in media]
        wanted = os.path.basename(video)
        stems = [name for name in names if fold_name(Path(name).stem) == fold_name(Path(wanted).stem)]
        wanted = stems[0] if wanted not in names and len(stems) == 1 else wanted
        return media[names.index(_find(wanted, names, "video", [_placed(medium) for medium in media]))]
    pool = [medium for medium in media if not medium.kind.startswith("audio")] or media
    if len({medium.origin for medium in pool}) > 1:
        problem = "the linked videos begin at different moments, so that the times depend on which is meant"
        fix = "Name it with --video NAME; in Python video=NAME."
        raise InputError(problem, field="TIME_ORIGIN", items=map(_placed, pool), fix=fix)
    return pool[0] if pool else None


def _placed(medium: Media) -> str:
    return f"{_name(medium)!r} begins at {medium.origin / 1000:.3f} s"


def _name(medium: Media) -> str:
    return re.split(r"[/\\]", _path(medium.relative or medium.url) or medium.url)[-1]


def _path(url: str) -> str | None:
    """Path of a link to a file, else None."""
    if re.match(r"[A-Za-z]:[/\\]", url):
        return url.replace("\\", "/")
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme and parts.scheme.lower() != "file":
        return None
    if not parts.scheme:
        return url.replace("\\", "/")
    return None if parts.netloc not in ("", "localhost") else re.sub(r"^/+", "/", unquote(url.split(":", 1)[1]))


def _linked(document: Document, media: Media | None, path: AnyPath, notes: list[str]) -> str:
    """Path of the medium, or its name where it is absent.

    Absent media are noted.
    """
    places = {id(medium): _place(medium, Path(path).parent) for medium in document.media}
    if absent := [_name(medium) for medium in document.media if not places[id(medium)]]:
        notes.append(f"linked media that are not there: {', '.join(absent[:5])}{' …' * (len(absent) > 5)}")
    return (places[id(media)] or _name(media)) if media else ""


def _place(medium: Media, folder: Path) -> str:
    """Path of a linked medium, or of one beside the file."""
    links = [_path(link) for link in (medium.relative, medium.url) if link]
    candidates = [folder / link for link in links if link] + [folder / _name(medium)]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return str(candidate)
    return ""


Times = dict[str, tuple[float, float]]
"""(start, end) in ms by the ids of annotations."""


def times_of(document: Document, name: str) -> tuple[Times, int]:
    """Times of a tier's annotations, and the number of interpolated slots.

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
        with located(f"tier {short_repr(tier.name)}"):
            own, guessed = _aligned(document, tier)
            own.update(_referring(tier, times))
            _check(own)
        times = own
    return times, guessed


def _line(document: Document, name: str) -> list[Tier]:
    """A tier and those that its times depend on."""
    tiers = [document.tiers[name]]
    while any(annotation.slots is None for annotation in tiers[-1].annotations):
        parent = tiers[-1].parent
        if parent not in document.tiers or any(parent == tier.name for tier in tiers):
            problem = f"tier {short_repr(tiers[-1].name)}: the tier that it depends on, {short_repr(parent)}, "
            raise InputError(problem + ("depends on it" if parent in document.tiers else "is not there"))
        tiers.append(document.tiers[parent])
    return tiers


def _aligned(document: Document, tier: Tier) -> tuple[Times, int]:
    aligned = [annotation for annotation in tier.annotations if annotation.slots is not None]
    for annotation in aligned:
        if absent := [slot for slot in annotation.slots or () if slot not in document.slots]:
            raise InputError(f"annotation {short_repr(annotation.id)}: there is no time slot {short_repr(absent[0])}")
    used = {slot for annotation in aligned for slot in annotation.slots or ()}
    known: dict[str, float | None] = {slot: document.slots[slot] for slot in used}
    guessed = sum(value is None for value in known.values())
    if guessed:
        order = {slot: index for index, slot in enumerate(document.slots)}
        known = dict(_interpolated([(slot, known[slot]) for slot in sorted(used, key=order.__getitem__)]))
    result: Times = {}
    for annotation in aligned:
        start, end = (known[slot] for slot in annotation.slots or ())
        if start is None or end is None:
            raise InputError(
                f"annotation {short_repr(annotation.id)}: its time slots have no times, nor have those around them"
            )
        result[annotation.id] = (start, end)
    return result, guessed


def _interpolated(slots: Sequence[tuple[str, float | None]]) -> list[tuple[str, float | None]]:
    """Slots of a tier, with missing times interpolated linearly."""
    result = list(slots)
    last: int | None = None
    for index, (_, value) in enumerate(slots):
        if value is None:
            continue
        before = None if last is None else slots[last][1]
        if last is not None and before is not None:
            for between in range(last + 1, index):
                result[between] = (slots[between][0], before + (value - before) * (between - last) / (index - last))
        last = index
    return result


def _referring(tier: Tier, parents: Mapping[str, tuple[float, float]]) -> Times:
    groups: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in tier.annotations:
        if annotation.slots is None:
            groups[annotation.parent].append(annotation)
    result: Times = {}
    for parent, group in groups.items():
        if parent not in parents:
            raise InputError(
                f"annotation {short_repr(group[0].id)}: there is no annotation {short_repr(parent)} that it lies in"
            )
        start, end = parents[parent]
        share = (end - start) / len(group)
        for index, annotation in enumerate(_in_order(group)):
            stop = end if index == len(group) - 1 else start + (index + 1) * share
            result[annotation.id] = (start + index * share, stop)
    return result


def _in_order(group: Sequence[Annotation]) -> list[Annotation]:
    """Annotations of one parent, in the order of PREVIOUS_ANNOTATION."""
    if len(group) == 1:
        return list(group)
    after = {annotation.previous: annotation for annotation in group}
    ordered: list[Annotation] = []
    current = after.get("")
    while current is not None and len(ordered) < len(group):
        ordered.append(current)
        current = after.get(current.id)
    if len(ordered) < len(group):
        problem = f"annotation {short_repr(group[0].id)} and its {len(group) - 1} neighbours: "
        raise InputError(f"{problem}PREVIOUS_ANNOTATION names no order of them")
    return ordered


def _check(times: Times) -> None:
    for name, (start, end) in times.items():
        if not start < end:
            problem = f"annotation {short_repr(name)}: expected an end behind the start, got {start / 1000:.3f} and "
            raise InputError(f"{problem}{end / 1000:.3f} s")
