"""Export trained models to one ONNX file, from keypoints to class probabilities.

semloss export work_dirs/gestures.onnx --joint work_dirs/imigue/joint/epoch_100.pth \
    --limb work_dirs/imigue/limb/epoch_100.pth --weights 2 3
semloss export OUT --joint CHECKPOINT --one-view                    # one model, one view of a clip
semloss export OUT --joint CHECKPOINT --check clips.pkl --split val   # compare with torch
semloss export OUT --joint CHECKPOINT --check clips.pkl --benchmark   # and compare the speed

A checkpoint records its config; for one that does not, give --joint CONFIG CHECKPOINT.
How to use the file: see docs/export.md.
"""

import argparse
import sys

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.segment_arguments import add_models, models_of, parse_with_models
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import add_overwrite_option


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("out", help="the file to write, .onnx")
    add_models(parser)
    parser.add_argument("--one-view", action="store_true", help="one view of a clip, not all of the config's test")
    parser.add_argument("--max-frames", type=int, default=1024, help="longest clip (default: 1024 frames)")
    parser.add_argument("--check", metavar="ANN", help="compare with torch on clips of this annotation file")
    parser.add_argument("--split", help="the split of it to take clips from (default: all)")
    parser.add_argument("--clips", type=int, default=8, help="how many clips to compare (default: 8)")
    parser.add_argument("--benchmark", action="store_true", help="also measure both on these clips, turn by turn")
    add_overwrite_option(parser)
    args = parse_with_models(parser, sys.argv[1:], lambda word: word.lower().endswith(".onnx"))
    if not args.out.endswith(".onnx"):
        raise InputError("expected a name that ends in .onnx", file=args.out)
    if args.clips < 1:
        raise InputError(f"expected at least 1, got {args.clips}", field="--clips")
    if args.benchmark and not args.check:
        raise InputError("expected clips to measure on", field="--benchmark", fix="Give --check.")
    return args


@exit_on_error
def main() -> None:
    """Export, and on request compare with PyTorch."""
    args = parse_args()
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.hosts.mmaction2.export import check, export_onnx
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor

    predictor = Predictor(**models_of(args), device="cpu")
    clips = check.read_clips(args.check, args.split, args.clips, predictor) if args.check else []
    export_onnx(predictor, args.out, one_view=args.one_view, max_frames=args.max_frames)
    if clips:
        apart = check.compare(predictor, args.out, clips, one_view=args.one_view)
        shown = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
        say(f"Largest difference to torch on {len(clips)} clips: {shown}")
    if args.benchmark:
        print(check.benchmark(predictor, args.out, clips, one_view=args.one_view))
    say(f"Wrote the {' and '.join(predictor.models)} model to {args.out}")
