"""The host's checkpoint hook, made to survive a kill at any moment."""

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
"""The host's file that names the latest checkpoint."""
_VALIDATED = "epoch_validated"


def point_to(folder: str | os.PathLike[str], checkpoint: str | os.PathLike[str]) -> None:
    """Name the latest checkpoint of a run."""
    with atomic_write(Path(folder, POINTER), "w", encoding="utf-8") as stream:
        stream.write(os.fspath(checkpoint))


@register_backend("whole_files", force=True)
class AtomicFiles(LocalBackend):
    """Local files that are whole or absent."""

    def put(self, obj: bytes, filepath: str | os.PathLike[str]) -> None:
        """Write bytes under a temporary name, and give the file its name when they are on the disk."""
        with atomic_write(filepath) as stream:
            stream.write(obj)


class _DeferredDeletes:
    """A storage backend whose removals are noted for later."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.removed = backend, list[str]()

    def remove(self, filepath: str) -> None:
        self.removed.append(filepath)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)


@HOOKS.register_module()
class WholeCheckpointHook(CheckpointHook):
    """The host's hook, but there is a whole checkpoint at any moment, and a resume loses nothing.

    A checkpoint, and the file that names the latest, take their names when they are whole; what they replace is removed
    after that. A validation that was due after the checkpoint and did not come to its end is repeated at a resume.
    The arguments are the host's.
    """

    file_backend: Any
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("backend_args") and not kwargs.get("file_client_args"):
            kwargs["backend_args"] = {"backend": "whole_files"}
        super().__init__(*args, **kwargs)

    def before_train(self, runner: Any) -> None:
        """Take up the books of the resumed run, and its validation where that was cut off."""
        super().before_train(runner)
        if not runner.iter:
            return
        # The run's folder may have been moved, or copied: then the files in the other are not this run's.
        books = runner.message_hub.runtime_info
        self.last_ckpt = self._here(books.get("last_ckpt"))
        if hasattr(self, "best_ckpt_path"):
            self.best_ckpt_path = self._here(self.best_ckpt_path, "best_")
        elif hasattr(self, "best_ckpt_path_dict"):
            self.best_ckpt_path_dict = {
                key: self._here(path, "best_") for key, path in self.best_ckpt_path_dict.items()
            }
        if self._validation_is_due(runner) and books.get(_VALIDATED) != runner.epoch:
            runner.logger.info(f"The validation after epoch {runner.epoch} did not come to its end and is repeated.")
            # As the host leaves them between an epoch and its validation; whatever is saved then holds them.
            runner.message_hub.update_info_dict({"epoch": runner.epoch - 1, "iter": runner.iter - 1})
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float]) -> None:
        """Save what is best."""
        runner.message_hub.update_info(_VALIDATED, runner.epoch)
        super().after_val_epoch(runner, metrics)

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, float]) -> None:
        backend, late = self.file_backend, _DeferredDeletes(self.file_backend)
        self.file_backend = late
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        best = {getattr(self, "best_ckpt_path", None), *getattr(self, "best_ckpt_path_dict", {}).values()}
        for path in late.removed:
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
        """A file of that name in this run's folder; one that a checkpoint calls the best is removed for a better."""
        name = os.path.basename(path or "")
        return self.file_backend.join_path(self.out_dir, name) if name and name.startswith(kind) else None
