"""A hook that warns in both ways, and ends the run with a signal; a test's config names it."""

import os
import signal
import warnings

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class ScreenProbe(Hook):
    """Warnings at the third step, the signal at the second step of the second epoch."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Warn, or send the signal."""
        if runner.iter == 2:
            warnings.warn("the first warning", stacklevel=1)
            runner.logger.warning("the second warning")
        if (runner.epoch, batch_idx) == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)
