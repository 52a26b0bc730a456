"""A hook that writes down what a training holds: memory, handles, processes, threads."""

import json
import os
import re
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class ResourceLog(Hook):
    """One JSON line each ``interval`` iterations into ``file``; the host's log keeps its last ``history`` values."""

    priority = "LOWEST"

    def __init__(self, file, interval, history=None):
        self.file, self.interval, self.history = file, interval, history

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.history is not None:
            for one in runner.message_hub.log_scalars.values():
                one.max_length = self.history
        if (runner.iter + 1) % self.interval:
            return
        found = children(os.getpid())
        alive = [pid for pid in found if state(pid) != "Z"]
        histories = runner.message_hub.log_scalars.values()
        sample = {
            "iteration": runner.iter + 1,
            "main_rss": memory("self")[0],
            "workers_rss": sum(memory(pid)[0] for pid in alive),
            "workers_private": sum(memory(pid)[1] for pid in alive),
            "main_handles": handles("self"),
            "workers_handles": sum(handles(pid) for pid in alive),
            "processes": len(alive),
            "zombies": len(found) - len(alive),
            "threads": len(os.listdir("/proc/self/task")),
            # What the host keeps of its own log, on purpose: it grows with each iteration.
            "log_history": sum(one._log_history.nbytes + one._count_history.nbytes for one in histories) / 1e6,
        }
        with open(self.file, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(sample) + "\n")


def children(pid):
    """The processes that a process started, and those that they started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def state(pid):
    """The letter of a process's state: Z is a zombie."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def memory(pid):
    """Resident and private memory in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    parts = {name: int(value) * 1024 / 1e6 for name, value in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}
    return parts["Rss"], parts["Private_Clean"] + parts["Private_Dirty"]


def handles(pid):
    """Open file handles."""
    return len(os.listdir(f"/proc/{pid}/fd"))
