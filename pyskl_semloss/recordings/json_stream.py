"""Incremental JSON reading, value by value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class JsonStream:
    """Cursor in a JSON text that advances as values are read.

    Every method raises ``ValueError`` where the text is no JSON, and ``RecursionError`` where it is nested too deeply.
    """

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def sees(self, mark: str) -> bool:
        """True if this is the next character after white space."""
        self.at = _SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.text.startswith(mark, self.at)

    def value(self) -> Any:
        """The next value, whole."""
        self.sees("")
        value, self.at = _DECODER.raw_decode(self.text, self.at)
        return value

    def whole(self) -> Any:
        """The value that is all of the text."""
        value = self.value()
        self.end()
        return value

    def items(self) -> Iterator[Any]:
        """The values of the list that starts here, one after the other."""
        self._take("[")
        while not self._takes("]"):
            yield self.value()
            if not self.sees("]"):
                self._take(",")

    def members(self) -> Iterator[str]:
        """Keys of the object that starts here.

        The caller reads the value of each before the next.
        """
        self._take("{")
        while not self._takes("}"):
            key = self.value()
            if not isinstance(key, str):
                raise ValueError(f"expected a key at character {self.at}")
            self._take(":")
            yield key
            if not self.sees("}"):
                self._take(",")

    def end(self) -> None:
        """Check that nothing follows the value."""
        self.sees("")
        if self.at != len(self.text):
            raise ValueError(f"expected the end of the text at character {self.at}")

    def _takes(self, mark: str) -> bool:
        seen = self.sees(mark)
        self.at += len(mark) * seen
        return seen

    def _take(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError(f"expected {mark!r} at character {self.at}")
