"""Find and name the gestures in recordings and videos with trained models.

semloss predict interview.npz --joint work_dirs/joint/epoch_100.pth --limb work_dirs/limb/epoch_100.pth
semloss predict *.mp4 --joint CONFIG CHECKPOINT --format csv eaf vtt --out predictions --background illustrative
semloss predict interview.npz --joint joint.pth --names more.txt --vectors glove.6B.300d.txt
--names also names classes that the models were not trained on, by the nearest name (docs/unseen.md). For models that do
not know the names of their own classes, it gives these.
A recording is an .npz of keypoints, a video needs pip install 'pyskl_semloss[video]'; see docs/predict.md.
The status is 0 when all inputs were predicted, 1 when some failed, 2 when nothing could begin. An input in which no
gesture is found, or nobody is seen, was predicted: its files are empty, and the reason is said.
"""

import argparse
import sys
import warnings
from typing import Any

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.segment_arguments import (
    add_models,
    add_rules,
    is_no_model,
    models_of,
    parse_with_models,
    rules_of,
    windows_of,
)
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.segments.files import WRITERS, check_formats

_NAMES = "--names FILE gives them, one a line."


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="recording (.npz) or video")
    add_models(parser, "names, one a line, of further classes; of all classes where the models do not know theirs")
    parser.add_argument("--out", default="predictions", help="folder of the files (default: predictions)")
    parser.add_argument("--format", nargs="+", choices=list(WRITERS), default=["csv"], help="(default: csv)")
    parser.add_argument(
        "--overlay", action="store_true", help="write NAME_overlay.mp4: skeleton and names over the video"
    )
    parser.add_argument("--videos", metavar="DIR", help="where the videos of recordings lie (default: beside them)")
    parser.add_argument("--vectors", metavar="SOURCE", help="of --names: word vectors or the text encoder of the "
                        "training (default: the recorded one, if it is shipped or hash)")  # fmt: skip
    parser.add_argument("--label-vectors", metavar="FILE.npz", help="of --names: the label vectors of the training, "
                        "where the models do not record what these were built from")  # fmt: skip
    parser.add_argument("--seen-bias", type=float, default=0.0, metavar="B", help="of --names: subtracted from the "
                        "cosines of the trained names (default: 0)")  # fmt: skip
    add_rules(parser)
    parser.add_argument("--all-views", action="store_true", help="all views of the config's test, not one (slow)")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU where there is one)")
    parser.add_argument("--fast", action="store_true", help="bfloat16, see docs/throughput.md")
    add_overwrite_option(parser)
    return parse_with_models(parser, sys.argv[1:], is_no_model)


def _use_names(predictor: Any, file: str | None, args: argparse.Namespace) -> None:
    """Names of a file: of further classes, or of the models' own where they do not know them."""
    from pyskl_semloss.hosts.mmaction2.prediction.model_agreement import names_of_classes
    from pyskl_semloss.semantic.class_names import read_class_names
    from pyskl_semloss.semantic.unseen import FurtherNames

    unknown = not any(model.class_names for model in predictor.models.values())
    own = file is not None and (unknown or tuple(read_class_names(file)) == predictor.class_names)
    if (file is None or own) and (args.vectors or args.label_vectors or args.seen_bias):
        problem = "there are no names of further classes that they could be for"
        fix = "--names FILE gives them, one a line, to models that know the names of their own classes."
        raise InputError(problem, field="--vectors, --label-vectors, --seen-bias", fix=fix)
    if own:
        predictor.class_names = names_of_classes(file, predictor.models)
    elif file is not None:
        further = FurtherNames(tuple(read_class_names(file)), args.vectors, args.seen_bias)
        predictor.add_names(further, args.label_vectors)


@exit_on_error
def main() -> None:
    """Predict every input, and say what was found and where it is."""
    args = parse_args()
    models, rules, windows = models_of(args), rules_of(args), windows_of(args)
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    check_formats(args.format)
    import torch

    from pyskl_semloss.cli.progress import ProgressLine
    from pyskl_semloss.cpu.allocator import keep_large_blocks
    from pyskl_semloss.hosts.mmaction2.prediction.predict_files import predict_files
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
    from pyskl_semloss.segments.segment import format_segments

    if not torch.cuda.is_available():
        keep_large_blocks()
    names = models.pop("class_names")
    predictor = Predictor(**models, device=args.device, fast=args.fast)
    _use_names(predictor, names, args)
    if predictor.class_names[0] == "class 0":
        if args.background:
            raise InputError("the models do not know the names of their classes", field="--background", fix=_NAMES)
        warnings.warn(f"the models do not know the names of their classes. {_NAMES}", stacklevel=1)
    lines: list[ProgressLine] = []
    outcomes = predict_files(
        predictor, args.inputs, args.out, args.format, rules, **windows, one_view=not args.all_views,
        overlay=args.overlay, videos=args.videos,
        on_start=lambda source: lines.append(ProgressLine(sys.stderr, f"windows of {source}")),
        progress=lambda done, total: lines[-1](done, total),
    )  # fmt: skip
    failed = 0
    for outcome in outcomes:
        if outcome.segmentation is None:
            failed += 1
            for line in f"error: {outcome.error}".splitlines():
                say(line, error=True)
            continue
        result = outcome.segmentation
        say(f"{outcome.source}: {len(result.segments)} segments in {result.seconds:.1f} s")
        print(
            format_segments(result.segments, result.unseen_names)
            if result.segments
            else f"No gesture was found. {result.explanation}"
        )
        say(f"Written to {', '.join(outcome.written)}")
        for note in outcome.notes:
            say(f"warning: {outcome.source}: {note}", error=True)
    if failed:
        say(f"{failed} of {len(args.inputs)} inputs failed.", error=True)
        raise SystemExit(1)
