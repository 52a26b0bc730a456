"""How many times faster than real time recordings are predicted, part by part and setting by setting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from pyskl_semloss.annotations.report import Report
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.hosts.mmaction2.model.preprocessor import PoseHeatmapPreprocessor, Views
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.find import find_segments
from pyskl_semloss.segments.windows import Entry, Timeline, WindowRules, timelines_of

AnyPath = str | os.PathLike[str]
PARTS = ("windows, movement", "windows to views", "heat maps", "networks, fusion", "segments", "all")


class Part(NamedTuple):
    """What a part of the prediction costs.

    Attributes:
        name: What is done.
        wall: Seconds by the clock for each window that is scored.
        cpu: Seconds of processor time for it.
    """

    name: str
    wall: float
    cpu: float


def untrained(configs: dict[str, AnyPath], folder: AnyPath, **options: Any) -> Predictor:
    """Models of the given configs with random weights: as fast as trained ones, and without their data.

    Args:
        configs: By modality.
        folder: Where their checkpoints are written.
        **options: Of :class:`Predictor`.
    """
    import pyskl_semloss.hosts.mmaction2  # noqa: F401

    init_default_scope("mmaction")
    sources: dict[str, Any] = {}
    for name, path in configs.items():
        config = Config.fromfile(os.fspath(path))
        head = config.model.cls_head
        if "label_vectors" in head:
            head.label_vectors = np.random.default_rng(0).normal(0, 0.3, (head.num_classes, 50)).astype(np.float32)
        file = os.path.join(folder, f"{name}.pth")
        torch.save({"state_dict": MODELS.build(config.model).state_dict()}, file)
        sources[name] = (config, file)
    return Predictor(sources.get("joint"), sources.get("limb"), **options)


def _stand_in(predictor: Predictor, recording: Recording, rules: WindowRules) -> tuple[list[Entry], list[Timeline]]:
    """The windows of a recording that are scored, and timelines of random scores."""
    taken: list[Entry] = []
    rng = np.random.default_rng(0)

    def score(entries: Iterable[Entry]) -> Iterator[Scores]:
        for entry in entries:
            taken.append(entry)
            probability = rng.dirichlet(np.full(predictor.classes, 0.05)).astype(np.float32)
            yield Scores(np.array([entry["frame_dir"]]), probability[None], np.array([-1]))

    return taken, timelines_of(recording, score, predictor.class_names, rules)


def parts_of(
    predictor: Predictor, recording: Recording, rules: WindowRules, count: int = 16, rounds: int = 3
) -> list[Part]:
    """Medians of the parts of :meth:`Predictor.segments`, one view of each window; the last is their sum.

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
        (model, model.views(group.model.collate([group.pack(entry, Report())])))
        for group in groups
        for entry in some
        for model in (_drawing(predictor, name) for name in group.names)
    ]
    stages: list[tuple[Callable[[], object], int]] = [
        (lambda: _stand_in(predictor, recording, rules), len(windows)),
        (lambda: [group.pack(entry, Report()) for group in groups for entry in some], len(some)),
        (lambda: [_draw(model, views) for model, views in drawn], len(some)),
        (lambda: list(predictor.score(some, one_view=True, fuse_layers=True)), len(some)),
        (lambda: [find_segments(timeline) for timeline in timelines], len(windows)),
    ]
    turns = [[_seconds(work) / windows for work, windows in stages] for _ in range(rounds + 1)][1:]
    cut, packed, maps, scored, found = np.median(turns, axis=0)
    rows = [cut, packed, maps, scored - packed - maps, found, cut + scored + found]
    return [Part(name, *map(float, row)) for name, row in zip(PARTS, rows, strict=True)]


def _drawing(predictor: Predictor, name: str) -> Any:
    return predictor.models[name].model.data_preprocessor


def _draw(model: PoseHeatmapPreprocessor, views: Views) -> Tensor:
    return model.render(views.keypoint.flatten(0, 1)[:, None], views.score.flatten(0, 1)[:, None], views.size, [False])


def _seconds(work: Callable[[], object]) -> np.ndarray:
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        work()
    return np.array([time.perf_counter() - wall, time.process_time() - cpu])


def table(
    predictor: Predictor, recording: Recording, rules: WindowRules, strides: Sequence[float], **options: int
) -> str:
    """The parts as a Markdown table: their cost, and how many times real time that is at each stride in s."""
    parts = parts_of(predictor, recording, rules, **options)
    head = ["part", "ms a window", "ms of processor time", *(f"× real time, stride {one:g} s" for one in strides)]
    shares = [len(_stand_in(predictor, recording, replace(rules, stride=one))[0]) for one in strides]
    rows = [
        [part.name, f"{1000 * part.wall:.3g}", f"{1000 * part.cpu:.3g}"]
        + [f"{recording.seconds / (part.wall * count):.3g}" for count in shares]
        for part in parts
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])
