"""What a person who watches a training wants to see, in every line of it."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class BestSoFarHook(Hook):
    """The best validation result so far, ``best_val``, in each line of the training, also in TensorBoard and the like.

    It is what the host's ``CheckpointHook`` keeps as the best by ``save_best``, and in its checkpoints.
    """

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Pass the best result on to the log."""
        # Not after the validation: the checkpoint that the CheckpointHook then writes would lack it.
        best = runner.message_hub.get_info("best_score", None)
        if best is not None:
            runner.message_hub.update_scalar("train/best_val", best)
