"""An exported file beside the models that it was made of: the same scores, and how fast."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pyskl_semloss.annotations.pickles import read_annotations
from pyskl_semloss.errors import HostError
from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.hosts.mmaction2.export.graph import as_inputs
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
from pyskl_semloss.io.resources import pip_install

Entry = Mapping[str, Any]


def read_clips(path: str | os.PathLike[str], split: str | None, count: int, predictor: Predictor) -> list[Entry]:
    """The first clips of an annotation file, as annotation files have them.

    Raises:
        InputError: The file is none, or has other joints or no such split.
    """
    found, _ = read_annotations(
        path, split=split, num_joints=predictor.layout.num_joints, unknown_labels=True, zero_clips="keep"
    )
    return [clip.to_dict() for clip in found.clips[:count]]


def open_session(path: str | os.PathLike[str], threads: int = 0) -> Any:
    """Open a file with onnxruntime on the CPU.

    Args:
        path: The file.
        threads: Of an operator; 0 lets the runtime choose.

    Raises:
        HostError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise HostError(f"running the file needs onnxruntime; run: {pip_install('onnx')}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


def run_file(session: Any, clips: Sequence[Entry]) -> dict[str, np.ndarray]:
    """All outputs of a file for a batch of clips, each (N, C)."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, as_inputs(clips)), strict=True))


def run_torch(predictor: Predictor, clips: Sequence[Entry], *, one_view: bool = False) -> dict[str, np.ndarray]:
    """The same outputs by torch, clip by clip."""
    given: dict[str, list[np.ndarray]] = {}
    for batch in predictor.score(clips, one_view=one_view):
        if len(batch) > 1:
            batch = {**batch, "fusion": fuse(list(batch.values()), predictor.weights)}
        for name, scores in batch.items():
            given.setdefault(name, []).append(scores.score)
            if scores.semantic_cosine is not None:
                given.setdefault(f"{name}_cosine", []).append(scores.semantic_cosine)
    return {name: np.concatenate(parts) for name, parts in given.items()}


def compare(
    predictor: Predictor, path: str | os.PathLike[str], clips: Sequence[Entry], *, one_view: bool = False
) -> dict[str, float]:
    """The largest difference of each output of a file to torch; the clips pass the file as one batch."""
    session = open_session(path, torch.get_num_threads())
    ours, wanted = run_file(session, clips), run_torch(predictor, clips, one_view=one_view)
    return {name: float(np.abs(ours[name] - wanted[name]).max()) for name in wanted}


def benchmark(
    predictor: Predictor,
    path: str | os.PathLike[str],
    clips: Sequence[Entry],
    *,
    one_view: bool = False,
    batches: Sequence[int] = (1, 8),
    rounds: int = 3,
) -> str:
    """Seconds of torch, torch with ``fast`` and onnxruntime for the same clips, turn by turn, as a Markdown table.

    All of it counts: drawing, network, fusion. Ratios are of neighbouring turns.

    Args:
        predictor: The models.
        path: Their file.
        clips: Taken again where there are fewer than a batch.
        one_view: As the file was exported.
        batches: Clips at a time.
        rounds: Turns of each side.
    """
    threads = torch.get_num_threads()
    session = open_session(path, threads)
    lines = [
        f"| clips | torch | torch, fast | onnxruntime ({threads} threads) | torch / onnxruntime | fast / onnxruntime |",
        "|---|---|---|---|---|---|",
    ]
    for size in batches:
        batch = [clips[number % len(clips)] for number in range(size)]
        sides: list[Callable[[], Any]] = [
            lambda: run_torch(predictor, batch, one_view=one_view),  # noqa: B023
            lambda: _run_fast(predictor, batch, one_view),  # noqa: B023
            lambda: run_file(session, batch),  # noqa: B023
        ]
        turns = [[_seconds(side) for side in sides] for _ in range(rounds + 1)][1:]
        eager, fast, ours = (statistics.median(column) for column in zip(*turns, strict=True))
        ratios = [statistics.median(turn[side] / turn[2] for turn in turns) for side in (0, 1)]
        lines.append(f"| {size} | {eager:.3g} s | {fast:.3g} s | {ours:.3g} s | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return "\n".join(lines)


def _seconds(side: Callable[[], Any]) -> float:
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def _run_fast(predictor: Predictor, clips: Sequence[Entry], one_view: bool) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return run_torch(predictor, clips, one_view=one_view)
