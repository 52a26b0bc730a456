"""Make PySKL annotation files, and keypoint stores of large ones.

Usage:
    semloss prepare synthetic OUT.pkl [--clips N] [--seed S] [--subjects P] [--balance official|balanced]
    semloss prepare imigue SRC OUT.pkl [--workers N] [--strict] [SPLITS]
    semloss prepare smg SRC OUT.pkl [--workers N] [--strict] [SPLITS]
    semloss prepare imigue-kit SRC OUT.pkl [--keep-padding] [--strict] [SPLITS]
    semloss prepare smg-kit SRC OUT.pkl [--keep-padding] [--strict] [SPLITS]
    semloss prepare raw FORMAT SRC OUT.pkl [--workers N] [--strict] [SPLITS]
    semloss prepare kit FORMAT SRC OUT.pkl [--keep-padding] [--strict] [SPLITS]
    semloss prepare keypoints SRC... OUT.pkl --labels CSV [--class-names FILE] [READING] [SPLITS]
    semloss prepare keypoints SRC... OUT_FOLDER [READING]
    semloss prepare ids SRC.pkl FILE [--split test]
    semloss prepare subset SRC.pkl OUT.pkl --split NAME [--tail RATIO] [--clips N] [--seeds S...]
    semloss prepare example FOLDER [--persons N] [--gestures N] [--seed S]
    semloss prepare store SRC.pkl OUT [--strict]
    semloss prepare pickle STORE OUT.pkl
    SPLITS: [--split-file NAME=FILE]... [--partial] [--subjects FILE] [--val-fraction F] [--test-fraction F] [--seed S]
    READING: [--format F] [--layout L] [--to L] [--image-size WxH] [--fps F] [--person WHO] [--fill-gaps N] ...

``synthetic`` acts out the 32 iMiGUE classes by a parametric upper body: splits train, val and test without a common
person. Look at the clips with semloss animate.

``imigue`` and ``smg`` convert the raw folders, ``imigue-kit`` and ``smg-kit`` the arrays of the challenge kit. A
summary is written beside OUT.pkl as .json and .md. An interrupted conversion of raw folders goes on where it was when
it is run again. ``raw`` and ``kit`` convert any data set that is like these: FORMAT is its name, or a YAML or JSON file
that describes it. All rules: see docs/conversion.md.

``keypoints`` reads own keypoints, of OpenPose, of MMPose, npz or CSV, and cuts the clips that a table of labels names;
without labels it writes whole recordings for prediction. One that cannot be read stops no other; the exit status is 1
then. Formats and options: see docs/own_keypoints.md.

``ids`` checks, before anything is trained, that an official list has the ids of a split and no others.

``subset`` draws small training sets from a split, long-tailed (--tail 12: class sizes fall by 12 : 1) or with N clips a
class, one for each seed. OUT.pkl has all clips and splits of SRC.pkl and these as further splits, such as
train_tail12_seed0 and train_4clips_seed0.

``example`` writes a small study to try that on: recordings, labels, class names.
How it goes on: see docs/tutorial.md.

``store`` turns a pickle into a folder that datasets take as ann_file in its place, and that starts at once, however
large it is; ``pickle`` turns it back. Reasons and format: see docs/scale.md.
"""

import argparse
import sys
import warnings

from pyskl_semloss import datasets as converters
from pyskl_semloss.annotations import read_annotations, write_annotations
from pyskl_semloss.annotations.store_writer import pickle_to_store, store_to_pickle
from pyskl_semloss.annotations.subsets import with_subsets
from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.data_arguments import (
    add_keypoint_arguments,
    add_label_arguments,
    add_split_arguments,
    keypoint_options,
    split_options,
)
from pyskl_semloss.cli.interruption import exit_on_signal
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.progress import ProgressLine
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.submission import check_ids, read_ids
from pyskl_semloss.evaluation.toolbox_results import read_clip_labels
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.synthetic.clips import generate
from pyskl_semloss.synthetic.example_study import write_example_study


def _check_pickle_name(out: str) -> None:
    if not out.endswith(".pkl"):
        raise InputError("expected a name that ends in .pkl", file=out)


def _synthetic(args: argparse.Namespace) -> None:
    _check_pickle_name(args.out)
    annotations = generate(args.clips, args.seed, subjects=args.subjects, balance=args.balance)
    write_annotations(args.out, annotations)
    parts = ", ".join(f"{name} {len(ids)}" for name, ids in annotations.splits.items())
    say(f"Wrote {len(annotations.clips)} synthetic clips of 32 classes ({parts}) to {args.out}")


