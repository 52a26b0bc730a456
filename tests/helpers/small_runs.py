"""A small real training through the tools, and all that counts of what it writes."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import torch

from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.synthetic.clips import generate

CONFIG = "configs/mmaction2/synthetic/joint.py"
_TIMES = re.compile(r".*(/time|data_time|/eta|experiment_name|mmengine_version|/cfg|memory)")


def make_set(folder, clips=80, train=33, val=17):
    """An annotation file of synthetic clips and label vectors for them; returns the overrides that name them."""
    full = generate(clips, seed=1, subjects=8)
    ids = [clip.frame_dir for clip in full.clips]
    splits = {"train": ids[:train], "val": ids[train : train + val], "test": ids[train + val :]}
    write_annotations(folder / "a.pkl", AnnotationSet(splits, full.clips))
    np.save(folder / "v.npy", np.random.default_rng(0).normal(0, 0.3, (32, 20)).astype(np.float32))
    return [
        *(f"{key}_dataloader.dataset.ann_file={folder}/a.pkl" for key in ("train", "val", "test")),
        f"model.cls_head.label_vectors={folder}/v.npy",
        "train_cfg.val_begin=1",
        "train_cfg.val_interval=1",
        "train_dataloader.num_workers=2",
        "optim_wrapper.optimizer.lr=0.02",
        "default_hooks.logger.interval=1",
        # Grows with every epoch here, where the accuracy of so short a training does not.
        "default_hooks.checkpoint.save_best=acc/ece",
        "default_hooks.checkpoint.rule=greater",
    ]


def train_command(work, options, *words):
    """The command line that trains into a folder."""
    words = [sys.executable, "tools/train.py", CONFIG, "--work-dir", work, *words, "--cfg-options", *options]
    return [str(word) for word in words]


def environment(**more):
    """One thread, since sums depend on their number, and no warnings but ours."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable, **more}


def books(path):
    """All that counts of a checkpoint, flat: numbers as bytes, paths as names, no times, no commit."""
    content = torch.load(path, weights_only=True)
    flat = {}

    def walk(value, name):
        if isinstance(value, dict):
            for key, one in value.items():
                walk(one, f"{name}/{key}")
        elif isinstance(value, (list, tuple)):
            for key, one in enumerate(value):
                walk(one, f"{name}/{key}")
        elif hasattr(value, "_log_history"):
            flat[name] = value._log_history.tobytes()
        elif isinstance(value, torch.Tensor):
            flat[name] = value.numpy().tobytes()
        else:
            flat[name] = Path(value).name if isinstance(value, str) and name.endswith("_ckpt") else value

    walk(content, "")
    return {key: value for key, value in flat.items() if not _TIMES.match(key)}
