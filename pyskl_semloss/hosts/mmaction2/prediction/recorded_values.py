"""What the values of a recorded config may be: each kind looks at a value before anything is built of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean, short_repr
from pyskl_semloss.skeletons import get_layout, is_layout_file

_MOST_JOINTS, _MOST_LIMBS = 1024, 4096
# Of mmengine: where the name of a type is looked up. Ours are all in one place.
_SCOPE = "_scope_"


@dataclass(eq=False)
class Kind:
    """Values of a kind.

    Attributes:
        expected: The kind in words.
        fits: Whether a value is of it.
    """

    expected: str
    fits: Callable[[Any], bool]

    def take(self, value: Any, place: str) -> Any:
        """The value.

        Raises:
            InputError: It is of another kind.
        """
        if not self.fits(value):
            raise InputError(f"expected {self.expected}, got {short_repr(value)}", field=place)
        return value


def whole(lowest: int, highest: int) -> Kind:
    """A whole number from ``lowest`` to ``highest``."""
    return Kind(
        f"a whole number from {lowest} to {highest}", lambda value: type(value) is int and lowest <= value <= highest
    )


def number(lowest: float, highest: float) -> Kind:
    """A number from ``lowest`` to ``highest``."""

    def fits(value: Any) -> bool:
        return type(value) in (int, float) and lowest <= value <= highest and math.isfinite(value)

    return Kind(f"a number from {lowest:g} to {highest:g}", fits)


def above_0(highest: float) -> Kind:
    """A number above 0, up to ``highest``."""
    limited = number(0, highest)
    return Kind(f"a number above 0, up to {highest:g}", lambda value: limited.fits(value) and value > 0)


def one_of(*values: Any) -> Kind:
    """One of some values; 1 is not True."""
    known = {(type(value), value) for value in values}
    plain = (str, int, bool, type(None))
    fits = lambda value: type(value) in plain and (type(value), value) in known  # noqa: E731
    return Kind(" or ".join(map(repr, values)), fits)


flag = one_of(True, False)
text = Kind("a text of at most 200 characters", lambda value: type(value) is str and len(value) <= 200)


def several(item: Kind, least: int, most: int) -> Kind:
    """A list of plain values of a kind."""
    count = f"{least}" if least == most else f"{least} to {most}"

    def fits(value: Any) -> bool:
        return type(value) in (list, tuple) and least <= len(value) <= most and all(map(item.fits, value))

    return Kind(f"a list of {count} times {item.expected}", fits)


def either(*kinds: Kind) -> Kind:
    """A plain value of one of several kinds."""
    return Kind(", or ".join(kind.expected for kind in kinds), lambda value: any(kind.fits(value) for kind in kinds))


class _Optional(Kind):
    def __init__(self, kind: Kind) -> None:
        super().__init__(f"{kind.expected}, or None", lambda value: value is None or kind.fits(value))
        self.kind = kind

    def take(self, value: Any, place: str) -> Any:
        """None, or what the kind makes of the value."""
        return super().take(value, place) if value is None else self.kind.take(value, place)


def optional(kind: Kind) -> Kind:
    """A value of a kind, or None."""
    return _Optional(kind)


class _Unread(Kind):
    """A setting that nothing is built of in prediction."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return "type" not in value and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, (list, tuple)) else True


unread = _Unread("plain values without a type", _is_plain)
unbuilt = _Unread("anything", lambda value: True)


class _Skeleton(Kind):
    def take(self, value: Any, place: str) -> Any:
        """The value, where it is a layout's name or its fields; a path in a record is not followed."""
        super().take(value, place)
        if isinstance(value, str) and is_layout_file(value):
            raise InputError(
                f"the file of a layout, {short_repr(value)}, is not opened at a record's word", field=place
            )
        if isinstance(value, dict):
            for key, most in (("joints", _MOST_JOINTS), ("limbs", _MOST_LIMBS), ("mirror_pairs", _MOST_JOINTS)):
                if isinstance(value.get(key), (list, tuple)) and len(value[key]) > most:
                    raise InputError(f"expected at most {most} {key}, got {len(value[key])}", field=place)
        try:
            get_layout(value, files=False)
        except InputError as error:
            # Layouts have fields of their own.
            raise error.replace(field=place) from None
        return value


skeleton = _Skeleton("a layout's name or its fields", lambda value: type(value) in (str, dict))


class Part(Kind):
    """A part of a config that an object is made of: a dict with a type and arguments.

    Args:
        types: For each allowed type its allowed arguments and their kinds.
    """

    def __init__(self, types: Mapping[str, Mapping[str, Kind]]) -> None:
        super().__init__(f"a dict of type {' or '.join(types)}", lambda value: type(value) is dict)
        self.types = types

    def take(self, value: Any, place: str) -> dict[str, Any]:
        """The part without what is unread.

        Raises:
            InputError: Another type, an unknown argument, or a value of another kind.
        """
        super().take(value, place)
        kind = value.get("type")
        if type(kind) is not str or kind not in self.types:
            problem = f"the type {short_repr(kind)} is not built from a record, only {', '.join(self.types)}"
            raise InputError(problem, field=f"{place}.type")
        return {"type": kind, **take_known(value, {"type": text, **self.types[kind]}, place, kind)}


def take_known(value: Mapping[Any, Any], known: Mapping[str, Kind], place: str, whose: str) -> dict[str, Any]:
    """The settings of a dict whose names are known, without those that are unread.

    Raises:
        InputError: There is another name in it, or a value of another kind.
    """
    for key in value:
        if key != _SCOPE and (type(key) is not str or key not in known):
            near = did_you_mean(key, known) if type(key) is str else ""
            raise InputError(
                f"{short_repr(key)} is no setting of {whose} that is read from a record{near}", field=place
            )
    taken = {key: known[key].take(value[key], f"{place}.{key}") for key in value if key != _SCOPE}
    return {key: one for key, one in taken.items() if not isinstance(known[key], _Unread)}


class Parts(Kind):
    """A list of parts.

    Args:
        part: Each of them.
        most: Their largest number.
    """

    def __init__(self, part: Part, most: int) -> None:
        super().__init__(
            f"a list of 1 to {most} parts", lambda value: type(value) in (list, tuple) and 1 <= len(value) <= most
        )
        self.part = part

    def take(self, value: Any, place: str) -> list[dict[str, Any]]:
        """Each part as :meth:`Part.take` gives it."""
        super().take(value, place)
        return [self.part.take(one, f"{place}.{at}") for at, one in enumerate(value)]


class Settings(Kind):
    """A dict of known settings without a type.

    Args:
        known: Their kinds.
        whose: What they are of, for messages.
    """

    def __init__(self, known: Mapping[str, Kind], whose: str) -> None:
        super().__init__("a dict", lambda value: type(value) is dict)
        self.known, self.whose = known, whose

    def take(self, value: Any, place: str) -> dict[str, Any]:
        """The settings without what is unread."""
        super().take(value, place)
        return take_known(value, self.known, place, self.whose)
