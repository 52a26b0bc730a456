"""Registry of raw data sets; own ones are YAML or JSON."""

from __future__ import annotations

import os
from dataclasses import MISSING, fields
from pathlib import Path

from pyskl_semloss.datasets.raw_format import RawFormat, check_values, wrong_format
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.fields import SUFFIXES, compare_fields, is_fields_file, read_fields
from pyskl_semloss.io.reading import did_you_mean, short_repr
from pyskl_semloss.skeletons import get_layout

# OpenPose's BODY_25 and two groups of five finger points. Gesture 99 is the non-gesture class, which is 32, too.
IMIGUE = RawFormat(
    name="iMiGUE",
    skeleton_suffix="_light_hand.csv",
    label_suffix="_label.csv",
    layout=get_layout("openpose22"),
    columns=106,
    leading_columns=1,
    values=("x", "y", "score"),
    points=(*range(8), *range(15, 19), *range(25, 35)),
    num_classes=32,
    other_gestures={99: 31},
    img_shape=(1080, 1920),
    video_name="{digits}",
    val_fraction=0.06,
)
# The kit numbers samples with four digits and puts nothing between sample and row.
SMG = RawFormat(
    name="SMG",
    skeleton_suffix="_skeleton.csv",
    label_suffix="_finelabels.csv",
    layout=get_layout("kinect25"),
    columns=275,
    values=("X", "Y", "Z", "quat_x", "quat_y", "quat_z", "quat_w", "x", "y", "other_1", "other_2"),
    num_classes=17,
    img_shape=(1080, 1920),
    clip_separator="",
    video_name="Sample{digits}",
    kit_video_name="Sample{digits:4}",
    units="kinect",
    subjects=tuple(range(1, 41)),
    test_subjects=tuple(range(36, 41)),
)
FORMATS = {"imigue": IMIGUE, "smg": SMG}
"""The data sets by their commands: ``imigue`` for the raw form, ``imigue-kit`` for the arrays of the challenge kit."""


def get_format(spec: str | RawFormat) -> RawFormat:
    """Raw data set by its name in :data:`FORMATS` or its file.

    Raises:
        InputError: There is no such data set, or the file has mistakes; lists them all.
        HostError: The file is YAML, and PyYAML is not installed.
    """
    if isinstance(spec, RawFormat):
        return spec
    if spec in FORMATS:
        return FORMATS[spec]
    if is_fields_file(spec):
        return read_format(spec)
    fix = f"Known are {', '.join(FORMATS)}; another one is given by a file that ends in {', '.join(SUFFIXES)}."
    raise InputError(
        f"there is no raw data set {short_repr(spec)}{did_you_mean(spec, FORMATS)}", field="format", fix=fix
    )


def read_format(path: str | os.PathLike[str]) -> RawFormat:
    """Raw data set from a YAML or JSON file.

    The file has the fields of :class:`RawFormat`. A file name in the field ``layout`` is relative to its folder.

    Raises:
        InputError: The file cannot be read, or has mistakes; lists them all.
        HostError: The file is YAML, and PyYAML is not installed.
    """
    values = dict(read_fields(path, "raw data set", "name, skeleton_suffix, label_suffix, layout, columns, …"))
    layout = values.get("layout")
    if isinstance(layout, str) and is_fields_file(layout):
        values["layout"] = Path(path).parent / layout
    missing, unknown = compare_fields(RawFormat, values)
    field_names = [field.name for field in fields(RawFormat)]
    defaults = {field.name: field.default for field in fields(RawFormat) if field.default is not MISSING}
    mistakes = [f"{name}: it is missing" for name in missing]
    mistakes += [f"{short_repr(name)}: there is no such field{did_you_mean(name, field_names)}" for name in unknown]
    mistakes += check_values(defaults | {name: values[name] for name in field_names if name in values})[1]
    if mistakes:
        raise wrong_format(mistakes).located(file=path)
    raw = RawFormat(**values)
    if any(raw.name.casefold() == other.name.casefold() and raw != other for other in FORMATS.values()):
        problem = f"{short_repr(raw.name)} is the name of another data set"
        raise InputError(problem, file=path, field="name", fix="Give an own data set an own name.")
    return raw


def command_of(raw: RawFormat, form: str) -> str:
    """Conversion command of a data set; ``form`` is ``"raw"`` or ``"kit"``."""
    command = next((key for key, other in FORMATS.items() if other == raw), None)
    if command is None:
        return form
    return command if form == "raw" else f"{command}-{form}"
