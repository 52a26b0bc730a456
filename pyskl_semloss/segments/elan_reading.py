"""Annotations made in ELAN as segments: which tiers are whose, what their annotations are called, what is left out."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyskl_semloss.errors import InputError, one_line
from pyskl_semloss.io.reading import closest, fold, shown, spoiled
from pyskl_semloss.segments.elan_document import Annotation, Document, Media, Tier, read_document
from pyskl_semloss.segments.elan_times import times_of
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.segments.segmentation import Segmentation

AnyPath = str | os.PathLike[str]
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
    try:
        said: list[str] = []
        media = _media(document, video)
        offset = media.origin if media else 0
        chosen = _chosen(document, tiers) if tiers else _clear(document)
        segments = [one for name, person in chosen for one in _segments(document, name, person, offset, said)]
        segmentation = Segmentation(tuple(segments), name=Path(path).stem, video=_linked(document, media, path, said))
    except InputError as error:
        raise error.located(file=path) from None
    for text in said:
        warnings.warn(one_line(f"{os.fspath(path)}: {text}"), stacklevel=2)
    return segmentation


def _clear(document: Document) -> list[tuple[str, int]]:
    """The tiers with annotations and their persons, where that is beyond doubt."""
    filled = [tier for tier in document.tiers.values() if any(_is_named(one) for one in tier.annotations)]
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
    for given, number in wanted.items():
        name = _find(given, document.tiers, "tier", [_described(tier) for tier in document.tiers.values()])
        person = _person(document.tiers[name]) if number is None else number
        if person < 0 and len(wanted) > 1:
            problem = f"which person the tier {shown(name)} is of is not clear"
            raise InputError(problem, field="tiers", fix="Give the number of each: --tier NAME PERSON.")
        result.append((name, max(person, 0)))
    if len({name for name, _ in result}) < len(result):
        raise InputError("a tier is named twice", field="tiers")
    return result


def _find(given: str, known: Sequence[str] | Mapping[str, object], kind: str, items: Sequence[str]) -> str:
    if given in known:
        return given
    alike = [name for name in known if fold(name) == fold(given)]
    if len(alike) != 1:
        problem = f"there is no {kind} {given!r}" if not alike else f"several {kind}s are called like {given!r}"
        likely = closest(given, known)
        fix = f"Did you mean {likely[0]!r}?" if likely else None
        raise InputError(f"{problem}; there are", field=kind, items=items, fix=fix)
    return alike[0]


def _person(tier: Tier) -> int:
    """The person's number, from 0, in the name of a tier or its participant; -1 without one, -2 where they differ."""
    matches = [_PERSON.fullmatch(fold(text)) for text in (tier.name, tier.participant)]
    numbers = {int(match[1]) - 1 for match in matches if match}
    return -1 if not numbers else numbers.pop() if len(numbers) == 1 else -2


def _holds_confidences(tier: Tier) -> bool:
    """Whether it is one of the tiers that we write below those of the persons."""
    return bool(tier.parent) and CONFIDENCE in (tier.type, tier.name.rpartition(" ")[2])


def _is_named(one: Annotation) -> bool:
    return bool(one.entry or one.text.strip())


def _described(tier: Tier) -> str:
    named = [one.text.strip() for one in tier.annotations if one.text.strip()]
    text = f"{tier.name!r}: {len(tier.annotations) or 'no'} annotations"
    text += f", such as {shown(named[0])}" if named else ""
    text += f"; participant {shown(tier.participant)}" if tier.participant else ""
    return text + (f"; depends on {shown(tier.parent)}" if tier.parent else "")


def _segments(document: Document, name: str, person: int, offset: int, said: list[str]) -> list[Segment]:
    tier = document.tiers[name]
    times, guessed = times_of(document, name)
    segments, unnamed, mended = [], 0, 0
    for one in tier.annotations:
        text, changed = _name_of(document, tier, one)
        mended += changed
        if not text:
            unnamed += 1
            continue
        start, end = ((moment + offset) / 1000 for moment in times[one.id])
        try:
            segments.append(Segment(start, end, text, person=person))
        except InputError as error:
            problem = f"tier {shown(name)}, annotation {shown(one.id)}: {error.problem}"
            raise InputError(problem, field=error.field, fix=error.fix) from None
    for count, what in (
        (unnamed, "annotations without a name are left out"),
        (mended, "names are those of the controlled vocabulary, where the annotations have other texts"),
        (guessed, "time slots without times are taken to lie evenly between their neighbours, as in ELAN"),
    ):
        if count:
            said.append(f"tier {name!r}: {count} {what}")
    return segments


def _name_of(document: Document, tier: Tier, one: Annotation) -> tuple[str, bool]:
    """The name of an annotation, and whether it is another than its text says."""
    text = one.text.strip() if spoiled(one.text) is None else " ".join(one.text.split())
    entries = document.vocabularies.get(document.types.get(tier.type, ""), {})
    values = entries.get(one.entry or text, [])
    if not values or any(fold(value) == fold(text) for _, value in values):
        return text, False
    # A text that is an entry's id may be another entry's name.
    if not one.entry and any(fold(value) == fold(text) for each in entries.values() for _, value in each):
        return text, False
    language = one.language or tier.language
    name = next((value for each, value in values if each == language), values[0][1]).strip()
    return (name, bool(text)) if name else (text, False)


def _media(document: Document, video: str) -> Media | None:
    """The medium whose times are wanted: the named one, or a video, or whatever else is linked."""
    media = document.media
    if video:
        names = [_name(one) for one in media]
        wanted = os.path.basename(video)
        stems = [name for name in names if fold(Path(name).stem) == fold(Path(wanted).stem)]
        wanted = stems[0] if wanted not in names and len(stems) == 1 else wanted
        return media[names.index(_find(wanted, names, "video", [_placed(one) for one in media]))]
    pool = [one for one in media if not one.kind.startswith("audio")] or media
    if len({one.origin for one in pool}) > 1:
        problem = "the linked videos begin at different moments, so that the times depend on which is meant"
        fix = "Name it with --video NAME; in Python video=NAME."
        raise InputError(problem, field="TIME_ORIGIN", items=map(_placed, pool), fix=fix)
    return pool[0] if pool else None


def _placed(one: Media) -> str:
    return f"{_name(one)!r} begins at {one.origin / 1000:.3f} s"


def _name(one: Media) -> str:
    return re.split(r"[/\\]", _path(one.relative or one.url) or one.url)[-1]


def _path(url: str) -> str | None:
    """The path of a link to a file; None for an address of another kind."""
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


def _linked(document: Document, media: Media | None, path: AnyPath, said: list[str]) -> str:
    """The path of the medium, or its name where it is not there; says which of all media are not."""
    places = {id(one): _place(one, Path(path).parent) for one in document.media}
    if absent := [_name(one) for one in document.media if not places[id(one)]]:
        said.append(f"linked media that are not there: {', '.join(absent[:5])}{' …' * (len(absent) > 5)}")
    return (places[id(media)] or _name(media)) if media else ""


def _place(one: Media, folder: Path) -> str:
    """Where a linked medium lies: as the file says, or beside the file as ELAN looks for it."""
    links = [_path(link) for link in (one.relative, one.url) if link]
    candidates = [folder / link for link in links if link] + [folder / _name(one)]
    for candidate in candidates:
        if os.path.isfile(candidate):
            return str(candidate)
    return ""
