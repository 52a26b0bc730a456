"""One line of progress on the screen; the config, the hooks and every step are in the log file."""

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
"""Seconds between two states of the line."""
# What the line does not show, and the host's advice to itself.
_TOLD = ("resumed epoch", "The validation after epoch")
_PRINTED = "Loads checkpoint by "
_UNTOLD = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


class ScreenLine:
    """A line that is rewritten on a terminal, and not shown elsewhere.

    Args:
        stream: Where to, usually ``sys.stdout``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._text, self._shown, self._next = stream, "", False, 0.0
        self.is_terminal = stream.isatty()

    def show(self, text: str) -> None:
        """Put another text in the place of the last."""
        self._text = text
        if self.is_terminal and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self._rewrite()

    def keep(self, text: str) -> None:
        """Write a line that stays, above the one that is rewritten."""
        self.clear()
        self._stream.write(f"{escape_control_characters(text)}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Make room for what others write."""
        if self._shown:
            self._shown = False
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        """Show the last text, and end the line."""
        if self.is_terminal and self._text:
            self._rewrite()
            self._text, self._shown = "", False
            self._stream.write("\n")
            self._stream.flush()

    def _rewrite(self) -> None:
        self._shown = True
        # A text that is broken into two lines cannot be rewritten.
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
        position: Such as ``"epoch 3/18"``.
        losses: Each with its name.
        seconds: Time left.
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
    """Progress of a training or a test: a line that is rewritten, or without a terminal a line for each epoch.

    The losses are means over the window of the log. The line of an epoch follows its validation.

    Args:
        line: Where to.
    """

    # After the hook that knows which result is the best.
    priority = "LOWEST"

    def __init__(self, line: ScreenLine) -> None:
        self._line, self._losses, self._position, self._due = line, dict[str, float](), "", False
        self._begun: tuple[float, int] | None = None
        self._done = 0

    def before_train(self, runner: Any) -> None:
        """Say where the log is."""
        if runner.logger.log_file:
            self._line.keep(f"The config, the hooks and every step are in {runner.logger.log_file}")
        self._begun, self._done = (time.monotonic(), runner.iter), runner.iter

    def before_train_epoch(self, runner: Any) -> None:
        """End an epoch that was not validated."""
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
        """Show how much is validated."""
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
        """Show how much is tested."""
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
    """Name and value of the best validation result, as the host's hook keeps it."""
    hub = runner.message_hub
    for hook in runner.hooks:
        for name in getattr(hook, "key_indicators", None) or () if isinstance(hook, CheckpointHook) else ():
            value = hub.get_info("best_score", None)
            value = hub.get_info(f"best_score_{name}", None) if value is None else value
            if value is not None:
                return name, float(value)
    return None


class ScreenRunner(Runner):
    """The host's runner whose log goes to its file alone, with one line of progress on the screen.

    Warnings and errors are shown, too. Of several processes the first one writes.
    """

    _line: ScreenLine

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """As in the host; what is below a warning is kept from the screen."""
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
        """As in the host; the way in which the file is opened, which it prints, goes to the log."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                return super().load_checkpoint(*args, **kwargs)
        finally:
            for line in printed.getvalue().splitlines():
                if line.startswith(_PRINTED):
                    self.logger.info(line)
                else:
                    print(line)

    def _passes(self, record: logging.LogRecord) -> bool:
        said = str(record.msg)
        passes = said.startswith(_TOLD) or record.levelno >= logging.WARNING and not said.startswith(_UNTOLD)
        if passes:
            self._line.clear()
        return passes

    @contextlib.contextmanager
    def _screen(self) -> Iterator[None]:
        """The line is ended however the run ends, and warnings of Python do not run into it."""
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
