"""Make the HTML report of a test: numbers, curves and clips in one offline file.

    semloss report work_dirs/imigue/joint work_dirs/imigue/limb --ann-file imigue.pkl --split test --out report/
    semloss report joint.npz limb.npz --weights 2 3 --names data/imigue_labels.txt --label-vectors vectors.npz
    semloss report joint.npz limb.npz --baseline joint_baseline.npz limb_baseline.npz
    semloss report --config ensemble.py --subjects subjects.csv

Inputs are run folders with a test_scores.npz, or score files. Without --ann-file the report has no pictures of clips;
without --label-vectors nothing about names. See docs/report.md.
"""

import argparse

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.skeletons import get_layout


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("inputs", nargs="*", metavar="RUN_OR_SCORES", help="run folder or score file, one per model")
    parser.add_argument("--config", help="a fusion config in the place of inputs and weights")
    parser.add_argument("--out", default="report", help="folder for index.html (default: report)")
    parser.add_argument(
        "--weights",
        nargs="+",
        type=float,
        help="one per input (default: 2 : 3 for joint and limb of iMiGUE or SMG, else equal)",
    )
    parser.add_argument("--baseline", nargs="+", default=[], metavar="RUN_OR_SCORES", help="one, or one per input")
    parser.add_argument("--names", metavar="FILE", help="class names, one a line")
    parser.add_argument("--label-vectors", metavar="FILE", help="label vectors, of semloss label-vectors")
    parser.add_argument("--ann-file", metavar="FILE", help="annotation file with the clips' keypoints")
    parser.add_argument("--split", help="the split of --ann-file that was tested")
    parser.add_argument("--subjects", metavar="FILE", help="CSV video,subject: intervals resample whole persons")
    parser.add_argument("--layout", help="of the clips' joints, a name or a file (default: by their number)")
    parser.add_argument("--title", default="Skeleton action recognition", help="heading of the page")
    parser.add_argument("--fps", type=float, default=25, help="frames a second of the clips (default: 25)")
    add_overwrite_option(parser)
    return parser.parse_args()


@exit_on_error
def main() -> None:
    """Write the report and print its path."""
    from pyskl_semloss.report.inputs import read_inputs
    from pyskl_semloss.report.page import write_report

    args = parse_args()
    material = read_inputs(
        args.inputs,
        names=args.names,
        ann_file=args.ann_file,
        split=args.split,
        label_vectors=args.label_vectors,
        baseline=args.baseline,
        weights=args.weights,
        subjects=args.subjects,
        config=args.config,
    )
    layout = get_layout(args.layout) if args.layout else None
    written = write_report(material, args.out, layout=layout, title=args.title, fps=args.fps)
    say(f"Report of {len(material.final.scores.label)} clips written to {written.path} ({written.size / 1e6:.1f} MB)")