def _convert(args: argparse.Namespace) -> None:
    raw = converters.get_format(args.raw)
    args.default_fractions["val"] = raw.val_fraction
    progress = ProgressLine(sys.stderr, "clips" if "keep_padding" in args else "videos")
    common = dict(splits=split_options(args), strict=args.strict, progress=progress)
    if "keep_padding" in args:
        common |= dict(keep_padding=args.keep_padding, labels_from=args.labels_from)
        summary = converters.convert_kit(raw, args.source, args.out, **common)
    else:
        summary = converters.convert_raw(raw, args.source, args.out, workers=args.workers, **common)
    _say(summary, args.out)


def _keypoints(args: argparse.Namespace) -> None:
    options, progress = keypoint_options(args), ProgressLine(sys.stderr, "recordings")
    common = dict(workers=args.workers, progress=progress)
    if args.labels is None:
        if args.out.endswith(".pkl"):
            raise InputError(
                "an annotation file needs labels", field="labels", fix="Give --labels, or a folder as OUT."
            )
        failed: dict[str, InputError] = {}
        on_failure = None if args.strict else failed.__setitem__
        written = converters.convert_recordings(args.sources, args.out, options, **common, on_failure=on_failure)
        for about in written:
            say(converters.recording_line(about))
        if len(layouts := dict.fromkeys(about["layout"] for about in written)) > 1 and not args.to:
            say(f"They are of different layouts, {', '.join(layouts)}; --to makes one of them")
        say(f"Wrote {len(written)} of {len(written) + len(failed)} recordings to {args.out}, and for each a .json that "
            "says who was found")  # fmt: skip
        _end_on_failures([str(error) for error in failed.values()])
        return
    summary = converters.convert_keypoints(
        args.sources,
        args.out,
        args.labels,
        options,
        args.class_names,
        split_options(args),
        strict=args.strict,
        labels_from=args.labels_from,
        **common,
    )
    for about in summary["recordings"]:
        say(converters.recording_line(about))
    _say(summary, args.out)
    _end_on_failures([each["error"] for each in summary["recordings_failed"]])


def _end_on_failures(errors: list[str]) -> None:
    """Name the recordings that are left out; the exit status says that not all was done."""
    sys.stdout.flush()
    for line in (line for error in errors for line in f"error: {error}".splitlines()):
        say(line, error=True)
    if errors:
        raise SystemExit(1)


def _say(summary: dict, out: str) -> None:
    print(converters.summary_page(summary))
    parts = ", ".join(f"{name} {count}" for name, count in summary["splits"].items())
    say(f"Wrote {summary['clips']} clips ({parts}) to {out}, and this summary beside it as .json and .md")
    for empty in summary["findings"]["examples"].get("splits_empty", ()):
        say(f"warning: {empty}", error=True)


def _ids(args: argparse.Namespace) -> None:
    known = read_clip_labels(args.source, args.split)[0]
    ids = check_ids(known, read_ids(args.ids), args.source)
    say(f"The {len(ids)} ids of {args.ids} are those of the split {args.split!r} of {args.source}")


def _subset(args: argparse.Namespace) -> None:
    _check_pickle_name(args.out)
    if args.tail is None and args.clips is None:
        raise InputError("there is nothing to draw", field="subset", fix="Give --tail RATIO, --clips N, or both.")
    annotations, _ = read_annotations(args.source, unknown_labels=True)
    try:
        result = with_subsets(annotations, args.split, args.seeds, tail=args.tail, clips=args.clips)
    except InputError as error:
        raise error.located(file=args.source) from None
    write_annotations(args.out, result)
    drawn = {name: len(ids) for name, ids in result.splits.items() if name not in annotations.splits}
    parts = ", ".join(f"{name} {count}" for name, count in drawn.items())
    say(f"Wrote {len(result.clips)} clips with {len(drawn)} further splits ({parts}) to {args.out}")


def _example(args: argparse.Namespace) -> None:
    write_example_study(args.folder, args.persons, args.gestures, args.seed)
    say(f"Wrote {args.persons} labelled recordings, labels.csv, names.txt and a new recording to {args.folder}")


def _store(args: argparse.Namespace) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the report says it, too
        report = pickle_to_store(args.source, args.out, strict=args.strict)
    print(report)
    say(f"Wrote a keypoint store of {report.clips_kept} clips to {args.out}")


