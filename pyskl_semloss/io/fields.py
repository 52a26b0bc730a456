"""Reader of YAML and JSON files with the fields of a record."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.io.reading import AnyPath, missing_file_error, read_json, read_text, reason

SUFFIXES = (".yaml", ".yml", ".json")
_YAML_LIMIT = 64 << 10
"""Bytes; enough for 1000 joints. Without libyaml, parsing that many takes some seconds."""
_DEEPEST, _LONGEST_NUMBER = 10, 40
"""Largest depth and longest number in YAML: the parser's time is quadratic in both."""
_NUMBER = re.compile(rf"[-+]?(0x[0-9a-fA-F_]|[0-9._])[0-9a-fA-F_.:+-]{{{_LONGEST_NUMBER - 1},}}")


def is_fields_file(spec: AnyPath) -> bool:
    """Whether a name ends in .yaml, .yml or .json."""
    return os.fspath(spec).lower().endswith(SUFFIXES)


def read_fields(path: AnyPath, thing: str, fields: str) -> Mapping[str, Any]:
    """Fields of a YAML or JSON file.

    Args:
        path: File with the ending .yaml, .yml or .json.
        thing: Described object, such as ``"layout"``, for messages.
        fields: Required fields, for messages.

    Raises:
        InputError: The file cannot be read, or holds no fields.
        HostError: The file is YAML, and PyYAML is not installed.
    """
    if not os.path.exists(path):
        fix = f"It should describe a {thing}; paths are relative to the current folder."
        raise missing_file_error(path, fix=fix)
    content = read_json(path) if os.fspath(path).lower().endswith(".json") else _read_yaml(path, thing)
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise InputError(f"expected the fields of a {thing}: {fields}", file=path)
    return content


def compare_fields(kind: type, names: Iterable[Any]) -> tuple[list[str], list[Any]]:
    """Missing and unknown names for the fields of a dataclass."""
    fields, names = dataclasses.fields(kind), list(names)
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    known = [field.name for field in fields]
    return [name for name in required if name not in names], [name for name in names if name not in known]


def _read_yaml(path: AnyPath, thing: str) -> Any:
    text = read_text(path, _YAML_LIMIT)
    try:
        import yaml
    except ImportError:
        problem = f"reading a {thing} from YAML needs PyYAML: pip install pyyaml, or write the {thing} as JSON"
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
        problem = getattr(error, "problem", None) or reason(error)
        raise InputError(f"{where}expected YAML ({problem})", file=path) from None


def _check_events(yaml: Any, events: Iterable[Any]) -> None:
    """Refuse YAML events with which a small file takes much time or memory.

    Raises:
        InputError: Invalid event; the message has its line.
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
