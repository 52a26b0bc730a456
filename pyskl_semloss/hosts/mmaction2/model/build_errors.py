"""Errors of the host while it builds objects from a config, with the config entry."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from mmengine.registry import Registry

from pyskl_semloss.errors import TRACEBACK, InputError
from pyskl_semloss.io.reading import closest_names

_MISTAKES = (TypeError, ValueError, LookupError, AttributeError, AssertionError, ImportError)


@contextlib.contextmanager
def naming_config_entry(path: str) -> Iterator[None]:
    """Name the config entry in errors of a block that builds objects.

    Args:
        path: Path of the config.

    Raises:
        InputError: The settings of an entry are wrong. Other errors pass.
    """
    try:
        yield
    except InputError:
        raise
    except _MISTAKES as error:
        frame = _building_frame(error)
        if frame is None:
            raise
        settings, registry = frame.f_locals["cfg"], frame.f_locals.get("registry")
        kind = settings.get("type") if isinstance(settings, Mapping) else None
        if isinstance(error, KeyError) and isinstance(kind, str) and "is not in the" in str(error):
            raise unknown_type(kind, registry, path) from error
        raise InputError(
            f"this part of the config cannot be built ({describe_error(error)})",
            file=path,
            field=_name(kind),
            fix=f"{TRACEBACK}=1 shows the whole traceback.",
        ) from error


def failed_config_entry(error: BaseException) -> str | None:
    """Innermost config entry that could not be built, as ``dict(type='NAME', …)``."""
    frame = _building_frame(error)
    settings = None if frame is None else frame.f_locals["cfg"]
    return _name(settings.get("type")) if isinstance(settings, Mapping) else None


def _name(kind: object) -> str:
    return f"dict(type={kind if isinstance(kind, str) else getattr(kind, '__name__', '…')!r}, …)"


def _building_frame(error: BaseException) -> FrameType | None:
    """Innermost frame in which the host builds an object from its settings."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    builds = (frame for frame in frames[::-1] if frame.f_code.co_name == "build_from_cfg" and "cfg" in frame.f_locals)
    return next(builds, None)


def unknown_type(kind: str, registry: Any, path: str) -> InputError:
    """Error for a type that no registry knows, with similar names."""
    known: set[str] = set()
    while isinstance(registry, Registry):
        known, registry = known | set(registry.module_dict), registry.parent
    near = closest_names(kind.rpartition(".")[2], sorted(known), 3)
    fix = f"Did you mean {' or '.join(near)}?" if near else "A class of your own is imported by custom_imports."
    return InputError(f"there is no {kind!r}", file=path, field="type", fix=fix)


def import_error_cause(error: BaseException) -> BaseException:
    """Original import error; the host's message would list all of ``sys.path``."""
    while isinstance(error, ImportError) and isinstance(error.__context__, ImportError):
        error = error.__context__
    return error


def describe_error(error: BaseException) -> str:
    """Type and message of an error, and its line in a config."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, FileNotFoundError):
        return f"there is no file {error.filename}, which it names"
    error = import_error_cause(error)
    where = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_name == "<module>" and os.path.realpath(code.co_filename) != os.path.realpath(sys.argv[0]):
            where = f"{os.path.relpath(code.co_filename)}, line {line}: "
    words = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())[:500]
    return f"{where}{type(error).__name__}{': ' * bool(words)}{words}"
