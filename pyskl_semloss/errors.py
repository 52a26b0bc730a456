"""The two errors that a user can meet, each a single message that says where and what to do."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from typing import Any

TRACEBACK = "PYSKL_SEMLOSS_TRACEBACK"
"""Set in the environment, it makes tools show tracebacks."""
_OF_WORKER = "Caught InputError in "
_MOST_ITEMS = 20


class InputError(ValueError):
    """A file or an argument that came from outside is wrong.

    Its message is one line of limited length, whatever the names in it; ``problem`` is kept as it was given. Where it
    lists several things, each is a line of its own, and ``fix`` is the last line.

    Args:
        problem: What was expected and what came, without a final full stop.
        file: The file it is in.
        clip: The id of the clip (``frame_dir``) it is in.
        field: The field or argument that is wrong.
        fix: One sentence that says what to do.
        items: The things that the problem is about, shown as lines below it; the first 20 and the number of the others.

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
        # torch makes the error of a loader's worker anew of a traceback, whose last lines are a message of ours.
        of_worker = problem.startswith(_OF_WORKER)
        message = ": ".join([*where, problem if of_worker else _cut(problem, 2000)])
        if of_worker:
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
        super().__init__("\n".join(map(one_line, lines)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and copies are made of what was given, so that they say the same, also from another process."""
        return _rebuild, (type(self), self.problem, self._places())

    def located(self, part: str = "", **where: Any) -> InputError:
        """The same error with ``file``, ``clip``, ``field`` or ``fix`` where it does not say them yet.

        Args:
            part: The part of a file, such as ``"line 3"``, set before the problem.
            where: Names as in the constructor.
        """
        said = self._places()
        said.update({key: value for key, value in where.items() if said[key] is None})
        return _rebuild(type(self), f"{part}: {self.problem}" if part else self.problem, said)

    def replaced(self, **where: Any) -> InputError:
        """The same error with this ``file``, ``clip``, ``field`` or ``fix``, whatever it says of them."""
        return _rebuild(type(self), self.problem, {**self._places(), **where})

    def _places(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("file", "clip", "field", "fix", "items")}


def _rebuild(kind: type[InputError], problem: str, places: dict[str, Any]) -> InputError:
    return kind(problem, **places)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + " \u2026"


def one_line(text: str) -> str:
    """The text with escapes for line breaks and for what a terminal would obey: names in files may hold anything."""
    if text.isprintable():
        return text
    hidden = {one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return text.translate({ord(one): ascii(one)[1:-1] for one in hidden})


class HostError(ImportError):
    """A toolbox (MMAction2, PySKL) is missing or of a version that cannot work."""
