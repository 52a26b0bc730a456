"""Train and test the methods that the paper compares, and write its Table 3 with our figures beside the published.

    semloss table3 imigue --seeds 0 1 2
    semloss table3 smg --methods stgcnpp ctrgcn posec3d semantic --inputs joint bone
    semloss table3 imigue --methods stgcn stgcnpp --release-graph
    semloss table3 utd_mhad --epochs 40 --shard 1/2 &  semloss table3 utd_mhad --epochs 40 --shard 2/2
    semloss table3 utd_mhad --table-only

The configs are those of the data set's folder; a folder of own configs works, too. Run it again after an
interruption: finished runs are skipped, the one that was cut off goes on. See docs/graph_networks.md.
"""

import argparse
import functools
import os

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.interruption import exit_on_signal
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.sweep import parse_with_run_options, read_config, show_results, show_runs
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.io.resources import config_names, find_config
from pyskl_semloss.sweep.methods import INPUTS, METHODS, MethodDescriber, plan_methods, write_methods
from pyskl_semloss.sweep.plan import take_shard
from pyskl_semloss.sweep.runs import Reporting, Tools, run_all


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    sets = "imigue, smg, msr_action3d, utd_mhad, own, or a folder of configs"
    parser.add_argument("config", metavar="SET", help=sets)
    parser.add_argument("--methods", nargs="+", default=(), metavar="NAME",
                        help=f"{', '.join(METHODS)} (default: all)")  # fmt: skip
    parser.add_argument("--inputs", nargs="+", default=("joint",), metavar="NAME",
                        help=f"{', '.join(INPUTS)} (default: joint)")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2), help="default: 0 1 2")
    parser.add_argument("--release-graph", action="store_true", help="graph networks on the published graph of iMiGUE, "
                        "which has an isolated nose")  # fmt: skip
    return parse_with_run_options(parser, "table3", _some_config)


def _some_config(name: str) -> str:
    """A config of a folder or of a shipped set; the others lie beside it."""
    folder = name if os.path.isdir(name) else f"mmaction2/{name}"
    try:
        return find_config(f"{folder}/stgcnpp.py")
    except InputError:
        sets = sorted({config.split("/")[1] for config in config_names("mmaction2") if "gcn" in config})
        problem = f"there is no such folder with a config stgcnpp.py{did_you_mean(name, sets)}"
        raise InputError(problem, file=name, fix=f"Shipped sets are {', '.join(sets)}.") from None


@exit_on_error
@exit_on_signal()
def main() -> None:
    """Plan, run, and say what was written where."""
    args = parse_args()
    folder = os.path.dirname(_some_config(args.config))
    write = functools.partial(write_methods, data=os.path.basename(folder))
    problems = {}
    if not args.table_only:
        runs = plan_methods(folder, methods=args.methods, inputs=args.inputs, seeds=args.seeds,
                            release_graph=args.release_graph)  # fmt: skip
        runs = take_shard(runs, args.shard)
        describer = MethodDescriber(args.out, read_config, args.cfg_options, args.epochs)
        if args.dry_run:
            show_runs(runs, describer)
            return
        problems = run_all(runs, describer, Tools(), say, Reporting(write))
    show_results(args.out, problems, write)
