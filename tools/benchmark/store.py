"""Measure a large keypoint store under MMAction2: start, workers' memory, random access.

python tools/benchmark/store.py [--clips 200000] [--frames 90] [--folder /tmp]

The clips (22 joints, 23.8 kB each at 90 frames) are made in a folder in --folder, and removed at the end.
"""

import argparse
import multiprocessing
import os
import platform
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pyskl_semloss.annotations.clip import Clip
from pyskl_semloss.annotations.dataset_clips import StoredClips, dataset_clips
from pyskl_semloss.annotations.store import LAYOUT
from pyskl_semloss.annotations.store_writer import write_store
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "mmaction2" / "imigue" / "joint.py"
READ = 2000
"""Random clips of which memory and time are taken."""
ROUNDS = 10


def make_clips(count: int, frames: int) -> Iterator[Clip]:
    """Random clips of one person: windows of a long random sequence."""
    rng = np.random.default_rng(0)
    points = rng.uniform(100, 1000, (1, frames + 1000, 22, 2)).astype(np.float32)
    scores = rng.uniform(0.1, 1, (1, frames + 1000, 22)).astype(np.float32)
    for number in range(count):
        part = slice(number % 1000, number % 1000 + frames)
        yield Clip(f"clip_{number:09d}", number % 32, (1080, 1920), (1080, 1920), points[:, part], scores[:, part])


def forget(store: str) -> None:
    """Remove the files from the page cache."""
    for name in LAYOUT:
        with open(os.path.join(store, f"{name}.npy"), "rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def private_mb(pid: int | str = "self") -> float:
    """Private memory of a process (USS) in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"Private_(?:Clean|Dirty): +(\d+)", text))) * 1024 / 1e6


def start(store: str) -> tuple[float, float, float, float]:
    """Seconds to the dataset and first batch; MB of a worker then and READ clips later."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    loader = Config.fromfile(CONFIG).train_dataloader
    loader.num_workers = 2
    loader.dataset.ann_file = store
    begin = time.perf_counter()
    batches = Runner.build_dataloader(loader, seed=0)
    built = time.perf_counter() - begin
    iterator = iter(batches)
    next(iterator)
    first = time.perf_counter() - begin
    workers = [process.pid for process in multiprocessing.active_children() if process.pid]
    before = max(map(private_mb, workers))
    for _ in range(min(2 * READ // loader.batch_size, len(batches) - 1)):
        next(iterator)
    return built, first, before, max(map(private_mb, workers))


def mapped_mb(store: str) -> float:
    """Private memory added by reading READ clips of mapped points, for comparison."""
    arrays = [np.load(os.path.join(store, f"{name}.npy"), mmap_mode="r") for name in ("points", "scores")]
    offsets = np.load(os.path.join(store, "offsets.npy"))
    before = private_mb()
    for number in np.random.default_rng(0).permutation(len(offsets) - 1)[:READ].tolist():
        for array in arrays:
            array[offsets[number] : offsets[number + 1]].sum()
    return private_mb() - before


def places(store: str) -> tuple[StoredClips, list[int]]:
    """Training clips of a store, and READ random indices of them."""
    clips = dataset_clips(
        store, split="train", layout=None, num_classes=32, test_mode=False, off_image="keep", binary_score=False,
        strict=False,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    rounds = [rng.permutation(len(clips)) for _ in range(-(-READ // len(clips)))]
    return clips, np.concatenate(rounds)[:READ].tolist()  # type: ignore[return-value]


def microseconds(clips: StoredClips, numbers: list[int]) -> float:
    """Microseconds per clip of a pass through all of them."""
    begin = time.perf_counter()
    for number in numbers:
        clips[number]
    return (time.perf_counter() - begin) / len(numbers) * 1e6


def measure(large: str, small: str) -> None:
    """Print the figures of docs/scale.md."""
    for state in ("cold", "warm"):
        if state == "cold":
            forget(large)
        built, first, before, after = start(large)
        print(f"start, files {state:4}    dataset {built:5.2f} s    first batch {first:5.2f} s    (target: below 5 s)")
        print(f"a worker's private memory    {before:5.1f} MB at the first batch    {after:5.1f} MB {READ} clips later")
    print(f"    the same clips through a map of the points instead: {mapped_mb(large):+.1f} MB")
    sides = [places(large), places(small)]
    for side in sides:
        microseconds(*side)
    times = np.array([[microseconds(*side) for side in sides] for _ in range(ROUNDS)])
    low, ratio, high = np.percentile(times[:, 0] / times[:, 1], [10, 50, 90])
    many, few = np.median(times, axis=0)
    print(f"random access    {many:.1f} us    with 1000 clips {few:.1f} us    "
          f"ratio {ratio:.2f} (10 % to 90 %: {low:.2f} to {high:.2f})")  # fmt: skip


@exit_on_error
def main() -> None:
    """Make the stores, measure, print, and remove the stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200_000, help="of the large store (default: 200000)")
    parser.add_argument("--frames", type=int, default=90, help="of a clip (default: 90)")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where to make it (default: the temporary one)")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    import mmaction
    import torch
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401

    DefaultScope.get_instance("benchmark", scope_name="mmaction")
    print(f"MMAction2 {mmaction.__version__}, torch {torch.__version__}, numpy {np.__version__}, "
          f"Python {platform.python_version()}, {os.cpu_count()} cores")  # fmt: skip
    size = args.clips * args.frames * 22 * 12
    if shutil.disk_usage(args.folder).free < 1.2 * size:
        raise InputError(f"expected {1.2 * size / 1e9:.1f} GB free", file=args.folder, field="folder")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        large, small = os.path.join(folder, "large"), os.path.join(folder, "small")
        begin = time.perf_counter()
        for store, count in ((large, args.clips), (small, 1000)):
            write_store(store, make_clips(count, args.frames), {"train": [f"clip_{i:09d}" for i in range(count)]})
        print(f"{args.clips} clips of {args.frames} frames and 22 joints, {size / 1e9:.2f} GB, "
              f"written in {time.perf_counter() - begin:.0f} s")  # fmt: skip
        measure(large, small)


if __name__ == "__main__":
    main()
