"""The commands of ``semloss``, and texts that name them as the user typed them.

Texts in the source speak of ``semloss train``; where they are shown, :func:`as_typed` makes ``semloss train`` of
it for whoever started a script of ``tools/``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class Command(NamedTuple):
    """A command of ``semloss``.

    Attributes:
        module: Its module in :mod:`pyskl_semloss.cli`, which has a ``main``; also the name of its script in ``tools/``.
        group: Its heading in the help.
        help: What it does, in a few words.
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


def available_commands() -> dict[str, Command]:
    """The commands whose modules are installed; none of them is imported."""
    return {name: command for name, command in COMMANDS.items() if find_spec(f"pyskl_semloss.cli.{command.module}")}


def as_typed(text: str) -> str:
    """A text in which commands are named as the user started this one.

    Args:
        text: It names commands as ``semloss NAME``.

    Returns:
        The same, with ``python tools/MODULE.py`` in their place where this process runs a script of ``tools/`` and that
        folder has a script for the command.
    """
    script = _tool_script()
    if script is None:
        return text

    def named(match: re.Match[str]) -> str:
        name = f"{COMMANDS[match[1]].module}.py"
        return f"python tools/{name}" if script.with_name(name).is_file() else match[0]

    return _NAMED.sub(named, text)


def _tool_script() -> Path | None:
    """The script of ``tools/`` that this process runs."""
    script = Path(os.path.abspath(sys.argv[0]))
    return script if script.parent.name == "tools" and script.suffix == ".py" else None


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help and usage name commands as the user typed them.

    Args:
        doc: The docstring of the command's module, shown as it is.
    """
    script = _tool_script()
    # As a command of semloss, sys.argv[0] says what was typed.
    prog = None if script is None else f"python tools/{script.name}"
    return _Parser(prog=prog, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


class _Parser(argparse.ArgumentParser):
    """Also that of subcommands, which argparse makes of the same class."""

    def format_help(self) -> str:
        return as_typed(super().format_help())
