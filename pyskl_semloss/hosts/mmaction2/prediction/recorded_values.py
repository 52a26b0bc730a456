"""Kinds of allowed values in a recorded config, checked before anything is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean, short_repr
from pyskl_semloss.skeletons import get_layout, is_layout_file

_MOST_JOINTS, _MOST_LIMBS = 1024, 4096
# mmengine's key for the registry of a type; the allowed types need none.
_SCOPE = "_scope_"


@dataclass(eq=False)
class Kind:
    """Kind of a value.

    Attributes:
        expected: Description for messages.
        fits: Predicate of a value.
    """

    expected: str
    fits: Callable[[Any], bool]

    def take(self, value: Any, field: str) -> Any:
        """Return the checked value.

        Args:
            value: The value.
            field: Its dotted key, for messages.

        Raises:
            InputError: The value is of another kind.
        """
        if not self.fits(value):
            raise InputError(f"expected {self.expected}, got {short_repr(value)}", field=field)
        return value


def whole(lowest: int, highest: int) -> Kind:
    """Kind of whole numbers from ``lowest`` to ``highest``."""
    return Kind(
        f"a whole number from {lowest} to {highest}", lambda value: type(value) is int and lowest <= value <= highest
    )


def number(lowest: float, highest: float) -> Kind:
    """Kind of finite numbers from ``lowest`` to ``highest``."""

    def fits(value: Any) -> bool:
        return type(value) in (int, float) and lowest <= value <= highest and math.isfinite(value)

    return Kind(f"a number from {lowest:g} to {highest:g}", fits)


def above_0(highest: float) -> Kind:
    """Kind of numbers above 0, up to ``highest``."""
    limited = number(0, highest)
    return Kind(f"a number above 0, up to {highest:g}", lambda value: limited.fits(value) and value > 0)


def one_of(*values: Any) -> Kind:
    """Kind of the given values, compared with their types: 1 is not True."""
    known = {(type(value), value) for value in values}
    plain = (str, int, bool, type(None))
    fits = lambda value: type(value) in plain and (type(value), value) in known  # noqa: E731
    return Kind(" or ".join(map(repr, values)), fits)


flag = one_of(True, False)
text = Kind("a text of at most 200 characters", lambda value: type(value) is str and len(value) <= 200)


def several(item: Kind, least: int, most: int) -> Kind:
    """Kind of lists of ``least`` to ``most`` plain values."""
    count = f"{least}" if least == most else f"{least} to {most}"

    def fits(value: Any) -> bool:
        return type(value) in (list, tuple) and least <= len(value) <= most and all(map(item.fits, value))

    return Kind(f"a list of {count} times {item.expected}", fits)


def either(*kinds: Kind) -> Kind:
    """Kind of plain values of any of several kinds."""
    return Kind(", or ".join(kind.expected for kind in kinds), lambda value: any(kind.fits(value) for kind in kinds))


class _Optional(Kind):
    def __init__(self, kind: Kind) -> None:
        super().__init__(f"{kind.expected}, or None", lambda value: value is None or kind.fits(value))
        self.kind = kind

    def take(self, value: Any, field: str) -> Any:
        """None, or the value taken by the inner kind."""
        return super().take(value, field) if value is None else self.kind.take(value, field)


def optional(kind: Kind) -> Kind:
    """Kind of None and of the values of another kind."""
    return _Optional(kind)


class _Unread(Kind):
    """Setting that prediction drops."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return "type" not in value and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, (list, tuple)) else True


unread = _Unread("plain values without a type", _is_plain)
unbuilt = _Unread("anything", lambda value: True)


class _Skeleton(Kind):
    def take(self, value: Any, field: str) -> Any:
        """Return a layout's name or fields; a path in a recorded config is not opened."""
        super().take(value, field)
        if isinstance(value, str) and is_layout_file(value):
            raise InputError(f"the layout file {short_repr(value)} is named by a record and not opened", field=field)
        if isinstance(value, dict):
            for key, most in (("joints", _MOST_JOINTS), ("limbs", _MOST_LIMBS), ("mirror_pairs", _MOST_JOINTS)):
                if isinstance(value.get(key), (list, tuple)) and len(value[key]) > most:
                    raise InputError(f"expected at most {most} {key}, got {len(value[key])}", field=field)
        try:
            get_layout(value, files=False)
        except InputError as error:
            # Layouts have fields of their own.
            raise error.replace(field=field) from None
        return value


skeleton = _Skeleton("a layout's name or its fields", lambda value: type(value) in (str, dict))


class Part(Kind):
    """Kind of config entries that the host builds: dicts with a type.

    Args:
        types: Allowed arguments and their kinds, for each allowed type.
    """

    def __init__(self, types: Mapping[str, Mapping[str, Kind]]) -> None:
        super().__init__(f"a dict of type {' or '.join(types)}", lambda value: type(value) is dict)
        self.types = types

    def take(self, value: Any, field: str) -> dict[str, Any]:
        """Return the entry without unread settings.

        Raises:
            InputError: The type or an argument is unknown, or a value is of another kind.
        """
        super().take(value, field)
        kind = value.get("type")
        if type(kind) is not str or kind not in self.types:
            problem = f"the type {short_repr(kind)} is not built from a record, only {', '.join(self.types)}"
            raise InputError(problem, field=f"{field}.type")
        return {"type": kind, **take_known(value, {"type": text, **self.types[kind]}, field, kind)}


def take_known(value: Mapping[Any, Any], known: Mapping[str, Kind], field: str, whose: str) -> dict[str, Any]:
    """Checked settings of a dict, without unread ones.

    Args:
        value: The dict.
        known: Allowed names and the kinds of their values.
        field: Dotted key of the dict, for messages.
        whose: Owner of the settings, for messages.

    Raises:
        InputError: A name is unknown, or a value is of another kind.
    """
    for key in value:
        if key != _SCOPE and (type(key) is not str or key not in known):
            near = did_you_mean(key, known) if type(key) is str else ""
            raise InputError(
                f"{short_repr(key)} is no setting of {whose} that is read from a record{near}", field=field
            )
    taken = {key: known[key].take(value[key], f"{field}.{key}") for key in value if key != _SCOPE}
    return {key: setting for key, setting in taken.items() if not isinstance(known[key], _Unread)}


class Parts(Kind):
    """Kind of lists of config entries.

    Args:
        part: Kind of each entry.
        most: Largest number of entries.
    """

    def __init__(self, part: Part, most: int) -> None:
        super().__init__(
            f"a list of 1 to {most} parts", lambda value: type(value) in (list, tuple) and 1 <= len(value) <= most
        )
        self.part = part

    def take(self, value: Any, field: str) -> list[dict[str, Any]]:
        """Return the entries without unread settings."""
        super().take(value, field)
        return [self.part.take(entry, f"{field}.{index}") for index, entry in enumerate(value)]


class Settings(Kind):
    """Kind of dicts with known settings and without type.

    Args:
        known: Kinds of the settings.
        whose: Owner of the settings, for messages.
    """

    def __init__(self, known: Mapping[str, Kind], whose: str) -> None:
        super().__init__("a dict", lambda value: type(value) is dict)
        self.known, self.whose = known, whose

    def take(self, value: Any, field: str) -> dict[str, Any]:
        """Return the settings without unread ones."""
        super().take(value, field)
        return take_known(value, self.known, field, self.whose)
