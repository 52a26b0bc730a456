"""Description of a raw data set, also as a YAML file."""

from __future__ import annotations

import functools
import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean, first_forbidden_character, short_repr
from pyskl_semloss.io.resources import documentation
from pyskl_semloss.skeletons import SkeletonLayout, get_layout

UNITS = ("px", "kinect")
MOST_COLUMNS, MOST_CLASSES, MOST_NUMBERS, LARGEST = 4_096, 10_000, 10_000, 999_999
"""Columns of a skeleton file, classes, numbers in a list, and the largest number of a gesture or subject."""
LONGEST_IMAGE_SIDE = 65_535
_LONGEST_TEXT, _LONGEST_NAME, _MOST_FIELDS = 100, 255, 3
_FIELD = re.compile(r"\{digits(?::([1-9]))?\}")
_SPAN = re.compile(r"\s*([0-9]{1,6})\s*-\s*([0-9]{1,6})\s*")


@dataclass(frozen=True)
class RawFormat:
    """A raw data set as it is distributed; all mistakes in it are told at once.

    A video is a folder with two files: ``<video><skeleton_suffix>``, a row a frame, and ``<video><label_suffix>``, a
    row ``gesture,start,end`` a clip, with frames counted from 0 and the end in the clip. Lists are turned into tuples,
    and a text such as ``"0-7"`` in a list of numbers stands for all from the first to the last.

    Attributes:
        name: Name of the data set.
        skeleton_suffix: End of the name of the skeleton file.
        label_suffix: End of the name of the label file.
        layout: The V joints; a name, a file or fields of :func:`pyskl_semloss.skeletons.get_layout` are turned into it.
        columns: Columns of the skeleton file.
        values: The columns of a point: ``"x"`` and ``"y"`` in px, and ``"score"``; others are not read. Without a score
            it is 1, and 0 where x and y are (0, 0) or no number.
        num_classes: Number of classes.
        img_shape: (height, width) in px.
        leading_columns: Columns before the first point. Those behind the last whole point are not read.
        points: (V,) the points that are the joints, counted from 0, in the order of the layout; empty: all of the file.
        skeleton_header: Whether skeleton files begin with a row of titles.
        label_header: Whether label files do.
        first_gesture: The number of the gesture that is class 0; the next is class 1, and so on.
        other_gestures: Further numbers of gestures, and their classes.
        clip_separator: What stands between video and row of the label file in the id of a clip.
        video_name: Template of the names of videos, such as ``"Sample{digits}"``: folders that are named so and have
            neither file are counted. Empty: they are not.
        kit_video_name: Template of the video in the clip ids of a challenge kit, such as ``"Sample{digits:4}"``, where
            no separator tells where it ends.
        units: ``"kinect"`` where the arrays of a kit may hold the Kinect's metres, which are refused, else ``"px"``.
        subjects: Numbers of the subjects, where the number at the end of a video's name is its subject.
        test_subjects: Those of the official test set.
        val_fraction: Share of the training videos or subjects that validate, if nothing says.

    Raises:
        InputError: Lists the fields that are wrong.
    """

    name: str
    skeleton_suffix: str
    label_suffix: str
    layout: SkeletonLayout
    columns: int
    values: tuple[str, ...]
    num_classes: int
    img_shape: tuple[int, int]
    leading_columns: int = 0
    points: tuple[int, ...] = ()
    skeleton_header: bool = False
    label_header: bool = False
    first_gesture: int = 1
    other_gestures: Mapping[int, int] = field(default_factory=dict)
    clip_separator: str = "_"
    video_name: str = ""
    kit_video_name: str = ""
    units: str = "px"
    subjects: tuple[int, ...] = ()
    test_subjects: tuple[int, ...] = ()
    val_fraction: float = 0.0

    def __post_init__(self) -> None:
        checked, mistakes = check_values({each.name: getattr(self, each.name) for each in fields(self)})
        if mistakes:
            raise wrong_format(mistakes)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return self.layout.num_joints

    @functools.cached_property
    def classes(self) -> dict[int, int]:
        """Gesture number to class."""
        return {**{self.first_gesture + label: label for label in range(self.num_classes)}, **self.other_gestures}

    def columns_of(self, value: str) -> list[int]:
        """(V,) the columns of a value, counted from 0, joint by joint."""
        first = self.leading_columns + self.values.index(value)
        return [first + len(self.values) * point for point in self.points or range(self.num_joints)]

    def is_video(self, name: str) -> bool:
        """Test whether a folder is named like a video."""
        return bool(self.video_name) and _matches(self.video_name, name) is not None

    def video_of_clip(self, clip: str) -> str | None:
        """Video in a clip id, or None if the id is foreign.

        Example:
            ``"0012"`` of ``"0012_7"``, or ``"Sample0012"`` of ``"Sample00127"``.
        """
        if self.kit_video_name:
            match = _matches(self.kit_video_name, clip, rest="[0-9]+")
            return match[1] if match else None
        return video_before(clip, self.clip_separator)


