"""Run records as JSON objects; settings by dotted key."""

from __future__ import annotations

import json
import os
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.io.reading import AnyPath, read_json


def read_record(path: AnyPath, fix: str | None = None) -> dict[str, Any] | None:
    """JSON object of a file, or None if the file does not exist.

    Args:
        path: JSON file.
        fix: What to do about a file with other content.

    Raises:
        InputError: The file holds something else.
    """
    if not os.path.lexists(path):
        return None
    try:
        content = read_json(path)
    except InputError as error:
        raise error.replace(fix=fix) from None
    if not isinstance(content, dict):
        raise InputError("expected a JSON object", file=path, fix=fix)
    return content


def write_record(path: AnyPath, content: object) -> None:
    """Write a JSON file atomically."""
    with atomic_write(path, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=False, ensure_ascii=False)
        stream.write("\n")


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as a flat dict with dotted keys.

    Example:
        >>> flatten({"model": {"lr": 0.1}, "steps": [[1], [2]]})
        {'model.lr': 0.1, 'steps.0': [1], 'steps.1': [2]}
    """
    if isinstance(value, dict) and value:
        return {key: item for name in value for key, item in flatten(value[name], f"{prefix}{name}.").items()}
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return flatten({str(index): item for index, item in enumerate(value)}, prefix)
    return {prefix.removesuffix("."): value}


def short_json(value: object) -> str:
    """JSON text of a value, cut to 17 characters where it has more than 20."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 20 else f"{text[:16]}…"
