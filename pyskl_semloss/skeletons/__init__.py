"""Keypoint layouts, built in and custom."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping
from typing import Any

from pyskl_semloss.errors import InputError, escape_control_characters, located
from pyskl_semloss.io.fields import SUFFIXES, compare_fields, read_fields
from pyskl_semloss.io.fields import is_fields_file as is_layout_file
from pyskl_semloss.io.reading import AnyPath, closest_names, short_repr
from pyskl_semloss.skeletons.builtin import KNOWN_LAYOUTS
from pyskl_semloss.skeletons.graph import SkeletonGraph, adjacency, skeleton_graph
from pyskl_semloss.skeletons.layout import SkeletonLayout
from pyskl_semloss.skeletons.mapping import JointMap, joint_map
from pyskl_semloss.skeletons.mirror import check_mirror, mirror_order

__all__ = [
    "JointMap",
    "SkeletonGraph",
    "SkeletonLayout",
    "adjacency",
    "check_mirror",
    "get_layout",
    "is_layout_file",
    "joint_map",
    "layout_fields",
    "layout_names",
    "mirror_order",
    "skeleton_graph",
]

_warned: set[str] = set()


def layout_names() -> tuple[str, ...]:
    """Names that :func:`get_layout` knows."""
    return tuple(KNOWN_LAYOUTS)


def get_layout(spec: AnyPath | Mapping[str, Any] | SkeletonLayout, *, files: bool = True) -> SkeletonLayout:
    """Layout by its name, file or fields.

    A layout that is kept with its published mistakes is returned with one warning per process.

    Args:
        spec: A name of :func:`layout_names`, a YAML or JSON file (``.yaml``, ``.yml``, ``.json``) or a mapping with the
            fields of :class:`SkeletonLayout`, or a layout. Lists are fine, and limbs and mirror pairs may name joints
            instead of counting them.
        files: Whether a text that ends like the name of a file is one; no for texts that come from files.

    Raises:
        InputError: The name is unknown, the file or mapping is no layout, or it takes the name of another one.
        HostError: The file is YAML, and PyYAML is not installed.

    Example:
        >>> get_layout("openpose22").left_kp
        (2, 3, 4, 8, 10, 12, 13, 14, 15, 16)
    """
    if isinstance(spec, os.PathLike) or (files and isinstance(spec, str) and is_layout_file(spec)):
        return _of_file(spec)
    if isinstance(spec, str):
        layout = _by_name(spec, files)
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
        said = escape_control_characters(layout.mistakes)
        warnings.warn(f"skeleton layout {layout.name!r} is wrong on purpose: {said}", stacklevel=2)
    return layout


def layout_fields(layout: SkeletonLayout) -> dict[str, Any]:
    """Fields of a layout as plain data for :func:`get_layout`, without defaults."""
    fields = {
        field.name: getattr(layout, field.name)
        for field in dataclasses.fields(layout)
        if getattr(layout, field.name) != field.default
    }
    return {name: _listed(value) for name, value in fields.items()}


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _of_file(path: AnyPath) -> SkeletonLayout:
    fields = read_fields(path, "layout", "name, joints, limbs, mirror_pairs")
    with located(file=path):
        return get_layout(fields)


def _by_name(name: str, files: bool) -> SkeletonLayout:
    if name in KNOWN_LAYOUTS:
        return KNOWN_LAYOUTS[name]
    there = [file for suffix in ("", *SUFFIXES) if os.path.isfile(file := f"{name}{suffix}")] if files else []
    near = there or closest_names(name, KNOWN_LAYOUTS)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    if near and near[0] == name:
        hint = f"The file {name!r} is none by its name, which must end in {', '.join(SUFFIXES)}. "
    fix = f"{hint}Known are {', '.join(KNOWN_LAYOUTS)}; an own layout is given by its fields or a file of them."
    raise InputError(f"there is no layout {name!r}", field="layout", fix=fix)


def _from_mapping(spec: Mapping[str, Any]) -> SkeletonLayout:
    missing, unknown = compare_fields(SkeletonLayout, spec)
    if missing:
        whose = f"layout {short_repr(spec['name'])}" if "name" in spec else "a layout"
        raise InputError(f"{whose} lacks {', '.join(missing)}", field="layout")
    if unknown:
        listed = ", ".join(key if isinstance(key, str) else short_repr(key) for key in unknown[:20])
        problem = f"layout {short_repr(spec['name'])} has unknown fields {listed}"
        names = ", ".join(field.name for field in dataclasses.fields(SkeletonLayout))
        raise InputError(problem, field="layout", fix=f"Its fields are {names}.")
    pairs = [field for field in ("limbs", "mirror_pairs", "graph_limbs") if spec.get(field) is not None]
    return SkeletonLayout(**{**spec, **{field: _indexed(spec, field) for field in pairs}})


def _indexed(spec: Mapping[str, Any], field: str) -> Any:
    """Pairs of joints with indices where they have names; what is no list of pairs is left to the layout's checks."""
    pairs, joints = spec[field], spec["joints"]
    if not isinstance(pairs, (list, tuple)) or not isinstance(joints, (list, tuple)):
        return pairs
    index_of = {name: index for index, name in enumerate(joints) if isinstance(name, str)}

    def index(joint: object) -> object:
        if isinstance(joint, str) and joint not in index_of:
            near = closest_names(joint, index_of)
            fix = f"Did you mean {near[0]!r}?" if near else None
            raise InputError(
                f"layout {short_repr(spec['name'])} has no joint {short_repr(joint)}", field=field, fix=fix
            )
        return index_of[joint] if isinstance(joint, str) else joint

    return [[index(joint) for joint in pair] if isinstance(pair, (list, tuple)) else pair for pair in pairs]
