"""Keypoint layouts: joint names, limbs and mirror pairs of the skeletons that the recipes use, and own ones."""

from __future__ import annotations

import dataclasses
import difflib
import warnings
from collections.abc import Mapping
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons.known import KNOWN_LAYOUTS
from pyskl_semloss.skeletons.layout import SkeletonLayout
from pyskl_semloss.skeletons.mirror import check_mirror, mirror_order

__all__ = ["SkeletonLayout", "check_mirror", "get_layout", "layout_names", "mirror_order"]

_warned: set[str] = set()


def layout_names() -> tuple[str, ...]:
    """Names that :func:`get_layout` knows."""
    return tuple(KNOWN_LAYOUTS)


def get_layout(spec: str | Mapping[str, Any] | SkeletonLayout) -> SkeletonLayout:
    """Return a layout by name, or build and check an own one.

    A layout that is kept with its published mistakes is returned with one warning per process.

    Args:
        spec: A name of :func:`layout_names`, a mapping with the fields of :class:`SkeletonLayout` (a config's dict or
            JSON; lists are fine), or a layout.

    Raises:
        InputError: The name is unknown, the mapping is no layout, or it takes the name of another one.

    Example:
        >>> get_layout("openpose22").left_kp
        (2, 3, 4, 8, 10, 12, 13, 14, 15, 16)
    """
    if isinstance(spec, str):
        layout = _by_name(spec)
    elif isinstance(spec, SkeletonLayout):
        layout = spec
    elif isinstance(spec, Mapping):
        layout = _from_mapping(spec)
    else:
        raise InputError(f"expected a layout's name or its fields, got {type(spec).__name__}", field="layout")
    if KNOWN_LAYOUTS.get(layout.name, layout) != layout:
        problem = f"{layout.name!r} is the name of another layout"
        raise InputError(problem, field="name", fix="Give an own layout an own name.")
    if layout.mistakes and layout.name not in _warned:
        _warned.add(layout.name)
        warnings.warn(f"skeleton layout {layout.name!r} is wrong on purpose: {layout.mistakes}", stacklevel=2)
    return layout


def _by_name(name: str) -> SkeletonLayout:
    if name in KNOWN_LAYOUTS:
        return KNOWN_LAYOUTS[name]
    near = difflib.get_close_matches(name, KNOWN_LAYOUTS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    fix = f"{hint}Known are {', '.join(KNOWN_LAYOUTS)}; an own layout is given by its fields."
    raise InputError(f"there is no layout {name!r}", field="layout", fix=fix)


def _from_mapping(spec: Mapping[str, Any]) -> SkeletonLayout:
    fields = dataclasses.fields(SkeletonLayout)
    names = [field.name for field in fields]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    missing, unknown = [name for name in needed if name not in spec], [key for key in spec if key not in names]
    if missing:
        whose = f"layout {spec['name']!r}" if "name" in spec else "a layout"
        raise InputError(f"{whose} lacks {', '.join(missing)}", field="layout")
    if unknown:
        problem = f"layout {spec['name']!r} has unknown fields {', '.join(map(str, unknown))}"
        raise InputError(problem, field="layout", fix=f"Its fields are {', '.join(names)}.")
    return SkeletonLayout(**spec)
