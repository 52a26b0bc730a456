"""Command-line arguments of the converters."""

from __future__ import annotations

import argparse
import re

from pyskl_semloss.datasets.recordings import KeypointOptions
from pyskl_semloss.datasets.splits import SplitOptions, read_split_files, read_subjects
from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.assembly import RecordingOptions
from pyskl_semloss.recordings.keypoint_files import FORMATS
from pyskl_semloss.recordings.persons import SELECTIONS
from pyskl_semloss.skeletons import get_layout


def add_split_arguments(parser: argparse.ArgumentParser, val_fraction: float | None) -> None:
    """Add ``--split-file``, ``--partial``, ``--subjects``, ``--val-fraction``, ``--test-fraction`` and ``--seed``.

    Args:
        parser: The parser to add them to.
        val_fraction: The default; None: that of the data set's format.
    """
    add = parser.add_argument
    add("--split-file", action="append", default=[], metavar="NAME=FILE",
        help="an official list of train, val or test: ids of clips or videos, one a line; or FILE.json")  # fmt: skip
    add("--partial", action="store_true",
        help="for a part of the data set: unknown ids in the lists are noted, not refused")  # fmt: skip
    add("--subjects", metavar="FILE", help="CSV of video,subject: splits are made by subject")
    default = "what FORMAT says" if val_fraction is None else val_fraction
    parser.set_defaults(default_fractions={"val": val_fraction, "test": 0.25})
    add("--val-fraction", type=float,
        help=f"share of the training videos or subjects for val, without such a list (default: {default})")  # fmt: skip
    add("--test-fraction", type=float, help="share of the videos or subjects for test, likewise (default: 0.25)")
    add("--seed", type=int, default=0, help="of the random shares (default: 0)")


def split_options(args: argparse.Namespace) -> SplitOptions:
    """Split options from the arguments of :func:`add_split_arguments`.

    Raises:
        InputError: A file cannot be read, or a value is out of range.
    """
    subjects = read_subjects(args.subjects) if args.subjects else {}
    lists = read_split_files(args.split_file)
    given = {"val": args.val_fraction, "test": args.test_fraction}
    asked = [name for name, share in given.items() if share is not None]
    shares = args.default_fractions | {name: given[name] for name in asked}
    return SplitOptions(lists, subjects, shares["val"], shares["test"], args.seed, args.partial, asked)


def add_label_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--labels-from``."""
    parser.add_argument("--labels-from", type=int, choices=(0, 1), help="the number of the first class, where labels "
                        "are numbers (default: 0; asked for where they seem to be from 1)")  # fmt: skip


def add_keypoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of reading own keypoints; see docs/own_keypoints.md."""
    add = parser.add_argument
    add("--format", choices=FORMATS, help="of the sources (default: by their names)")
    add("--layout", metavar="LAYOUT", help="of the sources' joints, a name or a file (default: that of the sources)")
    add("--to", metavar="LAYOUT", help="layout of the result, a name or a file (default: that of the sources)")
    add("--alias", action="append", default=[], metavar="TARGET=SOURCE", help="a joint of --to, and its source")
    add("--image-size", metavar="WxH", help="of the video in px, as 1920x1080, if the sources lack it")
    add("--fps", type=float, help="frames per second of the video, if the sources lack it")
    add_person_arguments(parser)
    add("--fill-gaps", type=int, default=0, metavar="FRAMES", help="interpolate gaps up to this long (default: none)")
    add("--workers", type=int, default=2, help="processes (default: 2)")


def add_person_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--person``, ``--max-persons`` and ``--pause``."""
    add = parser.add_argument
    add("--person", default="largest", metavar="WHO", help=f"{', '.join(SELECTIONS)}, or a number (default: largest)")
    add("--max-persons", type=int, default=2, metavar="N", help="for --person all (default: 2)")
    add("--pause", type=int, metavar="FRAMES", help="longest absence that keeps a person's number (default: 1 s)")


def keypoint_options(args: argparse.Namespace) -> KeypointOptions:
    """Options of own keypoints from the arguments of :func:`add_keypoint_arguments`.

    Raises:
        InputError: A layout is unknown, or a value is out of range.
    """
    aliases = {}
    for item in args.alias:
        target, equals, source = item.partition("=")
        if not (equals and target and source):
            raise InputError(f"expected TARGET=SOURCE, two joints, got {item!r}", field="alias")
        aliases[target] = source
    recording = RecordingOptions(
        image_shape(args.image_size) if args.image_size else None, args.fps, get_layout(args.to) if args.to else None,
        args.person, args.max_persons, args.pause, args.fill_gaps, aliases,
    )  # fmt: skip
    return KeypointOptions(args.format, get_layout(args.layout) if args.layout else None, recording)


def image_shape(text: str) -> tuple[int, int]:
    """(height, width) in px of a text ``WIDTHxHEIGHT``.

    Raises:
        InputError: The text has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})[x\u00d7*]([1-9]\d{0,5})", text.strip().lower(), re.ASCII)
    if match is None:
        problem = f"expected WIDTHxHEIGHT in px, as 1920x1080, got {text!r}"
        raise InputError(problem, field="image-size")
    return int(match[2]), int(match[1])
