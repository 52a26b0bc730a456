"""A layout described in a YAML or JSON file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import absent, read_json, read_text, reason

SUFFIXES = (".yaml", ".yml", ".json")
_YAML_LIMIT = 64 << 10
"""Bytes: a thousand joints. Without libyaml the parser takes some seconds for so many."""
_DEEPEST, _LONGEST_NUMBER = 10, 40
"""Lists within lists of YAML, and characters of a number: the parser takes time with the square of both."""
_NUMBER = re.compile(rf"[-+]?(0x[0-9a-fA-F_]|[0-9._])[0-9a-fA-F_.:+-]{{{_LONGEST_NUMBER - 1},}}")


def is_layout_file(spec: str | os.PathLike[str]) -> bool:
    """Whether a text ends like the name of a file of a layout."""
    return os.fspath(spec).lower().endswith(SUFFIXES)


def read_layout_fields(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The fields of a layout from a file whose name ends in .yaml, .yml or .json.

    Raises:
        InputError: It cannot be read, or holds no fields.
        HostError: It is YAML, and PyYAML is not installed.
    """
    if not os.path.exists(path):
        fix = "It should describe a layout; paths are relative to the current folder."
        raise absent(path, fix=fix)
    fields = read_json(path) if os.fspath(path).lower().endswith(".json") else _read_yaml(path)
    if not isinstance(fields, Mapping) or not all(isinstance(key, str) for key in fields):
        raise InputError("expected the fields of a layout: name, joints, limbs, mirror_pairs", file=path)
    return fields


def _read_yaml(path: str | os.PathLike[str]) -> Any:
    text = read_text(path, _YAML_LIMIT)
    try:
        import yaml
    except ImportError:
        problem = "reading a layout from YAML needs PyYAML: pip install pyyaml, or write the layout as JSON"
        raise HostError(problem) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(yaml, yaml.parse(text, loader))
        return yaml.load(text, loader)
    except InputError as error:
        raise error.located(file=path) from None
    # Besides its own errors the parser raises ValueError and more for what is no date or number.
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        said = getattr(error, "problem", None) or reason(error)
        raise InputError(f"{where}expected YAML ({said})", file=path) from None


def _check_events(yaml: Any, events: Iterable[Any]) -> None:
    """Refuse what lets a small file take much time or memory, as it comes and before anything is made of it.

    Raises:
        InputError: Names the line.
    """
    depth = 0
    for event in events:
        where = f"line {event.start_mark.line + 1}: "
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise InputError(f"{where}expected YAML, but it is nested too deeply")
        # References let a small file stand for an endless one.
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InputError(f"{where}expected YAML without references (&name, *name)")
        if getattr(event, "tag", None):
            raise InputError(f"{where}expected YAML without types (!!name)")
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and _NUMBER.fullmatch(event.value):
            problem = f"expected numbers of up to {_LONGEST_NUMBER} characters, got one of {len(event.value)}"
            raise InputError(where + problem)
