"""Class names: reading a list of them, the words of a name, and words that stand for others."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence

from pyskl_semloss.errors import InputError
from pyskl_semloss.reading import read_text, shown, spoiled

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def read_class_names(path: str | os.PathLike[str]) -> list[str]:
    """Read a UTF-8 text file with one class name a line; the first is class 0.

    Raises:
        InputError: The file is absent, too large, empty or not UTF-8, a name holds a control character (see
            :func:`check_class_names`), or there are blank lines or a name twice; those are listed by line.
    """
    names = [line.strip() for line in read_text(path).splitlines()]
    if not any(names):
        raise InputError("expected one class name a line, but the file is empty", file=path)
    check_class_names(names, path)
    first: dict[str, int] = {}
    problems: list[str] = []
    for number, name in enumerate(names, 1):
        if not name:
            problems.append(f"line {number} is blank")
        elif (before := first.setdefault(name.casefold(), number)) != number:
            problems.append(f"line {number} repeats line {before} ({name!r})")
    if problems:
        shown_problems = [*problems[:10], *([f"and {len(problems) - 10} more"] if len(problems) > 10 else [])]
        raise InputError("; ".join(shown_problems), file=path, fix="The order of the lines is the order of the labels.")
    return names


def check_class_names(names: Sequence[str], file: str | os.PathLike[str] | None = None) -> None:
    """Refuse names that would write on the terminal or turn the text around them when they are shown.

    Markup is allowed: a name is text, and whoever puts it into a page escapes it.

    Raises:
        InputError: A name holds a control character, a line break or half a surrogate pair.
    """
    for number, name in enumerate(names):
        if (character := spoiled(name)) is not None:
            problem = f"the name of class {number}, {shown(name)}, holds the character {character}"
            raise InputError(problem, file=file, fix="A name is words alone, without tabs and numbers of its class.")


def split_words(name: str) -> list[str]:
    """The words of a class name: lower case, letters and digits, split at all else but an apostrophe within a word.

    Example:
        >>> split_words("Bulging face, deep-breath / person's_hat")
        ['bulging', 'face', 'deep', 'breath', "person's", 'hat']
    """
    return _WORD.findall(unicodedata.normalize("NFC", name).lower().replace("\u2019", "'"))


def parse_aliases(items: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read aliases such as ``clap=hands`` or ``jogging=running,slowly``.

    Raises:
        InputError: One has no ``=``, no word on a side of it, more than one word on the left, or is there twice.
    """
    aliases: dict[str, tuple[str, ...]] = {}
    for item in items:
        left, equals, right = item.partition("=")
        targets = tuple(word.strip() for word in right.split(","))
        if (
            not equals
            or len(split_words(left)) != 1
            or not all(targets)
            or any(len(word.split()) > 1 for word in targets)
        ):
            raise InputError(
                f"expected word=word or word=word,word, got {item!r}", field="alias", fix="For example clap=hands."
            )
        word = split_words(left)[0]
        if word in aliases:
            raise InputError(f"two aliases for the word {word!r}", field="alias")
        aliases[word] = targets
    return aliases
