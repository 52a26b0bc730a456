"""Measure the heat maps beside the host's, turn by turn in one run, on synthetic clips.

python tools/benchmark.py [--rounds 10] [--frames 48] [--size 56]
"""

import argparse
import platform
import time
import warnings

import numpy as np

from pyskl_semloss.errors import exit_on_error


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each side (default: 10)")
    parser.add_argument("--frames", type=int, default=48, help="frames of a clip (default: 48)")
    parser.add_argument("--size", type=int, default=56, help="height and width of the maps in px (default: 56)")
    return parser.parse_args()


def clips(frames: int, size: int) -> list[dict]:
    """Eight synthetic clips as the training pipeline hands them to the heat maps."""
    from mmengine.dataset import Compose

    from pyskl_semloss.annotations.synthetic import generate

    pipeline = Compose(
        [
            dict(type="SampleKeypointFrames", clip_len=frames),
            dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
            dict(type="ResizeKeypoints", scale=(size, size), keep_ratio=False),
        ]
    )
    return [pipeline(clip.to_dict()) for clip in generate(64, seed=0).clips[:8]]


def seconds(transform: object, samples: list[dict]) -> float:
    """Time for each clip of a turn through all of them, as a loader's worker goes; each volume is dropped at once."""
    start = time.perf_counter()
    for results in samples:
        transform.transform({**results, "keypoint": results["keypoint"].copy()})  # type: ignore[attr-defined]
    return (time.perf_counter() - start) / len(samples)


@exit_on_error
def main() -> None:
    """Measure and print one line for each modality."""
    args = parse_args()
    warnings.filterwarnings("ignore")
    import mmaction
    from mmaction.registry import TRANSFORMS
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.skeletons import get_layout

    DefaultScope.get_instance("benchmark", scope_name="mmaction")
    samples = clips(args.frames, args.size)
    layout = get_layout("openpose22")
    print(f"MMAction2 {mmaction.__version__}, numpy {np.__version__}, Python {platform.python_version()}, one thread")
    print(
        f"one clip, {args.frames} frames, {args.size}x{args.size} px, {args.rounds} rounds of eight clips, turn by turn"
    )
    for modality in ("joint", "limb"):
        options = dict(with_kp=modality == "joint", with_limb=modality == "limb", skeletons=layout.limbs)
        host, ours = (
            TRANSFORMS.build(dict(type=name, **options)) for name in ("GeneratePoseTarget", "GeneratePoseHeatmap")
        )
        seconds(ours, samples)
        times = np.array([[seconds(side, samples) for side in (host, ours)] for _ in range(args.rounds)])
        low, ratio, high = np.percentile(times[:, 0] / times[:, 1], [10, 50, 90])
        host_ms, ours_ms = np.median(times, axis=0) * 1e3
        print(
            f"{modality:5}  MMAction2 {host_ms:6.2f} ms   ours {ours_ms:5.2f} ms   "
            f"{ratio:.0f} times faster (10 % to 90 %: {low:.0f} to {high:.0f})"
        )


if __name__ == "__main__":
    main()
