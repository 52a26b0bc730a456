"""Measure trained models on long synthetic recordings with known gestures.

python tools/benchmark/segments.py --joint JOINT.pth --limb LIMB.pth
python tools/benchmark/segments.py --joint JOINT.pth --limb LIMB.pth --split train --threshold 0.3 0.45 --window 1.5 2 3
Choose settings on the training persons (--split train), and report them on the test persons.
"""

import argparse
import resource
import time

from pyskl_semloss.cli.program import exit_on_error


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joint", help="checkpoint of the joint model")
    parser.add_argument("--limb", help="checkpoint of the limb model")
    parser.add_argument("--names", help="class names, one a line (default: those of the synthetic set)")
    parser.add_argument(
        "--split", default="test", choices=["train", "val", "test"], help="whose persons (default: test)"
    )
    parser.add_argument("--recordings", type=int, default=5, help="(default: 5)")
    parser.add_argument("--gestures", type=int, default=32, help="in a recording (default: 32, about 3 minutes)")
    parser.add_argument("--window", nargs="+", type=float, default=[2.0], help="in s (default: 2)")
    parser.add_argument("--stride", type=float, help="in s (default: a quarter of the window)")
    parser.add_argument("--threshold", nargs="+", type=float, default=[0.45], help="(default: 0.45)")
    parser.add_argument("--background", nargs="+", default=[], help="classes that are no gestures")
    parser.add_argument("--all-views", action="store_true", help="all views of the config's test, not one")
    parser.add_argument("--fast", action="store_true", help="bfloat16")
    return parser.parse_args()


@exit_on_error
def main() -> None:
    """Score the recordings for each window length; print a line per threshold."""
    args = parse_args()
    from pyskl_semloss.cpu.allocator import keep_large_blocks
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
    from pyskl_semloss.segments.agreement import Agreement, agreement
    from pyskl_semloss.segments.localization import SegmentRules, background_classes, find_segments
    from pyskl_semloss.synthetic.clips import CLASS_NAMES
    from pyskl_semloss.synthetic.recording import generate_recording

    keep_large_blocks()
    predictor = Predictor(args.joint, args.limb, class_names=args.names or CLASS_NAMES, fast=args.fast)
    background = {predictor.class_names[k] for k in background_classes(predictor.class_names, args.background)}
    recordings = [generate_recording(args.gestures, seed, split=args.split) for seed in range(args.recordings)]
    predictor.timelines(generate_recording(1)[0])
    seconds = sum(recording.seconds for recording, _ in recordings)
    for window in args.window:
        cut = predictor.window_rules(window=window, stride=args.stride)
        wall, cpu = time.perf_counter(), time.process_time()
        lines = [predictor.timelines(recording, cut, one_view=not args.all_views)[0] for recording, _ in recordings]
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        scored = sum(int(line.probability.any(axis=1).sum()) for line in lines)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        laid = sum(len(line.windows) for line in lines)
        print(f"window {window:g} s: {scored} of {laid} windows scored in {wall:.1f} s")
        print(
            f"  {scored / wall:.1f} windows/s, {seconds / wall:.1f} times real time; {cpu:.1f} s of CPU; {peak:.2f} GB"
        )
        for threshold in args.threshold:
            rules = SegmentRules(threshold=threshold, background=tuple(args.background))
            named, timed = Agreement(0, 0, 0), Agreement(0, 0, 0)
            for line, (_, truth) in zip(lines, recordings, strict=True):
                wanted = [segment for segment in truth if segment.name not in background]
                segments = find_segments(line, rules)
                named, timed = named + agreement(segments, wanted), timed + agreement(segments, wanted, names=False)
            print(
                f"  threshold {threshold:g}: F1 {named.f1:.3f}, precision {named.precision:.3f}, recall "
                f"{named.recall:.3f}; times alone F1 {timed.f1:.3f}; {named.predicted} found, {named.annotated} true"
            )
    print(
        f"IoU 0.5, {args.recordings} recordings of the {args.split} persons, {seconds:.0f} s in all; nothing written."
    )


if __name__ == "__main__":
    main()
