"""Make PySKL annotation files.

Usage:
    python tools/prepare_data.py synthetic OUT.pkl [--clips N] [--seed S] [--subjects P] [--balance official|balanced]

``synthetic`` acts out the 32 iMiGUE classes by a parametric upper body: splits train, val and test without a common
person. Look at the clips with tools/animate_clip.py.
"""

import argparse

from pyskl_semloss.annotations import write_annotations
from pyskl_semloss.annotations.synthetic import generate
from pyskl_semloss.errors import exit_on_error


def _synthetic(args: argparse.Namespace) -> None:
    annotations = generate(args.clips, args.seed, subjects=args.subjects, balance=args.balance)
    write_annotations(args.out, annotations)
    parts = ", ".join(f"{name} {len(ids)}" for name, ids in annotations.splits.items())
    print(f"Wrote {len(annotations.clips)} synthetic clips of 32 classes ({parts}) to {args.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    synthetic = commands.add_parser("synthetic", help="the synthetic set")
    synthetic.add_argument("out", metavar="OUT.pkl")
    synthetic.add_argument("--clips", type=int, default=1600, help="in all splits together (default: 1600)")
    synthetic.add_argument("--seed", type=int, default=0, help="the same seed gives the same file (default: 0)")
    synthetic.add_argument("--subjects", type=int, default=40, help="number of persons (default: 40)")
    synthetic.add_argument("--balance", choices=("balanced", "official"), default="balanced",
                           help="equal classes, or iMiGUE's shares (default: balanced)")  # fmt: skip
    synthetic.set_defaults(run=_synthetic)
    return parser


@exit_on_error
def main() -> None:
    """Run the command of the command line."""
    args = _parser().parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
