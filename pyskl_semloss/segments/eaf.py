"""Segments as an ELAN file (EAF 3.0), and annotations made in ELAN read back, through pympi."""

from __future__ import annotations

import mimetypes
import os
import warnings
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.files import atomic_path
from pyskl_semloss.reading import read_text, reason
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.segments.segmentation import Segmentation

AnyPath = str | os.PathLike[str]
VOCABULARY, _GESTURE, _NOTE = "gestures", "gesture", "confidence"
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
        fix = "Install it with pip install 'pyskl_semloss[elan]', or take another format."
        raise InputError("ELAN files need the package pympi-ling", field="format", fix=fix) from None
    return pympi


def tier_name(person: int) -> str:
    """The tier of a person, counted from 1 in the name."""
    return f"person {person + 1}"


def write_eaf(segmentation: Segmentation, path: AnyPath) -> None:
    """Write a tier for each person, whose annotations are the class names, and one with the confidences below it.

    The names are a controlled vocabulary, so that ELAN offers all of them for corrections. A video is linked relative
    to the file.

    Raises:
        InputError: pympi is missing, or the file cannot be written.
    """
    eaf = import_pympi().Eaf(author="pyskl_semloss")
    eaf.adocument.update(VERSION="3.0", FORMAT="3.0", **{"xsi:noNamespaceSchemaLocation": _SCHEMA})
    eaf.header.update(MEDIA_FILE="", TIME_UNITS="milliseconds")
    _link_video(eaf, segmentation.video, Path(path))
    _add_types(eaf, segmentation.class_names or sorted({one.name for one in segmentation.segments}))
    for person in segmentation.persons or (0,):
        eaf.add_tier(tier_name(person), _GESTURE, part=tier_name(person), ann="pyskl_semloss")
        eaf.add_tier(f"{tier_name(person)} confidence", _NOTE, parent=tier_name(person), ann="pyskl_semloss")
    eaf.remove_tier("default")
    eaf.remove_linguistic_type("default-lt")
    for start, end, one in segmentation.in_milliseconds():
        tier = tier_name(one.person)
        eaf.add_annotation(tier, start, end, one.name)
        # Not add_ref_annotation, which looks for the annotation among all from the first on.
        number = eaf.generate_annotation_id()
        eaf.tiers[f"{tier} confidence"][1][number] = (f"a{eaf.maxaid - 1}", f"{one.confidence:.2f}", None, None)
    _order_times(eaf)
    eaf.properties = [("lastUsedAnnotationId", eaf.maxaid)]
    with atomic_path(path) as temporary:
        # pympi would move a file that is there aside.
        os.unlink(temporary)
        eaf.to_file(temporary)


def _link_video(eaf: Any, video: str, path: Path) -> None:
    if not video:
        return
    absolute = Path(video).resolve()
    kind = mimetypes.guess_type(absolute.name)[0] or "application/octet-stream"
    try:
        relative = Path(os.path.relpath(absolute, path.resolve().parent)).as_posix()
    except ValueError:
        # On another drive.
        relative = None
    link = relative if relative is None or relative.startswith("../") else f"./{relative}"
    eaf.add_linked_file(absolute.as_uri(), relpath=link, mimetype=kind)


def _add_types(eaf: Any, names: Any) -> None:
    eaf.add_language(*_LANGUAGE)
    eaf.add_controlled_vocabulary(VOCABULARY)
    for number, name in enumerate(names):
        eaf.add_cv_entry(VOCABULARY, f"class{number}", [(name, _LANGUAGE[0], None)])
    eaf.add_linguistic_type(_GESTURE)
    eaf.linguistic_types[_GESTURE]["CONTROLLED_VOCABULARY_REF"] = VOCABULARY
    eaf.add_linguistic_type(_NOTE, constraints="Symbolic_Association", timealignable=False)


def _order_times(eaf: Any) -> None:
    """Number the time slots in the order of time, which is then their order in the file, as the format demands."""
    ordered = sorted(eaf.timeslots, key=lambda slot: (eaf.timeslots[slot], int(slot[2:])))
    new = {slot: f"ts{number}" for number, slot in enumerate(ordered, 1)}
    eaf.timeslots = {new[slot]: eaf.timeslots[slot] for slot in ordered}
    for aligned, *_ in eaf.tiers.values():
        for number, (start, end, *rest) in aligned.items():
            aligned[number] = (new[start], new[end], *rest)


def read_eaf(path: AnyPath) -> Segmentation:
    """Read annotations from the tiers of an ELAN file, each tier a person, in the order of the file.

    Tiers that depend on others are left out, and so are empty annotations. Confidences are 1.

    Raises:
        InputError: The file is absent or no ELAN file, or annotations of a tier overlap.
    """
    text = read_text(path)
    # Entities may unfold without an end; ELAN writes none.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError("expected an ELAN file, which declares no document type", file=path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eaf = import_pympi().Eaf(os.fspath(path), suppress_version_warning=True)
            tiers = [name for name in eaf.get_tier_names() if not eaf.tiers[name][1] and not _parent(eaf, name)]
            found = [(person, *one[:3]) for person, tier in enumerate(tiers) for one in _annotations(eaf, tier)]
        segments = [
            Segment(a / 1000, b / 1000, str(name), person=who) for who, a, b, name in found if str(name).strip()
        ]
        return Segmentation(tuple(segments), name=Path(path).stem)
    except InputError as error:
        raise error.located(file=path) from None
    except Exception as error:
        # Whatever ElementTree and pympi raise on what is no such file.
        raise InputError(f"it cannot be read as an ELAN file ({reason(error)})", file=path) from None


def _parent(eaf: Any, tier: str) -> str | None:
    return eaf.tiers[tier][2].get("PARENT_REF")


def _annotations(eaf: Any, tier: str) -> list[tuple[int, int, str]]:
    return sorted((start, end, value or "") for start, end, value, *_ in eaf.get_annotation_data_for_tier(tier))
