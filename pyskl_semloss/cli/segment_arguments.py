"""Shared options of the tools that take models and find segments."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.segments.localization import SegmentRules
from pyskl_semloss.segments.windows import WindowRules

_RULES = {
    "threshold": "least probability of a gesture",
    "extent": "a segment ends below this share of its highest probability",
    "smoothing": "standard deviation of the smoothing in s",
    "shortest": "least length of a segment in s",
    "gap": "segments of one name that are nearer than this, in s, are one",
}
_WINDOWS = {"still": "least movement in body sizes", "seen": "least share of known points"}


def add_models(
    parser: argparse.ArgumentParser, names: str = "class names, one a line, where the models do not know them"
) -> None:
    """Add ``--joint``, ``--limb``, ``--graph``, ``--weights`` and ``--names``.

    Args:
        parser: The command's parser.
        names: Help of ``--names``.
    """
    model = "checkpoint, or config and checkpoint where the checkpoint records none"
    parser.add_argument("--joint", nargs="+", metavar="FILE", help=f"joint model: {model}")
    parser.add_argument("--limb", nargs="+", metavar="FILE", help=f"limb model: {model}")
    parser.add_argument("--graph", nargs="+", action="append", metavar="FILE",
                        help=f"graph network: {model}; may be repeated. One model is enough")  # fmt: skip
    parser.add_argument("--weights", nargs="+", type=float, metavar="WEIGHT", help="of joint, limb, then graph "
                        "networks (default: 2 3 for joint and limb of iMiGUE or SMG, else equal)")  # fmt: skip
    parser.add_argument("--names", metavar="FILE", help=names)


def parse_with_models(
    parser: argparse.ArgumentParser, words: Sequence[str], is_positional: Callable[[str], bool]
) -> argparse.Namespace:
    """Arguments of a command line with options and inputs in any order.

    In argparse an option of several values, such as ``--joint``, would also take the inputs that follow it.

    Args:
        parser: The command's parser, with :func:`add_models` and perhaps :func:`add_rules` and ``--format``.
        words: The command line without the program.
        is_positional: Whether a value after ``--joint``, ``--limb`` or ``--graph``, from the second on, is a
            positional argument.
    """
    theirs = dict.fromkeys(("--joint", "--limb", "--graph"), is_positional)
    theirs |= {"--format": _has_ending, "--background": _is_file, "--weights": _is_no_number}
    end = words.index("--") if "--" in words else len(words)
    positional, rest = set_apart(words[:end], theirs)
    if end < len(words):
        return parser.parse_args([*rest, "--", *positional, *words[end + 1 :]])
    return parser.parse_intermixed_args([*positional, *rest])


def set_apart(words: Sequence[str], options: Mapping[str, Callable[[str], bool]]) -> tuple[list[str], list[str]]:
    """Positional arguments that follow options of several values, and the other words.

    Args:
        words: A command line without the program.
        options: Option of several values -> whether a value, from the second on, is a positional argument.

    Example:
        >>> set_apart(["--joint", "a.pth", "x.npz", "--fast"], {"--joint": lambda word: word[-4:] != ".pth"})
        (['x.npz'], ['--joint', 'a.pth', '--fast'])
    """
    positional: list[str] = []
    rest: list[str] = []
    is_positional = None
    for word in words:
        if word.startswith("-"):
            is_positional = options.get(word)
        elif is_positional is not None and not rest[-1].startswith("-") and is_positional(word):
            positional.append(word)
            continue
        rest.append(word)
    return positional, rest


def is_no_model(word: str) -> bool:
    """Whether a file is neither a checkpoint nor a config."""
    return not word.lower().endswith((".pth", ".pt", ".py"))


def _is_no_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return True
    return False


def _has_ending(word: str) -> bool:
    return bool(os.path.splitext(word)[1])


def _is_file(word: str) -> bool:
    """Whether a word is an existing file with an ending, and so no class name."""
    return _has_ending(word) and os.path.isfile(word)


def models_of(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of the predictor.

    Raises:
        InputError: A model has more than two files.
    """
    models: dict[str, Any] = {
        name: None if files is None else _source(files, f"--{name}")
        for name, files in (("joint", args.joint), ("limb", args.limb))
    }
    models["graphs"] = [_source(files, "--graph") for files in args.graph or ()]
    return {**models, "weights": args.weights, "class_names": args.names}


def _source(files: list[str], field: str) -> str | tuple[str, ...]:
    if len(files) > 2:
        raise InputError(f"expected a checkpoint, or a config and a checkpoint, got {len(files)} files", field=field)
    return files[0] if len(files) == 1 else tuple(files)


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the options of segments and windows."""
    parser.add_argument("--background", nargs="+", default=[], metavar="NAME", help="classes that are no gestures")
    _add(parser, SegmentRules(), _RULES)
    parser.add_argument("--window", type=float, help="length of a window in s (default: by the training clips, or 2)")
    parser.add_argument("--stride", type=float, help="from one window to the next in s (default: a quarter of it)")
    _add(parser, WindowRules(), _WINDOWS)
    parser.add_argument("--together", action="store_true", help="all persons in the same heat maps, not each alone")


def _add(parser: argparse.ArgumentParser, rules: Any, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        value = getattr(rules, name)
        parser.add_argument(f"--{name}", type=float, default=value, help=f"{text} (default: {value:g})")


def rules_of(args: argparse.Namespace) -> SegmentRules:
    """Segment rules of the command line.

    Raises:
        InputError: A number is out of its range.
    """
    return SegmentRules(**{name: getattr(args, name) for name in (*_RULES, "background")})


def windows_of(args: argparse.Namespace) -> dict[str, Any]:
    """Given window options, as fields of :class:`WindowRules`."""
    names = (field.name for field in dataclasses.fields(WindowRules))
    return {name: value for name in names if (value := getattr(args, name)) is not None}
