"""A training that takes milliseconds a step: 8 frames of 16x16 maps, a tiny PoseC3D, two loader workers."""

import sys
from pathlib import Path

import numpy as np

from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.synthetic.clips import CLASS_NAMES, generate

CONFIG = """
_base_ = "{root}/configs/mmaction2/synthetic/joint.py"
work_dir = "{folder}/run"
train_pipeline = [
    {extra}dict(type="SampleKeypointFrames", clip_len=8),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(-1, 18)),
    dict(type="RandomResizedCropKeypoints", area_range=(0.75, 1.0)),
    dict(type="ResizeKeypoints", scale=(16, 16), keep_ratio=False),
    dict(type="FlipKeypoints", flip_ratio=0.5),
    dict(type="PackKeypoints"),
]
val_pipeline = [
    dict(type="SampleKeypointFrames", clip_len=8, test_mode=True),
    dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
    dict(type="ResizeKeypoints", scale=(16, 16), keep_ratio=False),
    dict(type="PackKeypoints"),
]
model = dict(
    backbone=dict(base_channels=8), cls_head=dict(in_channels=32, label_vectors="{folder}/vectors.npz")
)
loader = dict(batch_size=2, num_workers=2)
train_dataloader = dict(**loader, dataset=dict(ann_file="{data}", pipeline=train_pipeline))
val_dataloader = dict(**loader, dataset=dict(ann_file="{data}", pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(ann_file="{data}"))
train_cfg = dict(max_epochs={epochs}, val_begin=1, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=0.05))
"""


def write_run(folder, *, steps=20, epochs=2, extra="", imports=(), lines=""):
    """Write a small set of clips, label vectors and a config.

    Args:
        folder: Where to write them.
        steps: Iterations of an epoch, of two clips each.
        epochs: How many, each with a validation.
        extra: Transforms before the others, as the text of the config, each with a comma behind it.
        imports: Modules to import, beside the package's own.
        lines: More lines for the config.

    Returns:
        The path of the config.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clips = generate(max(32, 2 * steps + 8), seed=1, subjects=8).clips[: 2 * steps + 8]
    names = [clip.frame_dir for clip in clips]
    splits = {"train": names[: 2 * steps], "val": names[2 * steps :], "test": names[:4]}
    write_annotations(folder / "clips.pkl", AnnotationSet(splits, clips))
    vectors = np.random.default_rng(0).normal(0, 0.3, (len(CLASS_NAMES), 20)).astype(np.float32)
    LabelVectors(tuple(CLASS_NAMES), vectors, tuple((name,) for name in CLASS_NAMES)).save(folder / "vectors.npz")
    text = CONFIG.format(root=ROOT, folder=folder, data=folder / "clips.pkl", epochs=epochs, extra=extra)
    if imports:
        text += f"custom_imports = dict(imports={['pyskl_semloss.hosts.mmaction2', *imports]!r})\n"
    (folder / "config.py").write_text(text + lines)
    return folder / "config.py"


def train_command(config, *options):
    """The command line of the training."""
    return [sys.executable, str(ROOT / "tools" / "train.py"), str(config), *map(str, options)]
