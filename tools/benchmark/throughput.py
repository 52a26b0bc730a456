"""Measure MMAction2 and this package in turns on synthetic clips.

python tools/benchmark/throughput.py [--out FOLDER]
python tools/benchmark/throughput.py --parts heatmaps train_step --modality joint --rounds 10
python tools/benchmark/throughput.py --device cuda --out docs/benchmark_gpu
python tools/benchmark/throughput.py --quick

Parts: heatmaps train_sample test_sample bytes train_step losses epoch floor inference memory scaling
"""

import argparse
import functools
import os
import sys
from pathlib import Path

from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.io.results import add_overwrite_option

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mmaction2"


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", help="parts to measure (default: every part)")
    parser.add_argument("--modality", nargs="+", choices=["joint", "limb"], default=["joint", "limb"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, help="clips of a training step (default: 4, on a GPU 32)")
    parser.add_argument("--workers", type=int, help="processes of a loader (default: 2, on a GPU 16)")
    parser.add_argument("--rounds", type=int, help="turns of each side (default: 5, quick 2)")
    parser.add_argument("--views", type=int, default=20, help="views of a test clip, flipped ones included")
    parser.add_argument("--threads", type=int, help="threads of torch (default: its own)")
    parser.add_argument("--quick", action="store_true", help="the small model and a few turns, for a look")
    parser.add_argument("--out", help="folder for benchmark.json and benchmark.md (default: only print)")
    add_overwrite_option(parser)
    return parser.parse_args()


@exit_on_error
def main() -> None:
    """Measure, print the tables, write them."""
    args = parse_args()
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    from table import markdown, write
    from turns import PARTS, Plan, run

    folder = CONFIGS / ("synthetic" if args.quick else "imigue")
    gpu = args.device == "cuda"
    plan = Plan(
        configs={modality: str(folder / f"{modality}.py") for modality in args.modality},
        command=" ".join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
        parts=args.parts or PARTS,
        device=args.device,
        batch=args.batch if args.batch is not None else 32 if gpu else 4,
        workers=args.workers if args.workers is not None else 16 if gpu else 2,
        rounds=args.rounds if args.rounds is not None else 2 if args.quick else 5,
        views=args.views,
        threads=args.threads,
        quick=args.quick,
    )
    keep = functools.partial(write, folder=args.out) if args.out else lambda result: None
    result = run(plan, say=lambda line: say(f"… {line}", error=True), keep=keep)
    print(markdown(result))
    if args.out:
        say(f"Written to {args.out}/benchmark.json and {args.out}/benchmark.md")


if __name__ == "__main__":
    main()
