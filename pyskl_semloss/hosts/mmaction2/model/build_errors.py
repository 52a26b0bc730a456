"""What the host makes of a config, with the part of the config in the message where that fails."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from mmengine.registry import Registry

from pyskl_semloss.errors import TRACEBACK, InputError
from pyskl_semloss.io.reading import closest

_MISTAKES = (TypeError, ValueError, LookupError, AttributeError, AssertionError, ImportError)


@contextlib.contextmanager
def naming_config_entry(path: str) -> Iterator[None]:
    """Around what the host makes of a config: where a part of it cannot be made, the message names that part.

    Args:
        path: The config file.

    Raises:
        InputError: A part cannot be made, as its settings are wrong. Other errors pass.
    """
    try:
        yield
    except InputError:
        raise
    except _MISTAKES as error:
        frame = _frame_of_part(error)
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
    """The innermost part of a config that could not be made, as ``dict(type='NAME', …)``."""
    frame = _frame_of_part(error)
    settings = None if frame is None else frame.f_locals["cfg"]
    return _name(settings.get("type")) if isinstance(settings, Mapping) else None


def _name(kind: object) -> str:
    return f"dict(type={kind if isinstance(kind, str) else getattr(kind, '__name__', '…')!r}, …)"


def _frame_of_part(error: BaseException) -> FrameType | None:
    """The innermost place where the host made an object of its settings."""
    found, place = None, error.__traceback__
    while place is not None:
        frame, place = place.tb_frame, place.tb_next
        if frame.f_code.co_name == "build_from_cfg" and "cfg" in frame.f_locals:
            found = frame
    return found


def unknown_type(kind: str, registry: Any, path: str) -> InputError:
    """The error for a type that no registry knows, with those of similar names."""
    known: set[str] = set()
    while isinstance(registry, Registry):
        known, registry = known | set(registry.module_dict), registry.parent
    near = closest(kind.rpartition(".")[2], sorted(known), 3)
    fix = f"Did you mean {' or '.join(near)}?" if near else "A class of your own is imported by custom_imports."
    return InputError(f"there is no {kind!r}", file=path, field="type", fix=fix)


def import_error_cause(error: BaseException) -> BaseException:
    """What failed to be imported; the host's own words are the whole of sys.path."""
    while isinstance(error, ImportError) and isinstance(error.__context__, ImportError):
        error = error.__context__
    return error


def describe_error(error: BaseException) -> str:
    """Kind and words of an error, and where the config's own text failed, the line."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, FileNotFoundError):
        return f"there is no file {error.filename}, which it names"
    error = import_error_cause(error)
    where, place = "", error.__traceback__
    while place is not None:
        code, line, place = place.tb_frame.f_code, place.tb_lineno, place.tb_next
        if code.co_name == "<module>" and os.path.realpath(code.co_filename) != os.path.realpath(sys.argv[0]):
            where = f"{os.path.relpath(code.co_filename)}, line {line}: "
    words = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())[:500]
    return f"{where}{type(error).__name__}{': ' * bool(words)}{words}"
