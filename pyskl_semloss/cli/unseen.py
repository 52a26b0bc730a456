"""Train without some classes and test on all: how well are classes named that nobody trained?

    semloss unseen configs/mmaction2/msr_action3d/joint.py --hold-out 5 --folds 5
    semloss unseen CONFIG --hold-out 5 --folds 3 --transform centred --vectors given hash shuffled
    semloss unseen CONFIG --alpha 1 --cfg-options model.cls_head.loss=contrastive --dry-run
    semloss unseen --out work_dirs/msr_action3d/unseen --table-only --seen-bias 0.1

Each fold holds other classes out, as long as there are others; the training sees no clip of them. Training is on
MMAction2. The table has the accuracies on seen and unseen classes by the nearest name, their harmonic mean, the
accuracy among unseen classes alone (zero-shot), the spread over the folds, and what unseen classes are taken for. Run
it again after an interruption: finished runs are skipped, the one that was cut off goes on. See docs/unseen.md.
"""

import argparse
import functools
import math
from pathlib import Path

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.interruption import exit_on_signal
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.sweep import parse_with_run_options, read_config, show_results, show_runs
from pyskl_semloss.io.resources import find_config
from pyskl_semloss.semantic.targets import TARGETS
from pyskl_semloss.sweep.folds import (
    KINDS,
    PAPER_ALPHA,
    FoldDescriber,
    FoldRun,
    classes_to_hold_out,
    draw_folds,
    plan_folds,
    read_labels,
)
from pyskl_semloss.sweep.plan import take_shard
from pyskl_semloss.sweep.runs import Reporting, Tools, run_all
from pyskl_semloss.sweep.unseen_table import headline, standing, write_unseen_results


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("config", nargs="?", help="config with the semantic branch, a file or a name")
    parser.add_argument("--hold-out", type=int, default=5, metavar="K", help="classes without training (default: 5)")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="draws of such classes (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw, and of the first training (default: 0)")
    parser.add_argument("--vectors", nargs="+", choices=KINDS, default=("given", "shuffled"),
                        help="default: given shuffled")  # fmt: skip
    parser.add_argument("--transform", nargs="+", choices=list(TARGETS), default=[], metavar="NAME",
                        help=f"of the label vectors, fitted to the trained names: {', '.join(TARGETS)}")  # fmt: skip
    parser.add_argument("--alpha", type=float, help="weight of the semantic loss (default: the config's)")
    parser.add_argument("--seen-bias", type=float, default=0.0, metavar="B",
                        help="subtracted from the cosines of the trained names (default: 0)")  # fmt: skip
    parser.add_argument("--modality", nargs="+", choices=("joint", "limb"), default=(), help="default: the config's")
    args = parse_with_run_options(parser, "unseen")
    if not math.isfinite(args.seen_bias):
        parser.error(f"--seen-bias: expected a finite number, got {args.seen_bias}")
    return args


def plan(args: argparse.Namespace) -> tuple[list[FoldRun], FoldDescriber]:
    """Draw the folds and plan their runs; say which classes are never drawn.

    Raises:
        InputError: The model has no semantic branch, a class has no training clips, or a number is out of range.
    """
    path = Path(find_config(args.config))
    config = read_config(str(path), [option.replace("{seed}", str(args.seed)) for option in args.cfg_options])
    vectors, train = read_labels(config, "train", path)
    _, test = read_labels(config, "test", path)
    names = vectors.class_names
    classes = classes_to_hold_out(names, train, test)
    if untested := [name for number, name in enumerate(names) if number not in classes]:
        say(f"never held out, because they have no test clip: {', '.join(untested)}")
    folds = draw_folds(classes, args.hold_out, args.folds, args.seed)
    alpha = args.alpha if args.alpha is not None else config["model"]["cls_head"].get("alpha", PAPER_ALPHA)
    runs = plan_folds(path, folds, alpha=alpha, seed=args.seed, modalities=args.modality, vectors=args.vectors)
    for number, fold in enumerate(folds):
        say(f"fold {number} holds out: {', '.join(names[label] for label in fold)}")
    return runs, FoldDescriber(args.out, read_config, names, args.cfg_options, args.epochs, args.transform)


@exit_on_error
@exit_on_signal()
def main() -> None:
    """Plan, run, and say what was written where."""
    args = parse_args()
    write = functools.partial(write_unseen_results, seen_bias=args.seen_bias)
    problems = {}
    if not args.table_only:
        runs, describer = plan(args)
        chosen = take_shard(runs, args.shard)
        if args.dry_run:
            show_runs(chosen, describer)
            return
        reporting = Reporting(write, functools.partial(headline, seen_bias=args.seen_bias),
                              functools.partial(standing, seen_bias=args.seen_bias))  # fmt: skip
        problems = run_all(chosen, describer, Tools(), say, reporting)
    show_results(args.out, problems, write)
