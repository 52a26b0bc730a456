"""Commands of ``semloss``, their parser, and their names as typed.

Texts in the source speak of ``semloss train``. For a user who started a script of ``tools/``, :func:`as_typed` replaces
that by ``python tools/train.py`` when the text is shown.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pyskl_semloss.io.resources import documentation


class Command(NamedTuple):
    """A command of ``semloss``.

    Attributes:
        module: Its module in :mod:`pyskl_semloss.cli`, which has a ``main``; also the name of its script in ``tools/``.
        group: Its heading in the help.
        help: Its line in the help.
    """

    module: str
    group: str
    help: str


COMMANDS = {
    "prepare": Command("prepare_data", "Data", "make annotation files: iMiGUE, SMG, own keypoints, synthetic clips"),
    "poses": Command("estimate_poses", "Data", "find keypoints in videos"),
    "label-vectors": Command("build_label_vectors", "Data", "make label vectors from class names and word vectors"),
    "quickstart": Command("quickstart", "Training", "run the whole recipe on synthetic clips"),
    "configs": Command("configs", "Training", "list the configs, or copy some"),
    "train": Command("train", "Training", "train a model"),
    "test": Command("test", "Training", "test a checkpoint and write its scores"),
    "sweep": Command("sweep", "Training", "train and test over alpha, label vectors and seeds"),
    "unseen": Command("unseen", "Training", "train without some classes and test whether their names are found"),
    "table3": Command("table3", "Training", "train and test the methods that the paper compares"),
    "reproduce": Command("reproduce", "Training", "from a downloaded data set to the submission"),
    "convert": Command("convert_checkpoint", "Training", "convert checkpoints from and to the published release"),
    "fuse": Command("fuse_scores", "Results", "fuse scores of several models, write the submission"),
    "compare": Command("compare_scores", "Results", "compare two models on the same clips"),
    "compare-segments": Command("compare_segments", "Results", "compare predicted segments with annotated ones"),
    "report": Command("report", "Results", "make the HTML report of a test"),
    "predict": Command("predict", "Prediction", "find and name gestures in recordings and videos"),
    "app": Command("app", "Prediction", "the same in the browser"),
    "export": Command("export_onnx", "Prediction", "write trained models as an ONNX file"),
    "layouts": Command("draw_skeletons", "Pictures", "draw keypoint layouts"),
    "animate": Command("animate_clip", "Pictures", "draw a clip as an animation"),
    "check": Command("check_environment", "Environment", "say what is installed and what is missing"),
}
_NAMED = re.compile(rf"(?<![\w./-])semloss ({'|'.join(sorted(COMMANDS, reverse=True))})(?![\w/-]|\.\w)")

_PAGE = re.compile(r"\bdocs/(\w+)\.md\b")


def available_commands() -> dict[str, Command]:
    """Commands whose modules are installed; no module is imported."""
    return {name: command for name, command in COMMANDS.items() if find_spec(f"pyskl_semloss.cli.{command.module}")}


def as_typed(text: str) -> str:
    """Text with its commands named as the user started this process.

    Args:
        text: Text that names commands as ``semloss NAME``.

    Returns:
        The text. If this process runs a script of ``tools/``, each ``semloss NAME`` with a script in that folder is
        replaced by ``python tools/MODULE.py``.
    """
    script = _tool_script()
    if script is None:
        return text

    def named(match: re.Match[str]) -> str:
        name = f"{COMMANDS[match[1]].module}.py"
        return f"python tools/{name}" if script.with_name(name).is_file() else match[0]

    return _NAMED.sub(named, text)


def _tool_script() -> Path | None:
    """The script of ``tools/`` that this process runs, or None."""
    script = Path(os.path.abspath(sys.argv[0]))
    return script if script.parent.name == "tools" and script.suffix == ".py" else None


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """Parser of a command: its errors suggest the nearest option or choice.

    Help and usage name commands as the user typed them, and pages of the documentation by their address.

    Args:
        doc: Docstring of the command's module, shown as the description.
    """
    script = _tool_script()
    # As a command of semloss, sys.argv[0] says what was typed.
    prog = None if script is None else f"python tools/{script.name}"
    return Parser(prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


class Parser(argparse.ArgumentParser):
    """See :func:`argument_parser`."""

    def add_subparsers(self, **options: Any) -> Any:
        """As in argparse."""
        return super().add_subparsers(**{"parser_class": _Subcommand, "action": _Subcommands, **options})

    def format_help(self) -> str:
        """As in argparse."""
        return _PAGE.sub(lambda match: documentation(match[1]), as_typed(super().format_help()))

    def error(self, message: str) -> NoReturn:
        """As in argparse; an unknown option gets the nearest known option."""
        unknown = re.match(r"unrecognized arguments: (--?[^\s=]+)", message)
        super().error(message + self.near_option(unknown[1]) if unknown else message)

    def near_option(self, word: str) -> str:
        """Hint to the nearest option, for the end of a message; empty without a near option."""
        from pyskl_semloss.io.reading import did_you_mean

        shown = (action for action in self._actions if action.help is not argparse.SUPPRESS)
        return did_you_mean(word, [option for action in shown for option in action.option_strings])

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            from pyskl_semloss.io.reading import did_you_mean

            choices = [choice for choice in action.choices or () if isinstance(choice, str)]
            error.message += did_you_mean(str(value), choices)
            raise


class _Subcommands(argparse._SubParsersAction):
    """Subcommands whose help is also their description."""

    def add_parser(self, name: str, *, help: str | None = None, **options: Any) -> Any:
        description = None if help is None else f"{help[0].upper()}{help[1:]}."
        return super().add_parser(name, help=help, **{"description": description, **options})


class _Subcommand(Parser):
    """Parser of a subcommand that itself reports unknown options, as it knows the near ones."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        known, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest
