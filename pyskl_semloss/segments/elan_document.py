"""Safe parser of ELAN files (EAF): tiers, times, media, vocabularies.

The parser keeps the elements that it knows and drops all others as they come, so that memory follows the annotations.
Document types, and with them entities, are refused; nothing is fetched and no schema is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, read_text, reason, short_repr

_LIMIT = 64 << 20
"""Bytes; hours of speech, each word on four tiers, are 3 MB."""
_ROOT = "ANNOTATION_DOCUMENT"
_NO_ELAN = "it cannot be read as an ELAN file"
_DEPTH = 100
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
_FORMATS = re.compile(r"[23](\.[0-9]+)?")


@dataclass(slots=True)
class Annotation:
    """An annotation as the file has it.

    Attributes:
        id: Its id in the file.
        slots: Its first and last time slot, or nothing where its times are those of another annotation.
        parent: The annotation that it refers to, or nothing.
        previous: The one before it of the same parent, or nothing.
        entry: The entry of a controlled vocabulary that it refers to, or nothing.
        language: Of its text, or nothing.
        text: Its text.
    """

    id: str
    slots: tuple[str, str] | None
    parent: str
    previous: str
    entry: str
    language: str
    text: str = ""


@dataclass
class Tier:
    """A tier as the file has it.

    Attributes:
        name: Its id, which is its name.
        participant: Whom it is about, or nothing.
        parent: The tier that it depends on, or nothing.
        type: Its linguistic type.
        language: Of its texts, or nothing.
        annotations: In the order of the file.
    """

    name: str
    participant: str
    parent: str
    type: str
    language: str
    annotations: list[Annotation] = field(default_factory=list)


@dataclass(frozen=True)
class Media:
    """A linked video or sound.

    Attributes:
        url: Its address.
        relative: Its address from the file's folder on, or nothing.
        kind: MIME type.
        origin: The moment of the media in ms at which the file's time begins.
    """

    url: str
    relative: str
    kind: str
    origin: int


@dataclass
class Document:
    """All that is kept of a file.

    Attributes:
        slots: Times in ms by the ids of the time slots, in their order; None where a slot has no time.
        tiers: By name, in the order of the file.
        media: The linked media.
        types: The controlled vocabulary of each linguistic type, or nothing.
        vocabularies: Of each controlled vocabulary the texts of its entries by their ids, as (language, text).
    """

    slots: dict[str, int | None] = field(default_factory=dict)
    tiers: dict[str, Tier] = field(default_factory=dict)
    media: list[Media] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    vocabularies: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)


def read_document(path: AnyPath) -> Document:
    """Read an ELAN file of the formats 2 and 3.

    Raises:
        InputError: The file is absent, too large or damaged, no ELAN file, of another format or other units of time, or
            ids are absent or there twice; names the line.
    """
    text = read_text(path, _LIMIT)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    builder = _Builder()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(text, True)
        builder.check_complete()
    except InputError as error:
        line = f"line {parser.CurrentLineNumber}" if builder.stack else ""
        raise error.located(line, file=path) from None
    except (expat.ExpatError, ValueError) as error:
        raise InputError(f"{_NO_ELAN} ({reason(error)})", file=path) from None
    return builder.document


def _refuse_doctype(*_: object) -> None:
    raise InputError("expected an ELAN file, which declares no document type")


def _whole(text: str, name: str) -> int:
    if not _WHOLE.fullmatch(text.strip()):
        raise InputError(f"expected a whole number of milliseconds, got {short_repr(text)}", field=name)
    return int(text)


class _Builder:
    """Hears the elements one by one."""

    def __init__(self) -> None:
        self.document = Document()
        self.stack: list[str] = []
        self._tier: Tier | None = None
        self._annotation: Annotation | None = None
        self._entries: dict[str, list[tuple[str, str]]] = {}
        self._entry: list[tuple[str, str]] = []
        self._language = ""
        self._text: list[str] | None = None
        self._annotations: set[str] = set()
        self._seen: set[str] = set()
        self._starts: dict[str, Callable[[Mapping[str, str]], None]] = {
            "HEADER": self._header,
            "MEDIA_DESCRIPTOR": self._media,
            "TIME_SLOT": self._slot,
            "TIER": self._open_tier,
            "ALIGNABLE_ANNOTATION": self._open_annotation,
            "REF_ANNOTATION": self._open_annotation,
            "ANNOTATION_VALUE": self._open_value,
            "LINGUISTIC_TYPE": self._type,
            "CONTROLLED_VOCABULARY": self._vocabulary,
            "CV_ENTRY_ML": self._open_entry,
            "CVE_VALUE": self._open_value,
        }

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.stack) >= _DEPTH:
            raise InputError(f"{_NO_ELAN}: it is nested too deeply")
        if not self.stack:
            self._check_root(tag, attributes)
        elif self.stack[-1] == _ROOT:
            self._seen.add(tag)
        self.stack.append(tag)
        known = self._starts.get(tag)
        if known is not None:
            known(attributes)

    def end(self, tag: str) -> None:
        self.stack.pop()
        if tag == "ANNOTATION_VALUE" and self._annotation is not None and self._text is not None:
            self._annotation.text, self._text = "".join(self._text), None
        elif tag == "CVE_VALUE" and self._text is not None:
            self._entry.append((self._language, "".join(self._text)))
            self._text = None

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def check_complete(self) -> None:
        if missing := [tag for tag in ("HEADER", "TIME_ORDER") if tag not in self._seen]:
            raise InputError(f"{_NO_ELAN}: it lacks {' and '.join(missing)}")

    def _check_root(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag != _ROOT:
            raise InputError(f"{_NO_ELAN}: expected {_ROOT} at the top, got {short_repr(tag)}")
        version = attributes.get("FORMAT", "3.0").strip()
        if not _FORMATS.fullmatch(version):
            fix = "Save it in ELAN as EAF 3.0 or 2.8."
            raise InputError(f"expected the EAF format 2 or 3, got {short_repr(version)}", field="FORMAT", fix=fix)

    def _header(self, attributes: Mapping[str, str]) -> None:
        units = attributes.get("TIME_UNITS", "milliseconds").strip()
        if units.casefold() != "milliseconds":
            fix = "Open it in ELAN, look whether the annotations lie where they belong, and save it anew."
            raise InputError(f"expected times in milliseconds, got {short_repr(units)}", field="TIME_UNITS", fix=fix)
        # Of the first versions, which have no MEDIA_DESCRIPTOR.
        if old := attributes.get("MEDIA_FILE", "").strip():
            self.document.media.append(Media(old, "", "", 0))

    def _media(self, attributes: Mapping[str, str]) -> None:
        if self.stack[-2:-1] != ["HEADER"]:
            return
        origin = _whole(attributes.get("TIME_ORIGIN", "0"), "TIME_ORIGIN")
        names = ("MEDIA_URL", "RELATIVE_MEDIA_URL", "MIME_TYPE")
        url, relative, kind = (attributes.get(name, "").strip() for name in names)
        self.document.media.append(Media(url, relative, kind, origin))

    def _slot(self, attributes: Mapping[str, str]) -> None:
        name = _needed(attributes, "TIME_SLOT_ID")
        if name in self.document.slots:
            raise InputError(f"the time slot {short_repr(name)} is there twice")
        value = attributes.get("TIME_VALUE", "").strip()
        self.document.slots[name] = _whole(value, "TIME_VALUE") if value else None

    def _open_tier(self, attributes: Mapping[str, str]) -> None:
        name = _needed(attributes, "TIER_ID")
        if name in self.document.tiers:
            raise InputError(f"the tier {short_repr(name)} is there twice")
        keys = ("PARTICIPANT", "PARENT_REF", "LINGUISTIC_TYPE_REF", "LANG_REF")
        participant, parent, kind, language = (attributes.get(key, "") for key in keys)
        self._tier = self.document.tiers[name] = Tier(name, participant, parent, kind, language)

    def _open_annotation(self, attributes: Mapping[str, str]) -> None:
        name = _needed(attributes, "ANNOTATION_ID")
        if self._tier is None:
            raise InputError(f"the annotation {short_repr(name)} lies in no tier")
        if name in self._annotations:
            raise InputError(f"the annotation {short_repr(name)} is there twice")
        self._annotations.add(name)
        aligned = self.stack[-1] == "ALIGNABLE_ANNOTATION"
        slots = (_needed(attributes, "TIME_SLOT_REF1"), _needed(attributes, "TIME_SLOT_REF2")) if aligned else None
        parent = "" if aligned else _needed(attributes, "ANNOTATION_REF")
        previous, entry, language = (attributes.get(key, "") for key in ("PREVIOUS_ANNOTATION", "CVE_REF", "LANG_REF"))
        self._annotation = Annotation(name, slots, parent, previous, entry, language)
        self._tier.annotations.append(self._annotation)

    def _open_value(self, attributes: Mapping[str, str]) -> None:
        self._language, self._text = attributes.get("LANG_REF", ""), []

    def _type(self, attributes: Mapping[str, str]) -> None:
        name = _needed(attributes, "LINGUISTIC_TYPE_ID")
        self.document.types[name] = attributes.get("CONTROLLED_VOCABULARY_REF", "")

    def _vocabulary(self, attributes: Mapping[str, str]) -> None:
        self._entries = self.document.vocabularies[_needed(attributes, "CV_ID")] = {}

    def _open_entry(self, attributes: Mapping[str, str]) -> None:
        self._entry = self._entries[_needed(attributes, "CVE_ID")] = []


def _needed(attributes: Mapping[str, str], name: str) -> str:
    value = attributes.get(name, "")
    if not value:
        raise InputError(f"{name} is absent")
    return value
