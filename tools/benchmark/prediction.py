"""How many times faster than real time recordings are predicted: windows, heat maps, networks, segments.

python tools/benchmark/prediction.py --joint JOINT.pth --limb LIMB.pth
python tools/benchmark/prediction.py --released            # models of the iMiGUE configs' size with random weights
python tools/benchmark/prediction.py --released --fast --threads 2 --windows 32
Measure on an idle machine. One view of each window; the recording is synthetic, 25 frames per second, 22 joints.
"""

import argparse
import tempfile
from pathlib import Path

from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.segment_arguments import add_models, models_of
from pyskl_semloss.errors import InputError

_CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mmaction2" / "imigue"


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_models(parser)
    parser.add_argument("--released", action="store_true", help="random weights, in the place of --joint and --limb")
    parser.add_argument("--fast", action="store_true", help="bfloat16")
    parser.add_argument("--threads", type=int, help="of torch (default: what torch chooses)")
    parser.add_argument("--windows", type=int, default=16, help="how many are measured (default: 16)")
    parser.add_argument("--rounds", type=int, default=3, help="turns; medians are shown (default: 3)")
    parser.add_argument("--window", type=float, default=2.0, help="length of a window in s (default: 2)")
    parser.add_argument("--stride", nargs="+", type=float, default=[0.5, 1.0, 2.0], help="in s (default: 0.5 1 2)")
    args = parser.parse_args()
    for name in ("threads", "windows", "rounds"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise InputError(f"expected at least 1, got {value}", field=f"--{name}")
    return args


@exit_on_error
def main() -> None:
    """Print a table."""
    args = parse_args()
    from pyskl_semloss.hosts.environment import check_mmaction2

    check_mmaction2()
    import torch
    from recordings import table, untrained

    from pyskl_semloss.cpu.allocator import keep_large_blocks
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
    from pyskl_semloss.segments.windows import WindowRules
    from pyskl_semloss.synthetic.recording import generate_recording

    keep_large_blocks()
    if args.threads:
        torch.set_num_threads(args.threads)
    options = dict(device="cpu", fast=args.fast)
    if args.released:
        with tempfile.TemporaryDirectory() as folder:
            configs = {name: _CONFIGS / f"{name}.py" for name in ("joint", "limb")}
            predictor = untrained(configs, folder, **options)
    else:
        predictor = Predictor(**models_of(args), **options)
    recording, _ = generate_recording(32)
    rules = WindowRules(args.window, args.stride[0])
    print(table(predictor, recording, rules, args.stride, count=args.windows, rounds=args.rounds))
    kind, threads = "bfloat16" if args.fast else "float32", torch.get_num_threads()
    models = " and ".join(predictor.models)
    print(f"{models}, {kind}, {threads} threads, {recording.seconds:.0f} s of recording; nothing written.")


if __name__ == "__main__":
    main()
