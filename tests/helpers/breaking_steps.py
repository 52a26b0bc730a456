"""Transforms that fail at one clip, each in its way."""

import contextlib
import os
import signal

from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class BreaksAt(BaseTransform):
    """Fails at the clip ``frame_dir``; every worker writes its process id into ``pids``."""

    def __init__(self, frame_dir, how, pids):
        self.frame_dir, self.how, self.pids = frame_dir, how, pids

    def transform(self, results):
        with open(self.pids, "a", encoding="utf-8") as stream:
            stream.write(f"{os.getpid()}\n")
        if results["frame_dir"] == self.frame_dir:
            getattr(self, self.how)()
        return results

    def raises(self):
        raise ZeroDivisionError("a mean of nothing")

    def is_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def fills_shared_memory(self):
        filler = os.open("/dev/shm/filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(filler, bytes(4096)):
                pass
        os.close(filler)
