"""Checkpoint hook that writes atomically, so that a run survives a kill."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop

from pyskl_semloss.io.files import atomic_write

POINTER = "last_checkpoint"
"""Name of the host's file that names the latest checkpoint."""
_VALIDATED = "epoch_validated"


def point_to(folder: str | os.PathLike[str], checkpoint: str | os.PathLike[str]) -> None:
    """Write the name of a run's latest checkpoint."""
    with atomic_write(Path(folder, POINTER), "w", encoding="utf-8") as stream:
        stream.write(os.fspath(checkpoint))


@register_backend("whole_files", force=True)
class AtomicFiles(LocalBackend):
    """Storage backend that writes local files atomically."""

    def put(self, obj: bytes, filepath: str | os.PathLike[str]) -> None:
        """Write bytes to a temporary file, sync it and rename it."""
        with atomic_write(filepath) as stream:
            stream.write(obj)


class _DeferredDeletes:
    """Storage backend that records deletions instead of doing them."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.removed = backend, list[str]()

    def remove(self, filepath: str) -> None:
        self.removed.append(filepath)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """The host's checkpoint hook with atomic writes and resumable validation.

    A complete checkpoint exists at any moment: checkpoints and the file that names the latest are written atomically,
    and older ones are removed afterwards. A validation that was interrupted after the checkpoint is repeated when the
    run resumes. The arguments are the host's.
    """

    file_backend: Any
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("backend_args") and not kwargs.get("file_client_args"):
            kwargs["backend_args"] = {"backend": "whole_files"}
        super().__init__(*args, **kwargs)

    def before_train(self, runner: Any) -> None:
        """Restore the state of a resumed run, and repeat an interrupted validation."""
        super().before_train(runner)
        if not runner.iter:
            return
        # The run's folder may have been moved or copied: files in the old folder are not this run's.
        info = runner.message_hub.runtime_info
        self.last_ckpt = self._here(info.get("last_ckpt"))
        if hasattr(self, "best_ckpt_path"):
            self.best_ckpt_path = self._here(self.best_ckpt_path, "best_")
        elif hasattr(self, "best_ckpt_path_dict"):
            self.best_ckpt_path_dict = {
                key: self._here(path, "best_") for key, path in self.best_ckpt_path_dict.items()
            }
        if self._validation_is_due(runner) and info.get(_VALIDATED) != runner.epoch:
            runner.logger.info(f"The validation after epoch {runner.epoch} was interrupted and is repeated.")
            # The host's values between an epoch and its validation; a best checkpoint saved then has them.
            runner.message_hub.update_info_dict({"epoch": runner.epoch - 1, "iter": runner.iter - 1})
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Save the best checkpoint."""
        runner.message_hub.update_info(_VALIDATED, runner.epoch)
        super().after_val_epoch(runner, metrics)

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, float]) -> None:
        backend, deferred = self.file_backend, _DeferredDeletes(self.file_backend)
        self.file_backend = deferred
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        best = {getattr(self, "best_ckpt_path", None), *getattr(self, "best_ckpt_path_dict", {}).values()}
        for path in deferred.removed:
            if path not in best:
                backend.remove(path)

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self._path(self.keep_ckpt_ids[0])
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            self.filename_tmpl.format(step),
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            point_to(runner.work_dir, self.last_ckpt)
            if outdated is not None and self.file_backend.isfile(outdated):
                self.file_backend.remove(outdated)

    def _validation_is_due(self, runner: Any) -> bool:
        loop = runner.train_loop
        if runner.val_loop is None or not isinstance(loop, EpochBasedTrainLoop):
            return False
        loop._decide_current_val_interval()
        last = loop.epoch == loop.max_epochs
        return loop.epoch >= loop.val_begin and (loop.epoch % loop.val_interval == 0 or last)

    def _path(self, step: int) -> str:
        return self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))

    def _here(self, path: str | None, kind: str = "") -> str | None:
        """Path of that name in this run's folder, or None if it does not start with ``kind``: it may be deleted."""
        name = os.path.basename(path or "")
        return self.file_backend.join_path(self.out_dir, name) if name and name.startswith(kind) else None
