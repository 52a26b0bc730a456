"""Comparison of an exported ONNX file with its models: scores and speed."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from pyskl_semloss.annotations.pickles import read_annotations
from pyskl_semloss.errors import HostError
from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.hosts.mmaction2.export.graph import as_inputs
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.segments.windows import ClipEntry


def read_clips(path: str | os.PathLike[str], split: str | None, count: int, predictor: Predictor) -> list[ClipEntry]:
    """First ``count`` clips of an annotation file, as its entries.

    Raises:
        InputError: It is no annotation file, has other joints or lacks the split.
    """
    annotations, _ = read_annotations(
        path, split=split, num_joints=predictor.layout.num_joints, unknown_labels=True, zero_clips="keep"
    )
    return [clip.to_dict() for clip in annotations.clips[:count]]


def open_session(path: str | os.PathLike[str], threads: int = 0) -> Any:
    """Session of onnxruntime on the CPU for a file.

    Args:
        path: The ONNX file.
        threads: Threads per operator; 0 lets the runtime choose.

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


def run_file(session: Any, clips: Sequence[ClipEntry]) -> dict[str, np.ndarray]:
    """Outputs (N, C) of a file for a batch of clips."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, as_inputs(clips)), strict=True))


def run_torch(predictor: Predictor, clips: Sequence[ClipEntry], *, one_view: bool = False) -> dict[str, np.ndarray]:
    """The same outputs, each (N, C), computed by torch."""
    outputs: dict[str, list[np.ndarray]] = {}
    for batch in predictor.score(clips, one_view=one_view):
        if len(batch) > 1:
            batch = {**batch, "fusion": fuse(list(batch.values()), predictor.weights)}
        for name, scores in batch.items():
            outputs.setdefault(name, []).append(scores.score)
            if scores.semantic_cosine is not None:
                outputs.setdefault(f"{name}_cosine", []).append(scores.semantic_cosine)
    return {name: np.concatenate(parts) for name, parts in outputs.items()}


def compare(
    predictor: Predictor, path: str | os.PathLike[str], clips: Sequence[ClipEntry], *, one_view: bool = False
) -> dict[str, float]:
    """Largest absolute difference of each output of a file from torch."""
    session = open_session(path, torch.get_num_threads())
    actual, expected = run_file(session, clips), run_torch(predictor, clips, one_view=one_view)
    return {name: float(np.abs(actual[name] - expected[name]).max()) for name in expected}


def benchmark(
    predictor: Predictor,
    path: str | os.PathLike[str],
    clips: Sequence[ClipEntry],
    *,
    one_view: bool = False,
    batches: Sequence[int] = (1, 8),
    rounds: int = 3,
) -> str:
    """Run times of torch, fast torch and onnxruntime as a Markdown table.

    The three run the same clips in turns. Times in s include rendering, network and fusion; ratios are medians over
    neighbouring turns.

    Args:
        predictor: The models.
        path: Their ONNX file.
        clips: Clips, repeated where there are fewer than a batch.
        one_view: The setting of the export.
        batches: Batch sizes.
        rounds: Turns of each of the three.
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


def _run_fast(predictor: Predictor, clips: Sequence[ClipEntry], one_view: bool) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return run_torch(predictor, clips, one_view=one_view)