def _pickle(args: argparse.Namespace) -> None:
    _check_pickle_name(args.out)
    say(f"Wrote {store_to_pickle(args.source, args.out)} clips to {args.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser(__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    synthetic = commands.add_parser("synthetic", help="a synthetic set of 32 acted gestures")
    synthetic.add_argument("out", metavar="OUT.pkl")
    synthetic.add_argument("--clips", type=int, default=1600, help="in all splits together (default: 1600)")
    synthetic.add_argument("--seed", type=int, default=0, help="the same seed gives the same file (default: 0)")
    synthetic.add_argument("--subjects", type=int, default=40, help="number of persons (default: 40)")
    synthetic.add_argument("--balance", choices=("balanced", "official"), default="balanced",
                           help="equal classes, or iMiGUE's shares (default: balanced)")  # fmt: skip
    synthetic.set_defaults(run=_synthetic)
    for name, raw in converters.FORMATS.items():
        _converter(commands.add_parser(name, help=f"the raw folders of {raw.name}"), raw, kit=False)
        _converter(commands.add_parser(f"{name}-kit", help=f"the kit's arrays of {raw.name}"), raw, kit=True)
    _converter(commands.add_parser("raw", help="the raw folders of any data set"), None, kit=False)
    _converter(commands.add_parser("kit", help="the kit's arrays of any data set"), None, kit=True)
    own = commands.add_parser("keypoints", help="own keypoints: OpenPose, MMPose, npz, CSV")
    own.add_argument("sources", nargs="+", metavar="SRC", help="files or folders")
    own.add_argument("out", metavar="OUT", help="the annotation file, .pkl; without --labels a folder of recordings")
    own.add_argument("--labels", metavar="FILE", help="CSV of recording,start,end,label and optionally split,subject")
    own.add_argument("--class-names", metavar="FILE", help="the classes, one a line (default: labels are numbers)")
    own.add_argument("--strict", action="store_true", help="refuse what would be mended or dropped")
    add_label_arguments(own)
    add_keypoint_arguments(own)
    add_split_arguments(own, 0.2)
    own.set_defaults(run=_keypoints)
    ids = commands.add_parser("ids", help="check an official list of ids against a split")
    ids.add_argument("source", metavar="SRC.pkl")
    ids.add_argument("ids", metavar="FILE", help="the list: ids, one a line or with commas between them")
    ids.add_argument("--split", default="test", help="the split that it is of (default: test)")
    ids.set_defaults(run=_ids)
    subset = commands.add_parser("subset", help="small training sets: long-tailed, or few clips a class")
    subset.add_argument("source", metavar="SRC.pkl")
    subset.add_argument("out", metavar="OUT.pkl")
    subset.add_argument("--split", default="train", help="the split to draw from (default: train)")
    subset.add_argument("--tail", type=float, metavar="RATIO", help="the largest class to the smallest, as 12")
    subset.add_argument("--clips", type=int, metavar="N", help="clips of every class")
    subset.add_argument("--seeds", nargs="+", type=int, default=[0], help="a subset for each (default: 0)")
    subset.set_defaults(run=_subset)
    example = commands.add_parser("example", help="a small study in the formats of own keypoints")
    example.add_argument("folder", metavar="FOLDER", help="folder to write")
    example.add_argument("--persons", type=int, default=12, help="one labelled recording each (default: 12)")
    example.add_argument("--gestures", type=int, default=24, help="in a recording (default: 24)")
    example.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (default: 0)")
    example.set_defaults(run=_example)
    store = commands.add_parser("store", help="a keypoint store of a pickle, for large sets")
    store.add_argument("source", metavar="SRC.pkl")
    store.add_argument("out", metavar="OUT", help="the folder to make; a store that is there is replaced")
    store.add_argument("--strict", action="store_true", help="refuse what would be mended")
    store.set_defaults(run=_store)
    back = commands.add_parser("pickle", help="a pickle of a keypoint store")
    back.add_argument("source", metavar="STORE")
    back.add_argument("out", metavar="OUT.pkl")
    back.set_defaults(run=_pickle)
    for command in (synthetic, own, subset, example, back):
        add_overwrite_option(command)
    return parser


def _converter(parser: argparse.ArgumentParser, raw: converters.RawFormat | None, *, kit: bool) -> None:
    if raw is None:
        names = ", ".join(converters.FORMATS)
        parser.add_argument("raw", metavar="FORMAT", help=f"{names}, or a YAML or JSON file that describes a data set")
    else:
        parser.set_defaults(raw=raw)
    parser.add_argument("source", metavar="SRC", help="folder of the data")
    parser.add_argument("out", metavar="OUT.pkl")
    parser.add_argument("--strict", action="store_true", help="refuse what would be mended or dropped")
    if kit:
        parser.add_argument("--keep-padding", action="store_true", help="keep the zeros at the ends of clips (paper)")
        add_label_arguments(parser)
    else:
        parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    add_split_arguments(parser, raw.val_fraction if raw else None)
    add_overwrite_option(parser)
    parser.set_defaults(run=_convert)


@exit_on_error
@exit_on_signal()
def main() -> None:
    """Run the subcommand."""
    args = _parser().parse_args()
    args.run(args)
