"""Fuse the scores of several models, print accuracies, write scores and submission.

    semloss fuse joint.npz limb.npz --weights 2 3 --out fused.npz --submission Submission.zip
    semloss fuse joint.npz limb.npz --submission Submission.zip --ids official_ids.txt
    semloss fuse joint.npz limb.npz --search-on val_joint.npz val_limb.npz
    semloss fuse test_*.npz --search-on val_*.npz --calibrate --subjects subjects.csv --save-config ensemble.py
    semloss fuse joint/result.pkl limb/result.pkl --weights 2 3 --ann-file imigue.pkl --split test
    semloss fuse joint.npz joint.npz:semantic --weights 3 1
    semloss fuse --config configs/mmaction2/imigue/fusion.py

Files are score files (.npz), tables id,score... (.csv), lists of scores (.json), PySKL's result.pkl, or MMAction2's
--dump files (.pkl). Clips are matched by id; what holds no ids is in the order of --ann-file.
"""

import argparse

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.datasets.splits import read_subjects
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.ensemble import run_fusion
from pyskl_semloss.evaluation.fusion_config import plan_from_config
from pyskl_semloss.evaluation.fusion_plan import FusionPlan, fusion_inputs
from pyskl_semloss.evaluation.scores import check_score_file
from pyskl_semloss.io.results import add_overwrite_option

_OF_SEARCH = ("search_step", "search_split", "folds")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("files", nargs="*", help="score files; with ':semantic' at the end, their semantic scores")
    parser.add_argument("--config", help="a fusion config in the place of files and weights; never executed")
    parser.add_argument(
        "--weights", nargs="+", type=float, help="one per file; joint and limb of iMiGUE or SMG alone mean 2 3"
    )
    parser.add_argument("--search-on", nargs="+", metavar="FILE", help="validation scores, in the order of the files")
    parser.add_argument("--search-step", type=float, help="grid step of the search (default 0.05)")
    parser.add_argument(
        "--calibrate", action="store_true", default=None, help="fit a temperature for each file on --search-on, too"
    )
    parser.add_argument("--folds", type=int, help="folds of the search's cross-validation (default 5; 0: none)")
    parser.add_argument("--subjects", metavar="FILE", help="CSV video,subject: a person's clips are in one fold")
    parser.add_argument("--search-split", help="the split of --ann-file that the files of --search-on are of")
    parser.add_argument("--ann-file", help="annotations, or a list id,label, that other programs' files are of")
    parser.add_argument("--split", help="the split of --ann-file that the files are of")
    parser.add_argument(
        "--logits", "--softmax", dest="softmax", action="store_true", default=None,
        help="scores that are no probabilities are logits: their softmax is fused",
    )  # fmt: skip
    parser.add_argument("--out", help="write the fused scores here (.npz)")
    parser.add_argument("--submission", help="write the challenge's submission here (.zip)")
    parser.add_argument("--ids", metavar="FILE", help="the official ids, one a line: the submission's order, checked")
    parser.add_argument("--save-config", metavar="FILE", help="write the weights and temperatures here (.py)")
    add_overwrite_option(parser)
    return parser.parse_args()


@exit_on_error
def main() -> None:
    """Fuse, print the table, and name the written files."""
    args = vars(parse_args())
    args.pop("overwrite")
    subjects = args.pop("subjects")
    persons = None if subjects is None else read_subjects(subjects)
    files, config, weights, search_on = (args.pop(name) for name in ("files", "config", "weights", "search_on"))
    for file in files:
        check_score_file(file.removesuffix(":semantic"))
    if config is None:
        options = {name: value for name, value in args.items() if value is not None}
        plan = FusionPlan(fusion_inputs(files, weights, search_on), **options)
    elif files or weights or search_on:
        raise InputError("expected no files and no weights beside --config, which names them", file=config)
    else:
        plan = plan_from_config(config, **args)
    of_search = [f"--{name.replace('_', '-')}" for name in _OF_SEARCH if args[name] is not None]
    if of_search and plan.parts[0].search_on is None:
        fix = f"Give --search-on, or leave {of_search[0]} out."
        raise InputError("it is of a search, but no weights are searched", field=of_search[0], fix=fix)
    if subjects is not None and plan.parts[0].search_on is None:
        problem = "it names persons for the folds of a search, but no weights are searched"
        raise InputError(problem, file=subjects, field="subjects", fix="Give --search-on, or leave --subjects out.")
    report = run_fusion(plan, persons)
    print(report.table)
    for note in report.notes:
        say(note)
    say(f"Wrote {' and '.join(report.written)}." if report.written else "Wrote nothing (--out and --submission do).")
