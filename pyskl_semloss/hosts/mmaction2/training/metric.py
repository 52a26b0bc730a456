"""Accuracies and score file of a validation or test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.metrics import all_metrics
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field


@METRICS.register_module()
class ScoreMetric(BaseMetric):
    """Top-1, Top-5, mean-class and nearest-name accuracy, with a score file.

    The accuracies are over the clips with a known label.

    Args:
        score_file: Path of the written scores (npz), keyed by clip id; None writes no file.
        collect_device: As in mmengine.
        prefix: As in mmengine.
    """

    default_prefix = "acc"

    def __init__(self, score_file: str | Path | None = None, collect_device: str = "cpu", prefix: str | None = None):
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.score_file = score_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collect the scores of a batch.

        Raises:
            InputError: The scores of the views are not averaged.
        """
        for sample in data_samples:
            score = get_sample_field(sample, "pred_score")
            if score.ndim != 1:
                raise InputError(
                    f"expected the scores (C,) of a sample, got {tuple(score.shape)}",
                    clip=sample.get("sample_id"),
                    field="pred_score",
                    fix="Set average_clips='prob' in the config's cls_head.",
                )
            result = {
                "sample_id": sample["sample_id"],
                "score": score.float().cpu().numpy(),
                "label": int(get_sample_field(sample, "gt_label").reshape(-1)[0]),
            }
            for name, value in sample.get("pred_semantic", {}).items():
                result[f"semantic_{name}"] = value.float().cpu().numpy()
            self.results.append(result)

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Accuracies from 0 to 1 over all clips with a known label.

        Raises:
            InputError: A score is NaN or infinite.
        """
        columns: dict[str, Any] = {name: np.stack([result[name] for result in results]) for name in results[0]}
        wrong = ~np.isfinite(columns["score"]).all(1)
        if wrong.any():
            raise InputError(
                f"the model gives NaN or infinity for {int(wrong.sum())} of {len(wrong)} clips",
                clip=columns["sample_id"][wrong.argmax()].item(),
                fix="Its weights have diverged: train with a lower optim_wrapper.optimizer.lr.",
            )
        scores = Scores(**columns)
        if self.score_file is not None:
            scores.save(self.score_file)
            MMLogger.get_current_instance().info(f"Scores of {len(results)} clips written to {self.score_file}")
        return {name: value for name, value in all_metrics(scores).items() if value is not None}


@HOOKS.register_module()
class BestSoFarHook(Hook):
    """Hook that logs the best validation result so far as ``best_val``.

    Every log backend gets it, also TensorBoard. It is the ``save_best`` result of the host's ``CheckpointHook``.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Log the best result."""
        # Not after the validation: the checkpoint that the CheckpointHook writes then would lack the value.
        best = runner.message_hub.get_info("best_score", None)
        if best is not None:
            runner.message_hub.update_scalar("train/best_val", best)
