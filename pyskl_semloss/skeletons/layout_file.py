"""A layout described in a YAML or JSON file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.reading import read_json, read_text, reason

SUFFIXES = (".yaml", ".yml", ".json")
_YAML_LIMIT = 256 << 10
"""Bytes: thousands of joints. The parser takes a second for so many."""


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
        raise InputError("there is no such file", file=path, fix=fix)
    fields = read_json(path) if os.fspath(path).lower().endswith(".json") else _read_yaml(path)
    if not isinstance(fields, Mapping) or not all(isinstance(key, str) for key in fields):
        raise InputError("expected the fields of a layout: name, joints, limbs, mirror_pairs", file=path)
    return fields


def _read_yaml(path: str | os.PathLike[str]) -> Any:
    text = read_text(path, _YAML_LIMIT)
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        problem = "reading a layout from YAML needs PyYAML: pip install pyyaml, or write the layout as JSON"
        raise HostError(problem) from None
    try:
        # References let a small file stand for an endless one.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise InputError("expected YAML without references (*name)", file=path)
        return yaml.safe_load(text)
    except RecursionError:
        raise InputError("expected YAML, but it is nested too deeply", file=path) from None
    except InputError:
        raise
    # Besides its own errors the parser raises ValueError and more for what is no date or number.
    except Exception as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        said = getattr(error, "problem", None) or reason(error)
        raise InputError(f"{where}expected YAML ({said})", file=path) from None
