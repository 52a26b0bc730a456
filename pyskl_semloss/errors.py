"""Errors for users: each message says where, what and how to fix it."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

TRACEBACK = "PYSKL_SEMLOSS_TRACEBACK"
"""Environment variable that makes tools show tracebacks."""
_WORKER_PREFIX = "Caught InputError in "
_MOST_ITEMS = 20


class InputError(ValueError):
    """Invalid file or argument from outside the package.

    The message is a single line of limited length. With ``items`` it has a line for each of them, and ``fix`` is its
    last line. Control characters are escaped. ``problem`` is kept unchanged.

    Args:
        problem: Expected and actual value, without a final full stop.
        file: File with the error.
        clip: Id (``frame_dir``) of the clip with the error.
        field: Invalid field or argument.
        fix: One sentence that says what to do.
        items: Things that the problem is about, listed below it: the first 20 and the number of the others.

    Example:
        >>> str(InputError("expected 32 classes, got 31", file="a.npz", field="score"))
        "a.npz: field 'score': expected 32 classes, got 31."
        >>> print(InputError("two words have no vector", file="a.txt", items=["clap", "jog"], fix="Give --alias."))
        a.txt: two words have no vector:
          clap
          jog
        Give --alias.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | os.PathLike[str] | None = None,
        clip: object = None,
        field: str | None = None,
        fix: str | None = None,
        items: Iterable[str] = (),
    ) -> None:
        where = [os.fspath(file)] if file is not None else []
        if clip is not None:
            where.append(f"clip {_cut(repr(clip), 200)}")
        if field is not None:
            where.append(f"field {_cut(repr(field), 200)}")
        self.problem, self.file, self.clip, self.field, self.fix = problem, file, clip, field, fix
        self.items = tuple(items)
        # torch re-raises the error of a loader's worker with its traceback, which ends with our message, as `problem`.
        from_worker = problem.startswith(_WORKER_PREFIX)
        message = ": ".join([*where, problem if from_worker else _cut(problem, 2000)])
        if from_worker:
            super().__init__(message)
            return
        # A problem may end with a question: did you mean another name?
        lines = [message + (":" if self.items else "" if message.endswith("?") else ".")]
        lines += [f"  {_cut(item, 300)}" for item in self.items[:_MOST_ITEMS]]
        if len(self.items) > _MOST_ITEMS:
            lines.append(f"  and {len(self.items) - _MOST_ITEMS} more")
        if fix and self.items:
            lines.append(fix)
        elif fix:
            lines[0] += f" {fix}"
        super().__init__("\n".join(map(escape_control_characters, lines)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Constructor arguments, so that pickles and copies have the same message."""
        return _rebuild, (type(self), self.problem, self._location())

    def located(self, part: str = "", **where: Any) -> InputError:
        """Copy with ``file``, ``clip``, ``field`` or ``fix`` where they are missing.

        Args:
            part: Part of a file, such as ``"line 3"``, set before the problem.
            where: Names as in the constructor.
        """
        location = self._location()
        location.update({key: value for key, value in where.items() if location[key] is None})
        return _rebuild(type(self), f"{part}: {self.problem}" if part else self.problem, location)

    def replace(self, **where: Any) -> InputError:
        """Copy with another ``file``, ``clip``, ``field`` or ``fix``."""
        return _rebuild(type(self), self.problem, {**self._location(), **where})

    def _location(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("file", "clip", "field", "fix", "items")}


@contextlib.contextmanager
def located(part: str = "", **where: Any) -> Iterator[None]:
    """Add a location to the :class:`InputError` of a block, as :meth:`InputError.located`."""
    try:
        yield
    except InputError as error:
        raise error.located(part, **where) from None


def _rebuild(kind: type[InputError], problem: str, location: dict[str, Any]) -> InputError:
    return kind(problem, **location)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + " \u2026"


def escape_control_characters(text: str) -> str:
    r"""Text with line breaks and terminal commands escaped.

    Example:
        >>> escape_control_characters("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    hidden = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return text.translate({ord(char): ascii(char)[1:-1] for char in hidden})


class HostError(ImportError):
    """Missing toolbox (MMAction2, PySKL), or an unsupported version of it."""


def reason(error: Exception) -> str:
    """First line of a library's error message, at most 200 characters."""
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
