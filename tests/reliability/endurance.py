"""Train for many iterations and see that memory, handles and processes stay as they are. Run by hand:

    python tests/reliability/endurance.py                      # 10,000 iterations and 200 validations, minutes
    python tests/reliability/endurance.py --iterations 1000
    python tests/reliability/endurance.py --whole-history --no-checkpoints
    python tests/reliability/endurance.py --workers 4 --folder runs/endurance --out endurance.json

The host keeps every value of its log in memory and in each checkpoint, on purpose, so that memory grows with it. To see
what else grows, the log is cut to its last 300 values here; not with --whole-history.

It trains a tiny model by tools/train.py with two loader workers, checkpoints and validations included, and takes a
sample each ``--interval`` iterations. After a warm-up of a fifth of the iterations, at least 100, it prints the slope
of each number by least squares, its standard error and the range, and ends with status 1 where a limit is broken.
tests/reliability/test_endurance.py runs a short version.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS = 50
"""Iterations from one validation to the next."""
LIMITS = {"main_rss": 0.5, "workers_private": 0.25, "main_handles": 0.5, "workers_handles": 0.5, "threads": 0.1}
"""Highest slope for 1,000 iterations: MB for memory, else numbers."""
RANGES = {"main_handles": 40, "workers_handles": 60, "threads": 2, "processes": 0}
"""Largest difference between two samples after the warm-up."""
UNITS = {"main_rss": "MB", "workers_rss": "MB", "workers_private": "MB", "log_history": "MB"}


def train(folder, iterations, workers, interval, history=300, checkpoints=True):
    """Train in a process of its own; returns the samples and the seconds."""
    from helpers import ROOT
    from helpers.tiny_runs import train_command, write_run

    samples = folder / "samples.jsonl"
    samples.unlink(missing_ok=True)
    hook = f"custom_hooks = [dict(type='ResourceLog', file={str(samples)!r}, interval={interval}, "
    hook += f"history={history})]\n"
    config = write_run(folder, steps=STEPS, epochs=iterations // STEPS, imports=["helpers.resource_log"], lines=hook)
    options = ["default_hooks.logger.interval=50"]
    options += [f"{name}_dataloader.num_workers={workers}" for name in ("train", "val")]
    if not checkpoints:
        options += [f"default_hooks.checkpoint.{name}" for name in (f"interval={iterations + 1}", "save_best=None")]
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    begin = time.monotonic()
    with open(folder / "train.log", "w") as log:
        status = subprocess.run(
            train_command(config, "--cfg-options", *options), stdout=log, stderr=subprocess.STDOUT, env=environment,
            cwd=ROOT,
        ).returncode  # fmt: skip
    if status:
        raise SystemExit(f"training ended with status {status}, see {folder / 'train.log'}")
    return [json.loads(line) for line in samples.read_text().splitlines()], time.monotonic() - begin


def slope(iterations, values):
    """Least-squares slope for 1,000 iterations, and its standard error."""
    x, y = np.asarray(iterations) / 1000, np.asarray(values, float)
    x, y = x - x.mean(), y - y.mean()
    found = (x * y).sum() / (x**2).sum()
    residuals = y - found * x
    return float(found), float(np.sqrt((residuals**2).sum() / max(1, len(x) - 2) / (x**2).sum()))


def summarize(samples):
    """Slope, its error, lowest, highest and last value of each number after the warm-up."""
    end = samples[-1]["iteration"]
    # The workers of the validation are there after the first one.
    warm_up = max(end // 5, 2 * STEPS)
    kept = [sample for sample in samples if sample["iteration"] > warm_up]
    iterations = [sample["iteration"] for sample in kept]
    result = {"iterations": end, "warm_up": warm_up, "samples": len(kept), "numbers": {}}
    for name in (name for name in kept[0] if name != "iteration"):
        values = [sample[name] for sample in kept]
        result["numbers"][name] = [*slope(iterations, values), min(values), max(values), values[-1]]
    return result


def broken_limits(result, slopes=True):
    """What is not flat, in words."""
    numbers = result["numbers"]
    found = []
    for name, limit in LIMITS.items() if slopes else ():
        if numbers[name][0] > limit:
            found.append(f"{name} grows by {numbers[name][0]:.3f} in 1,000 iterations, allowed are {limit}")
    for name, limit in RANGES.items():
        if numbers[name][3] - numbers[name][2] > limit:
            found.append(
                f"{name} goes from {numbers[name][2]} to {numbers[name][3]}, allowed are {limit} of difference"
            )
    if numbers["zombies"][3]:
        found.append(f"there are up to {numbers['zombies'][3]} zombies")
    return found


def main():
    """Train, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=10_000, help="a multiple of 50 (default: 10000)")
    parser.add_argument("--workers", type=int, default=2, help="of each loader (default: 2)")
    parser.add_argument("--interval", type=int, default=25, help="iterations from sample to sample (default: 25)")
    parser.add_argument("--whole-history", action="store_true", help="leave the host's log as it is")
    parser.add_argument("--no-checkpoints", action="store_true", help="save none but the last")
    parser.add_argument("--folder", type=Path, help="keep the run here (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help="write samples and result here, JSON")
    args = parser.parse_args()
    if args.iterations < 4 * STEPS or args.iterations % STEPS:
        parser.error(f"expected a multiple of {STEPS} from {4 * STEPS} on")
    with tempfile.TemporaryDirectory() as temporary:
        samples, seconds = train(
            (args.folder or Path(temporary)).resolve(), args.iterations, args.workers, args.interval,
            None if args.whole_history else 300, not args.no_checkpoints,
        )  # fmt: skip
    result = {**summarize(samples), "seconds": round(seconds, 1)}
    print(f"{result['iterations']} iterations and {result['iterations'] // STEPS} validations in {seconds:.0f} s; "
          f"{result['samples']} samples after iteration {result['warm_up']}")  # fmt: skip
    for name, (rise, error, low, high, last) in result["numbers"].items():
        print(f"{name:16} slope {rise:+8.3f} ± {error:.3f} in 1,000 iterations    {low:8.1f} to {high:8.1f}, "
              f"at the end {last:8.1f} {UNITS.get(name, '')}")  # fmt: skip
    if args.out is not None:
        args.out.write_text(json.dumps({**result, "all_samples": samples}) + "\n")
        print(f"Wrote the samples to {args.out}")
    found = broken_limits(result)
    print("\n".join(found) or "flat: all within their limits")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