def video_before(clip: str, separator: str) -> str | None:
    """Text before the last separator, if a number follows it."""
    video, _, row = clip.rpartition(separator)
    return video if video and row.isascii() and row.isdecimal() else None


def check_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Valid values in the types of :class:`RawFormat`, and the mistakes.

    Args:
        values: Some or all fields of :class:`RawFormat`.
    """
    checked: dict[str, Any] = {}
    mistakes = []
    for name, value in values.items():
        try:
            checked[name] = _CHECKS[name](value)
        except InputError as error:
            mistakes.append(f"{name}: {str(error).rstrip('.')}")
    for rule in (_check_suffixes, _check_points, _check_gestures, _check_clip_ids, _check_subjects):
        names = inspect.signature(rule).parameters
        if names.keys() <= checked.keys() and (problem := rule(**{name: checked[name] for name in names})):
            mistakes.append(problem)
    return checked, mistakes


def wrong_format(mistakes: list[str]) -> InputError:
    """Error that lists the mistakes."""
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    fix = f"See 'Another raw data set' in {documentation('conversion')} for an example and all fields."
    return InputError(f"the description of a raw data set has {count}", items=mistakes, fix=fix)


def _check_suffixes(skeleton_suffix: str, label_suffix: str) -> str | None:
    same = skeleton_suffix == label_suffix
    return f"label_suffix: it is the same as skeleton_suffix, {short_repr(label_suffix)}" if same else None


def _check_points(
    columns: int, leading_columns: int, values: tuple[str, ...], points: tuple[int, ...], layout: SkeletonLayout
) -> str | None:
    num_points = (columns - leading_columns) // len(values)
    if num_points < 1:
        return f"columns: {columns} are too few for {leading_columns} leading ones and a point of {len(values)}"
    if points and max(points) >= num_points:
        return f"points: there is no point {max(points)}, the columns are of the points 0 to {num_points - 1}"
    if repeated := [point for point, times in Counter(points).items() if times > 1]:
        return f"points: {short_repr(repeated)} more than once"
    number, joints = len(points) or num_points, layout.num_joints
    if number != joints:
        return f"points: {number} points for the {joints} joints of the layout {short_repr(layout.name)}"
    return None


def _check_gestures(num_classes: int, first_gesture: int, other_gestures: Mapping[int, int]) -> str | None:
    last = first_gesture + num_classes - 1
    for gesture, label in other_gestures.items():
        if first_gesture <= gesture <= last:
            return f"other_gestures: {gesture} is one of the gestures {first_gesture} to {last}"
        if label >= num_classes:
            return f"other_gestures: expected a class from 0 to {num_classes - 1} for {gesture}, got {label}"
    return None


def _check_clip_ids(clip_separator: str, kit_video_name: str) -> str | None:
    if clip_separator or kit_video_name:
        return None
    return "kit_video_name: it is needed where clip_separator is empty, or the video of a clip could not be told"


def _check_subjects(subjects: tuple[int, ...], test_subjects: tuple[int, ...]) -> str | None:
    if extra := sorted(set(test_subjects) - set(subjects)):
        return f"test_subjects: {short_repr(extra)} are not among the subjects"
    if subjects and (not test_subjects or set(test_subjects) == set(subjects)):
        return "test_subjects: expected some of the subjects, and not all"
    return None


def _text(value: object, *, longest: int = _LONGEST_TEXT, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty) or len(value) > longest:
        raise InputError(f"expected text of {0 if empty else 1} to {longest} characters, got {short_repr(value)}")
    if (character := first_forbidden_character(value)) is not None:
        raise InputError(f"it holds the character {character}")
    return value


def _suffix(value: object) -> str:
    text = _text(value)
    if set(text) & set("/\\"):
        raise InputError(f"expected the end of a file's name, got {short_repr(text)}")
    return text


def _separator(value: object) -> str:
    text = _text(value, longest=8, empty=True)
    if any(letter.isdecimal() or letter.isspace() or letter in "/\\" for letter in text):
        raise InputError(f"expected no digit, blank or slash, got {short_repr(text)}")
    return text


def _whole(value: object, least: int = 0, most: int = LARGEST) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"expected a whole number from {least} to {most}, got {short_repr(value)}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"expected true or false, got {short_repr(value)}")
    return value


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise InputError(f"expected a share from 0 to below 1, got {short_repr(value)}")
    return float(value)


def _unit(value: object) -> str:
    if value not in UNITS:
        raise InputError(f"expected {' or '.join(UNITS)}, got {short_repr(value)}")
    return str(value)


def _point_values(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= MOST_COLUMNS:
        raise InputError(f"expected a list of columns, such as [x, y, score], got {short_repr(value)}")
    names = tuple(_text(name) for name in value)
    for name, least in (("x", 1), ("y", 1), ("score", 0)):
        if not least <= names.count(name) <= 1:
            raise InputError(f"expected {name!r} once, got {short_repr(list(names))}{did_you_mean(name, names)}")
    return names


def _image(value: object) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise InputError(f"expected [height, width] in px, got {short_repr(value)}")
    height, width = (_whole(side, 1, LONGEST_IMAGE_SIDE) for side in value)
    return height, width


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MOST_NUMBERS:
        raise InputError(f"expected a list of numbers, such as [0-7, 15], got {short_repr(value)}")
    numbers: list[int] = []
    for each in value:
        span = _SPAN.fullmatch(each) if isinstance(each, str) else None
        first, last = (int(span[1]), int(span[2])) if span else (_whole(each),) * 2
        if first > last or len(numbers) + last - first >= MOST_NUMBERS:
            raise InputError(f"expected at most {MOST_NUMBERS} numbers, upwards, got {short_repr(each)}")
        numbers.extend(range(first, last + 1))
    return tuple(numbers)


def _class_of_gesture(value: object) -> dict[int, int]:
    if not isinstance(value, Mapping) or len(value) > MOST_CLASSES:
        raise InputError(f"expected gestures with their classes, such as {{99: 31}}, got {short_repr(value)}")
    # The keys of JSON are text.
    keys = [int(key) if isinstance(key, str) and re.fullmatch("[0-9]{1,6}", key) else key for key in value]
    return {_whole(key): _whole(label) for key, label in zip(keys, value.values(), strict=True)}


def _template(value: object, *, fixed: bool = False) -> str:
    text = _text(value, empty=True)
    if text:
        _pattern(text)
    if fixed and "{digits}" in text:
        raise InputError(f"expected the number of digits, such as Sample{{digits:4}}, got {short_repr(text)}")
    return text


@functools.cache
def _pattern(template: str, rest: str = "") -> re.Pattern[str]:
    """Regular expression of a template.

    The template's text is escaped: a user's own expression may take endless time.
    """
    pieces = _FIELD.split(template)
    literals, widths = pieces[::2], pieces[1::2]
    if len(widths) > _MOST_FIELDS or any(brace in literal for literal in literals for brace in "{}"):
        problem = f"expected text with up to {_MOST_FIELDS} numbers, such as Sample{{digits}} or Sample{{digits:4}}"
        raise InputError(f"{problem}, got {short_repr(template)}")
    digits = [f"[0-9]{{{width}}}" if width else "[0-9]+" for width in widths]
    parts = [digit + re.escape(literal) for digit, literal in zip(digits, literals[1:], strict=True)]
    return re.compile(f"({re.escape(literals[0])}{''.join(parts)}){rest}")


def _matches(template: str, name: str, rest: str = "") -> re.Match[str] | None:
    return _pattern(template, rest).fullmatch(name) if len(name) <= _LONGEST_NAME else None


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _text,
    "skeleton_suffix": _suffix,
    "label_suffix": _suffix,
    "layout": get_layout,
    "columns": functools.partial(_whole, least=2, most=MOST_COLUMNS),
    "values": _point_values,
    "num_classes": functools.partial(_whole, least=1, most=MOST_CLASSES),
    "img_shape": _image,
    "leading_columns": functools.partial(_whole, most=MOST_COLUMNS),
    "points": _numbers,
    "skeleton_header": _flag,
    "label_header": _flag,
    "first_gesture": _whole,
    "other_gestures": _class_of_gesture,
    "clip_separator": _separator,
    "video_name": _template,
    "kit_video_name": functools.partial(_template, fixed=True),
    "units": _unit,
    "subjects": _numbers,
    "test_subjects": _numbers,
    "val_fraction": _share,
}
