"""Compare two models, or two groups of seeds, on the same clips.

    semloss compare baseline/test_scores.npz joint/test_scores.npz
    semloss compare A.npz B.npz --vectors data/imigue/label_vectors.npz
    semloss compare --a baseline_seed*/test_scores.npz --b alpha20_given_seed*/test_scores.npz

Printed are the differences B minus A with intervals, McNemar's test, and with --vectors how near the mistakes are to
the true names. Clips are matched by id. What the numbers mean: see docs/sweeps.md.
"""

import argparse

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.datasets.splits import read_subjects
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.comparison import RESAMPLES, Difference, mcnemar, paired_bootstrap
from pyskl_semloss.evaluation.neighbours import name_nearness
from pyskl_semloss.evaluation.resampling import match_persons
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.semantic.label_vectors import load_matrix


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("files", nargs="*", metavar="A.npz B.npz", help="two score files")
    parser.add_argument("--a", nargs="+", default=[], metavar="FILE", help="score files of side A, one a seed")
    parser.add_argument("--b", nargs="+", default=[], metavar="FILE", help="score files of side B")
    parser.add_argument("--vectors", metavar="FILE", help="label vectors: are mistakes near the true name?")
    parser.add_argument("--subjects", metavar="FILE", help="CSV video,subject: intervals resample whole persons")
    parser.add_argument("--over-seeds", action="store_true",
                        help="resample the seeds, too: the n-th files of A and B are of one seed")  # fmt: skip
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="of bootstrap and permutations (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of both (0)")
    args = parser.parse_args()
    if bool(args.files) == bool(args.a or args.b) or len(args.files) not in (0, 2) or bool(args.a) != bool(args.b):
        parser.error("expected two score files, or --a FILES and --b FILES")
    if args.files:
        args.a, args.b = args.files[:1], args.files[1:]
    return args


def _resampling(difference: Difference) -> str:
    units = f"by {difference.units} persons" if difference.unit == "persons" else "one by one"
    return f"{units}, and {difference.models[0]} seeds" if difference.over_seeds else units


@exit_on_error
def main() -> None:
    """Print a few lines for each question."""
    args = parse_args()
    a, b = ([Scores.load(path) for path in side] for side in (args.a, args.b))
    vectors = None if args.vectors is None else load_matrix(args.vectors, a[0].score.shape[1])
    persons = None if args.subjects is None else match_persons(a[0].sample_id, read_subjects(args.subjects))
    for metric, title in (("top1", "Top-1"), ("mean_class", "mean-class")):
        difference = paired_bootstrap(
            a, b, metric, resamples=args.resamples, seed=args.seed, persons=persons, over_seeds=args.over_seeds
        )
        of = f" (means of {len(a)} and {len(b)} models)" if len(a) + len(b) > 2 else ""
        interval = f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}"
        print(f"{title:<10}  A {100 * difference.a:.2f}  B {100 * difference.b:.2f}{of}  "
              f"B - A {100 * difference.estimate:+.2f}, 95 % interval {interval} "
              f"({difference.clips} clips, resampled {_resampling(difference)})")  # fmt: skip
    if len(a) == len(b):
        for number, pair in enumerate(zip(a, b, strict=True), 1):
            test = mcnemar(*pair)
            (shared, only_a), (only_b, neither) = test.table.tolist()
            which = "McNemar" if len(a) == 1 else f"McNemar, pair {number}"
            print(f"{which}: p = {test.p_value:.3g}; right both {shared}, A alone {only_a}, B alone {only_b}, none "
                  f"{neither}")  # fmt: skip
    else:
        print(f"McNemar's test is of pairs of models; {len(a)} and {len(b)} make none.")
    if vectors is None:
        return
    for name, side in (("A", a), ("B", b)):
        try:
            near = name_nearness(side, vectors, permutations=args.resamples, seed=args.seed)
        except InputError as error:
            say(f"Mistakes of {name}: {error}")
            continue
        print(f"Mistakes of {name}: {near.mistakes}; the predicted name has mean rank {near.mean_rank:.1f} of "
              f"{near.classes - 1} wrong names, 1 the nearest to the true one, and is the nearest in "
              f"{100 * near.nearest:.0f} %; nearness {near.nearness:.3f}, by class frequency {near.expected:.3f}, "
              f"effect {near.effect:+.3f}, p = {near.p_value:.2g}")  # fmt: skip
