"""Find and name the gestures in recordings and videos with trained models.

semloss predict interview.npz --joint work_dirs/joint/epoch_100.pth --limb work_dirs/limb/epoch_100.pth
semloss predict *.mp4 --joint CONFIG CHECKPOINT --format csv eaf vtt --out predictions --background illustrative
A recording is an .npz of keypoints, a video needs pip install 'pyskl_semloss[video]'; see docs/predict.md.
The status is 0 when all inputs were predicted, 1 when some failed, 2 when nothing could begin. An input in which no
gesture is found, or nobody is seen, was predicted: its files are empty, and the reason is said.
"""

import argparse
import sys
import warnings

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
    add_models(parser)
    parser.add_argument("--out", default="predictions", help="folder of the files (default: predictions)")
    parser.add_argument("--format", nargs="+", choices=list(WRITERS), default=["csv"], help="(default: csv)")
    parser.add_argument(
        "--overlay", action="store_true", help="write NAME_overlay.mp4: skeleton and names over the video"
    )
    parser.add_argument("--videos", metavar="DIR", help="where the videos of recordings lie (default: beside them)")
    add_rules(parser)
    parser.add_argument("--all-views", action="store_true", help="all views of the config's test, not one (slow)")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU where there is one)")
    parser.add_argument("--fast", action="store_true", help="bfloat16, see docs/throughput.md")
    add_overwrite_option(parser)
    return parse_with_models(parser, sys.argv[1:], is_no_model)


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
    predictor = Predictor(**models, device=args.device, fast=args.fast)
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
        found = outcome.segmentation
        say(f"{outcome.source}: {len(found.segments)} segments in {found.seconds:.1f} s")
        print(format_segments(found.segments) if found.segments else f"No gesture was found. {found.explanation}")
        say(f"Written to {', '.join(outcome.written)}")
        for note in outcome.notes:
            say(f"warning: {outcome.source}: {note}", error=True)
    if failed:
        say(f"{failed} of {len(args.inputs)} inputs failed.", error=True)
        raise SystemExit(1)
