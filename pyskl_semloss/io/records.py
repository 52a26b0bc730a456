"""Records of runs as JSON objects, and settings compared by dotted key."""

from __future__ import annotations

import json
import os
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import atomic_write
from pyskl_semloss.io.reading import AnyPath, read_json


def read_record(path: AnyPath, fix: str | None = None) -> dict[str, Any] | None:
    """The object in a JSON file, or None if there is no such file.

    Args:
        path: The file.
        fix: What to do where it holds something else.

    Raises:
        InputError: It holds something else.
    """
    if not os.path.lexists(path):
        return None
    try:
        content = read_json(path)
    except InputError as error:
        raise error.replaced(fix=fix) from None
    if not isinstance(content, dict):
        raise InputError("expected a JSON object", file=path, fix=fix)
    return content


def write_record(path: AnyPath, content: object) -> None:
    """Write JSON, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=False, ensure_ascii=False)
        stream.write("\n")


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Plain settings by dotted key; a list of lists or dicts by its numbers."""
    if isinstance(value, dict) and value:
        return {key: item for name in value for key, item in flat(value[name], f"{prefix}{name}.").items()}
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return flat({str(index): item for index, item in enumerate(value)}, prefix)
    return {prefix.removesuffix("."): value}


def short(value: object) -> str:
    """A value as JSON, cut."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 20 else f"{text[:16]}…"
