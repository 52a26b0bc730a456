"""Progress line on the screen of a training or test.

The config, the hooks and every step are in the log file.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, Runner

from pyskl_semloss.errors import escape_control_characters

_PAUSE = 0.1
"""Seconds between two updates of the line."""
# First words of log messages below a warning that are shown, of prints that go to the log, and of hidden warnings.
_SHOWN = ("resumed epoch", "The validation after epoch")
_LOGGED = "Loads checkpoint by "
_HIDDEN = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


class ScreenLine:
    """Line that is rewritten on a terminal and hidden elsewhere.

    Args:
        stream: Output, usually ``sys.stdout``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._text, self._shown, self._next = stream, "", False, 0.0
        self.is_terminal = stream.isatty()

    def show(self, text: str) -> None:
        """Replace the text of the line."""
        self._text = text
        if self.is_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self._rewrite()

    def keep(self, text: str) -> None:
        """Write a permanent line above the rewritten one."""
        self.clear()
        self._stream.write(f"{escape_control_characters(text)}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Erase the line, so that others can write."""
        if self._shown:
            self._shown = False
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        """Show the last text and end the line."""
        if self.is_terminal and self._text:
            self._rewrite()
            self._text, self._shown = "", False
            self._stream.write("\n")
            self._stream.flush()

    def _rewrite(self) -> None:
        self._shown = True
        # A text that wraps into two lines cannot be rewritten.
        self._stream.write(f"\r{escape_control_characters(self._text)[: self._width() - 1]}\x1b[K")
        self._stream.flush()

    def _width(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        return 80


def progress_text(
    position: str, losses: Mapping[str, float], seconds: float | None = None, best: tuple[str, float] | None = None
) -> str:
    """State of a training in a line.

    Args:
        position: Position in the training, such as ``"epoch 3/18"``.
        losses: Losses by name.
        seconds: Remaining time in s.
        best: Name and value of the best validation result so far.

    Example:
        >>> progress_text("epoch 3/18", {"loss_cls": 3.2, "loss_emb": 0.51}, 185.4, ("acc/top1", 0.25))
        'epoch 3/18  loss_cls 3.2000  loss_emb 0.5100  0:03:05 left  best acc/top1 0.2500'
    """
    parts = [position, *(f"{name} {value:.4f}" for name, value in losses.items())]
    if seconds is not None:
        parts.append(f"{datetime.timedelta(seconds=round(seconds))} left")
    if best is not None:
        parts.append(f"best {best[0]} {best[1]:.4f}")
    return "  ".join(parts)


class ScreenHook(Hook):
    """Hook that shows the progress of a training or test.

    On a terminal it rewrites a line; elsewhere it writes a line per epoch, after the validation. Losses are means over
    the log's window.

    Args:
        line: Line to write to.
    """

    # After the CheckpointHook, which determines the best result.
    priority = "LOWEST"

    def __init__(self, line: ScreenLine) -> None:
        self._line, self._losses, self._position, self._due = line, dict[str, float](), "", False
        self._begun: tuple[float, int] | None = None
        self._done = 0

    def before_train(self, runner: Any) -> None:
        """Show the path of the log."""
        if runner.logger.log_file:
            self._line.keep(f"The config, the hooks and every step are in {runner.logger.log_file}")
        self._begun, self._done = (time.monotonic(), runner.iter), runner.iter

    def before_train_epoch(self, runner: Any) -> None:
        """End an epoch without validation."""
        self._end_epoch(runner)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """Show the losses."""
        self._done, self._position = runner.iter + 1, f"step {runner.iter + 1}/{runner.max_iters}"
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._position = f"epoch {runner.epoch + 1}/{runner.max_epochs}"
            step = f"  step {batch_idx + 1}/{len(runner.train_dataloader)}"
        else:
            self._due, step = True, ""
        hub, window = runner.message_hub, runner.log_processor.window_size
        names = [name for name in outputs or () if "loss" in name]
        self._losses = {name: float(hub.get_scalar(f"train/{name}").mean(window)) for name in names}
        self._line.show(self._text(runner, step))

    def after_train_epoch(self, runner: Any) -> None:
        """Note that the epoch has ended; its validation may follow."""
        self._due = True

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Show the progress of the validation."""
        self._line.show(self._text(runner, f"  validating {batch_idx + 1}/{len(runner.val_dataloader)}"))

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """End the epoch."""
        self._line.show(self._text(runner))
        self._end_epoch(runner)

    def after_train(self, runner: Any) -> None:
        """End the last epoch."""
        self._line.show(self._text(runner))
        self._end_epoch(runner)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Show the progress of the test."""
        self._line.show(f"testing {batch_idx + 1}/{len(runner.test_dataloader)}")

    def _end_epoch(self, runner: Any) -> None:
        if self._due and not self._line.is_terminal:
            self._line.keep(self._text(runner))
        self._due = False

    def _text(self, runner: Any, more: str = "") -> str:
        left = None
        if self._begun is not None and self._begun[1] < self._done < runner.max_iters:
            rate = (time.monotonic() - self._begun[0]) / (self._done - self._begun[1])
            left = rate * (runner.max_iters - self._done)
        return progress_text(self._position + more, self._losses, left, _best(runner)).strip()


def _best(runner: Any) -> tuple[str, float] | None:
    """Name and value of the best validation result of the host's ``CheckpointHook``."""
    hub = runner.message_hub
    for hook in runner.hooks:
        for name in getattr(hook, "key_indicators", None) or () if isinstance(hook, CheckpointHook) else ():
            value = hub.get_info("best_score", None)
            value = hub.get_info(f"best_score_{name}", None) if value is None else value
            if value is not None:
                return name, float(value)
    return None


class ScreenRunner(Runner):
    """The host's runner with a log file and a progress line.

    Warnings and errors are shown, too. Of several processes only the first writes.
    """

    _line: ScreenLine

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As in the host; messages below a warning are hidden from the screen."""
        logger = super().build_logger(*args, **kwargs)
        self._line = ScreenLine(sys.stdout)
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.addFilter(self._passes)
        return logger

    def train(self) -> Any:
        """As in the host."""
        with self._screen():
            return super().train()

    def test(self) -> Any:
        """As in the host."""
        with self._screen():
            return super().test()

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """As in the host; its print about the storage backend goes to the log."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                return super().load_checkpoint(*args, **kwargs)
        finally:
            for line in printed.getvalue().splitlines():
                if line.startswith(_LOGGED):
                    self.logger.info(line)
                else:
                    print(line)

    def _passes(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        passes = text.startswith(_SHOWN) or record.levelno >= logging.WARNING and not text.startswith(_HIDDEN)
        if passes:
            self._line.clear()
        return passes

    @contextlib.contextmanager
    def _screen(self) -> Iterator[None]:
        """Show the line during a block, end it in any case, and clear it before Python's warnings."""
        show = warnings.showwarning

        def show_alone(*args: Any, **kwargs: Any) -> None:
            self._line.clear()
            show(*args, **kwargs)

        if is_main_process():
            self.register_hook(ScreenHook(self._line))
        warnings.showwarning = show_alone
        try:
            yield
        finally:
            warnings.showwarning = show
            self._line.close()
