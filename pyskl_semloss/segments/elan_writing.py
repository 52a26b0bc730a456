"""Segments as an ELAN file (EAF 3.0), written by pympi."""

from __future__ import annotations

import mimetypes
import os
import warnings
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import AnyPath, first_forbidden_character, short_repr
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.io.results import result_path
from pyskl_semloss.segments.elan_reading import CONFIDENCE
from pyskl_semloss.segments.segment import Segmentation

VOCABULARY, _GESTURE = "gestures", "gesture"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_LANGUAGE = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")


def import_pympi() -> Any:
    """The library that knows the format.

    Raises:
        InputError: It is not installed.
    """
    try:
        # It imports a module of the standard library under an old name.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import pympi
    except ImportError:
        fix = f"Install it with {pip_install('elan')}, or take another format."
        raise InputError("ELAN files need the package pympi-ling", field="format", fix=fix) from None
    return pympi


def tier_name(person: int) -> str:
    """The tier of a person, counted from 1 in the name."""
    return f"person {person + 1}"


def write_eaf(segmentation: Segmentation, path: AnyPath) -> None:
    """Write an ELAN file with tiers of names and confidences per person.

    The names are a controlled vocabulary, so that ELAN offers all of them for corrections. A video is linked relative
    to the file; one that is not here and is known by its name alone, as if it lay beside the file.
    :func:`pyskl_semloss.segments.elan_reading.read_eaf` reads the same segments back.

    Raises:
        InputError: pympi is missing, or the file cannot be written.
    """
    eaf = import_pympi().Eaf(author="pyskl_semloss")
    eaf.adocument.update(VERSION="3.0", FORMAT="3.0", **{"xsi:noNamespaceSchemaLocation": _SCHEMA})
    eaf.header.update(MEDIA_FILE="", TIME_UNITS="milliseconds")
    _link_video(eaf, segmentation.video, Path(path))
    _add_types(eaf, segmentation.class_names or sorted({segment.name for segment in segmentation.segments}))
    for person in segmentation.persons or (0,):
        eaf.add_tier(tier_name(person), _GESTURE, part=tier_name(person), ann="pyskl_semloss")
        eaf.add_tier(f"{tier_name(person)} confidence", CONFIDENCE, parent=tier_name(person), ann="pyskl_semloss")
    eaf.remove_tier("default")
    eaf.remove_linguistic_type("default-lt")
    for start, end, segment in segmentation.in_milliseconds():
        tier = tier_name(segment.person)
        eaf.add_annotation(tier, start, end, segment.name)
        # Not add_ref_annotation, which looks for the annotation among all from the first on.
        number = eaf.generate_annotation_id()
        eaf.tiers[f"{tier} confidence"][1][number] = (f"a{eaf.maxaid - 1}", f"{segment.confidence:.2f}", None, None)
    _order_times(eaf)
    eaf.properties = [("lastUsedAnnotationId", eaf.maxaid)]
    with result_path(path) as temporary:
        # pympi would move a file that is there aside.
        os.unlink(temporary)
        eaf.to_file(temporary)


def _link_video(eaf: Any, video: str, path: Path) -> None:
    """Link a video.

    A name alone that is not here is taken to lie beside the file, where ELAN looks for it.
    """
    if not video:
        return
    folder = path.resolve().parent
    there = os.path.isfile(video)
    if not there and first_forbidden_character(video) is not None:
        raise InputError(f"a video of the name {short_repr(video)} cannot be linked", file=path, field="video")
    absolute = Path(video).resolve() if there or os.path.dirname(video) else folder / video
    kind = mimetypes.guess_type(absolute.name)[0] or "application/octet-stream"
    eaf.add_linked_file(absolute.as_uri(), relpath=_relative(absolute, folder), mimetype=kind)


def _relative(absolute: Path, folder: Path) -> str | None:
    try:
        relative = Path(os.path.relpath(absolute, folder)).as_posix()
    except ValueError:
        # On another drive.
        return None
    if first_forbidden_character(relative) is not None:
        return None
    return relative if relative.startswith("../") else f"./{relative}"


def _add_types(eaf: Any, names: Any) -> None:
    eaf.add_language(*_LANGUAGE)
    eaf.add_controlled_vocabulary(VOCABULARY)
    for number, name in enumerate(names):
        eaf.add_cv_entry(VOCABULARY, f"class{number}", [(name, _LANGUAGE[0], None)])
    eaf.add_linguistic_type(_GESTURE)
    eaf.linguistic_types[_GESTURE]["CONTROLLED_VOCABULARY_REF"] = VOCABULARY
    eaf.add_linguistic_type(CONFIDENCE, constraints="Symbolic_Association", timealignable=False)


def _order_times(eaf: Any) -> None:
    """Number the time slots in the order of time, as EAF demands."""
    ordered = sorted(eaf.timeslots, key=lambda slot: (eaf.timeslots[slot], int(slot[2:])))
    new = {slot: f"ts{number}" for number, slot in enumerate(ordered, 1)}
    eaf.timeslots = {new[slot]: eaf.timeslots[slot] for slot in ordered}
    for aligned, *_ in eaf.tiers.values():
        for number, (start, end, *rest) in aligned.items():
            aligned[number] = (new[start], new[end], *rest)
