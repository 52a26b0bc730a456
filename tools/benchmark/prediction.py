"""Measure prediction in multiples of real time: windows, heat maps, networks, segments.

python tools/benchmark/prediction.py --joint JOINT.pth --limb LIMB.pth
python tools/benchmark/prediction.py --released            # models of the iMiGUE configs' size with random weights
python tools/benchmark/prediction.py --released --fast --threads 2 --windows 32
Measure on an idle machine. One view of each window; the recording is synthetic, 25 frames per second, 22 joints.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyskl_semloss.annotations.findings import ReadReport
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.segment_arguments import add_models, models_of
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.localization import find_segments
from pyskl_semloss.segments.windows import ClipEntry, Timeline, WindowRules, score_windows

if TYPE_CHECKING:
    from torch import Tensor

    from pyskl_semloss.hosts.mmaction2.model.preprocessor import PoseHeatmapPreprocessor, Views
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor

_CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mmaction2" / "imigue"
PARTS = ("windows, movement", "windows to views", "heat maps", "networks, fusion", "segments", "all")


class Part(NamedTuple):
    """Cost of a part of the prediction.

    Attributes:
        name: Name of the part.
        wall: Wall-clock seconds for each scored window.
        cpu: Processor seconds for each scored window.
    """

    name: str
    wall: float
    cpu: float


def untrained(configs: dict[str, Path], folder: str, **options: Any) -> Predictor:
    """Models of configs with random weights, as fast as trained ones.

    Args:
        configs: By modality.
        folder: Where their checkpoints are written.
        **options: Of :class:`Predictor`.
    """
    import torch
    from mmaction.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor

    init_default_scope("mmaction")
    sources: dict[str, Any] = {}
    for name, path in configs.items():
        config = Config.fromfile(path)
        head = config.model.cls_head
        if "label_vectors" in head:
            head.label_vectors = (
                np.random.default_rng(0).normal(0, 0.3, (head.num_classes or 32, 50)).astype(np.float32)
            )
        file = os.path.join(folder, f"{name}.pth")
        torch.save({"state_dict": MODELS.build(config.model).state_dict()}, file)
        sources[name] = (config, file)
    return Predictor(sources.get("joint"), sources.get("limb"), **options)


def _stand_in(predictor: Predictor, recording: Recording, rules: WindowRules) -> tuple[list[ClipEntry], list[Timeline]]:
    """Scored windows of a recording, and timelines of random scores."""
    taken: list[ClipEntry] = []
    rng = np.random.default_rng(0)

    def score(entries: Iterable[ClipEntry]) -> Iterator[Scores]:
        for entry in entries:
            taken.append(entry)
            probability = rng.dirichlet(np.full(predictor.classes, 0.05)).astype(np.float32)
            yield Scores(np.array([entry["frame_dir"]]), probability[None], np.array([-1]))

    return taken, score_windows(recording, score, predictor.class_names, rules)


def parts_of(
    predictor: Predictor, recording: Recording, rules: WindowRules, count: int = 16, rounds: int = 3
) -> list[Part]:
    """Median cost of each part of :meth:`Predictor.segments`, then their sum.

    Args:
        predictor: The models.
        recording: Of their joints.
        rules: Which of its windows are scored.
        count: So many windows are measured, spread over those that are scored.
        rounds: Turns of all parts.
    """
    windows, timelines = _stand_in(predictor, recording, rules)
    some = [windows[n] for n in np.linspace(0, len(windows) - 1, min(count, len(windows))).astype(int)]
    groups = predictor._groups(one_view=True)
    drawn: list[tuple[Any, Views]] = [
        (model, model.views(group.model.collate([group.pack(entry, ReadReport())])))
        for group in groups
        for entry in some
        for model in (_drawing(predictor, name) for name in group.names)
    ]
    stages: list[tuple[Callable[[], object], int]] = [
        (lambda: _stand_in(predictor, recording, rules), len(windows)),
        (lambda: [group.pack(entry, ReadReport()) for group in groups for entry in some], len(some)),
        (lambda: [_draw(model, views) for model, views in drawn], len(some)),
        (lambda: list(predictor.score(some, one_view=True, fuse_layers=True)), len(some)),
        (lambda: [find_segments(timeline) for timeline in timelines], len(windows)),
    ]
    turns = [[_seconds(work) / windows for work, windows in stages] for _ in range(rounds + 1)][1:]
    cut, packed, maps, scored, segments = np.median(turns, axis=0)
    rows = [cut, packed, maps, scored - packed - maps, segments, cut + scored + segments]
    return [Part(name, *map(float, row)) for name, row in zip(PARTS, rows, strict=True)]


def _drawing(predictor: Predictor, name: str) -> Any:
    return predictor.models[name].model.data_preprocessor


def _draw(model: PoseHeatmapPreprocessor, views: Views) -> Tensor:
    return model.render(views.keypoint.flatten(0, 1)[:, None], views.score.flatten(0, 1)[:, None], views.size, [False])


def _seconds(work: Callable[[], object]) -> np.ndarray:
    import torch

    wall, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        work()
    return np.array([time.perf_counter() - wall, time.process_time() - cpu])


def table(
    predictor: Predictor, recording: Recording, rules: WindowRules, strides: Sequence[float], **options: int
) -> str:
    """Markdown table of the parts, with multiples of real time per stride."""
    parts = parts_of(predictor, recording, rules, **options)
    head = ["part", "ms a window", "ms of processor time", *(f"× real time, stride {stride:g} s" for stride in strides)]
    shares = [len(_stand_in(predictor, recording, replace(rules, stride=stride))[0]) for stride in strides]
    rows = [
        [part.name, f"{1000 * part.wall:.3g}", f"{1000 * part.cpu:.3g}"]
        + [f"{recording.seconds / (part.wall * count):.3g}" for count in shares]
        for part in parts
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


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

    from pyskl_semloss.cpu.allocator import keep_large_blocks
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
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
