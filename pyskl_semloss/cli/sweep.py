"""Train and test one config over alpha, label vectors, settings and seeds; table and plot from what is on disk.

    semloss sweep configs/mmaction2/imigue/joint.py --alpha 1 10 20 30 40 50 --seeds 0 1 2
    semloss sweep CONFIG --alpha 20 --vectors baseline given hash shuffled random --modality joint limb
    semloss sweep CONFIG --settings settings.yml --seeds 0 1 2 3 4 --against none glove_mse
    semloss sweep CONFIG --cfg-options train_dataloader.dataset.split=train_tail12_seed{seed}
    semloss sweep CONFIG --epochs 5 --cfg-options train_dataloader.batch_size=8 --dry-run
    CUDA_VISIBLE_DEVICES=0 semloss sweep CONFIG --shard 1/2 &  CUDA_VISIBLE_DEVICES=1 ... --shard 2/2
    semloss sweep --out work_dirs/imigue/sweep --table-only

Run it again after an interruption: finished runs are skipped, the one that was cut off goes on. See docs/sweeps.md.
"""

import argparse
import functools
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.interruption import exit_on_signal
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.resources import find_config
from pyskl_semloss.io.results import add_overwrite_option
from pyskl_semloss.sweep.differences import check_references
from pyskl_semloss.sweep.plan import KINDS, PAPER_ALPHAS, Run, plan_runs, read_settings, take_shard
from pyskl_semloss.sweep.runs import Reporting, Tools, check_runs, run_all, test_command, train_command
from pyskl_semloss.sweep.settings import Describer
from pyskl_semloss.sweep.table import collect, write_results


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argument_parser(__doc__)
    parser.add_argument("config", nargs="?", help="config with the semantic branch, a file or a name")
    parser.add_argument("--alpha", nargs="+", type=float, help="default: 1 10 20 30 40 50")
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2), help="default: 0 1 2")
    parser.add_argument("--modality", nargs="+", choices=("joint", "limb"), default=(), help="default: the config's")
    parser.add_argument("--vectors", nargs="+", choices=KINDS,
                        help="default: baseline given")  # fmt: skip
    parser.add_argument("--settings", metavar="FILE", help="YAML or JSON: settings by name, in place of --alpha and "
                        "--vectors")  # fmt: skip
    parser.add_argument("--against", nargs="+", default=(), metavar="NAME",
                        help="settings that the others are compared with (default: the baseline)")  # fmt: skip
    args = parse_with_run_options(parser, "sweep")
    if args.settings and (args.alpha or args.vectors):
        parser.error("--settings says which alpha and label vectors there are: leave --alpha and --vectors out")
    return args


def parse_with_run_options(
    parser: argparse.ArgumentParser, folder: str, find: Callable[[str], str] = find_config
) -> argparse.Namespace:
    """Arguments of a command that makes runs, with the options of all such commands.

    Args:
        parser: The command's parser, with ``config``.
        folder: Name of the folder of all runs, below that of the config.
        find: Path of the config.

    Returns:
        The arguments; ``out`` is a path.
    """
    parser.add_argument("--epochs", type=int, help="train for another number of epochs than the config's")
    parser.add_argument("--out", help=f"folder of all runs (default: work_dirs/FOLDER_OF_THE_CONFIG/{folder})")
    parser.add_argument("--shard", default="1/1", metavar="i/n", help="take every n-th run, from the i-th on")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="KEY=VALUE",
                        help="for all runs; {seed} in a value is the seed of the run")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show runs, states and commands; do nothing")
    parser.add_argument("--table-only", action="store_true", help="rebuild the table, run nothing")
    add_overwrite_option(parser)
    args = parser.parse_args()
    if args.config is None and not (args.table_only and args.out):
        parser.error("expected a config; only --table-only with --out needs none")
    args.out = Path(args.out or Path("work_dirs") / Path(find(args.config)).resolve().parent.name / folder)
    return args


def show_runs(runs: Sequence[Run], describer: Describer) -> None:
    """Print states and commands of runs; nothing is written."""
    tools = Tools()
    for run, state in check_runs(runs, describer).items():
        checkpoint = str(describer.out / run.name / "LAST_CHECKPOINT")
        say(f"# {run.name}: {state}")
        say(shlex.join(train_command(run, describer, tools)))
        say(shlex.join(test_command(run, describer, tools, checkpoint)))


def show_results(out: Path, problems: Mapping[Run, str], write: Callable[[Path], Sequence[Path]]) -> NoReturn:
    """Print failed runs and the table, and exit; the status is 1 after a failure.

    Args:
        out: The folder of all runs.
        problems: Reason of each failed run.
        write: Rebuilds the table in that folder and returns the files written.
    """
    if problems:
        say(f"{len(problems)} run{'s' * (len(problems) > 1)} did not finish:", error=True)
        for run, reason in problems.items():
            say(f"  {run.name}: {reason}", error=True)
    if not problems or any(out.glob("*/done.json")):
        written = write(out)
        print((out / "table.md").read_text(encoding="utf-8"))
        say(f"Wrote {', '.join(path.name for path in written)} to {out}")
    raise SystemExit(1 if problems else 0)


def read_config(path: str, options: Sequence[str]) -> dict[str, Any]:
    """Config with its bases and the options merged, without importing what it registers."""
    # With it, bases by the name of a shipped config are found.
    import pyskl_semloss.hosts.mmaction2  # noqa: F401, I001
    from mmengine.config import Config, DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="+", action=DictAction, default={})
    try:
        config = Config.fromfile(path, import_custom_modules=False)
        config.merge_from_dict(parser.parse_args(["--options", *options] if options else []).options)
    except Exception as error:  # a config is Python, which can fail in any way
        raise InputError(f"the config cannot be read ({type(error).__name__}: {error})", file=path) from None
    return config.to_dict()


@exit_on_error
@exit_on_signal()
def main() -> None:
    """Plan, run, and say what was written where."""
    args = parse_args()
    out, problems = args.out, {}
    settings = read_settings(args.settings) if args.settings else []
    order = [setting.name for setting in settings]
    if not args.table_only:
        runs = plan_runs(args.config, alphas=args.alpha or PAPER_ALPHAS, seeds=args.seeds, modalities=args.modality,
                         vectors=args.vectors or ("baseline", "given"), settings=settings)  # fmt: skip
        order = list(dict.fromkeys(run.setting.label for run in runs))
        check_references(args.against, collect(out), order)
        runs = take_shard(runs, args.shard)
        describer = Describer(out, read_config, args.cfg_options, args.epochs)
        if args.dry_run:
            show_runs(runs, describer)
            return
        problems = run_all(runs, describer, Tools(), say, Reporting(functools.partial(write_results, order=order)))
    show_results(out, problems, functools.partial(write_results, order=order, references=args.against))
