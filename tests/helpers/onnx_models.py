"""Tiny models with random weights, clips that are hard to get right, and the tools as a user runs them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

import pyskl_semloss.hosts.mmaction2  # noqa: F401
from helpers import ROOT
from pyskl_semloss.annotations import Clip
from pyskl_semloss.annotations.mending import read_clip
from pyskl_semloss.annotations.report import Report
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor

BASE = ROOT / "configs" / "mmaction2" / "synthetic"


def needs_runtime():
    pytest.importorskip("onnx", reason="the export needs onnx")
    return pytest.importorskip("onnxruntime", reason="running the file needs onnxruntime")


def config_of(modality="joint", *, classes=32, semantic=True, steps=None, size=16, frames=8, **dataset):
    """A tiny model's config: 8 frames of 16x16 maps, two clips and their mirror images."""
    config = Config.fromfile(str(BASE / f"{modality}{'' if semantic else '_baseline'}.py"))
    if not semantic and modality == "limb":
        config.model.data_preprocessor.modality = "limb"
    config.model.backbone.base_channels = 8
    config.model.cls_head.update(in_channels=32, num_classes=classes)
    if semantic:
        vectors = np.random.default_rng(0).normal(0, 0.3, (classes, 20)).astype(np.float32)
        config.model.cls_head.label_vectors = vectors
    config.test_dataloader.dataset.pipeline = steps or [
        dict(type="SampleKeypointFrames", clip_len=frames, num_clips=2, test_mode=True),
        dict(type="CompactKeypoints", hw_ratio=1.0, allow_imgpad=True),
        dict(type="ResizeKeypoints", scale=(size, size), keep_ratio=False),
        dict(type="PackKeypoints", mirrored_views=True),
    ]
    config.test_dataloader.dataset.update(dataset)
    return config


def save_model(config, path, seed=0):
    """Weights that are far from their start, so that classes differ and every normalisation counts."""
    init_default_scope("mmaction")
    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm3d):
                for value, low, high in ((part.running_mean, -0.2, 0.2), (part.running_var, 0.5, 1.5)):
                    value.uniform_(low, high)
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.2, 0.2)
        model.cls_head.fc_cls.weight.normal_(0, 15)
    torch.save({"state_dict": model.state_dict()}, path)
    return config, path


def predictor_of(folder, modalities=("joint", "limb"), **options):
    sources = {
        name: save_model(config_of(name, **options), folder / f"{name}.pth", seed)
        for seed, name in enumerate(modalities)
    }
    return Predictor(**sources, device="cpu")


def hard_clips(joints=22, seed=0):
    """Every length around the model's 8 frames, one and two persons, missing points, points outside, nobody."""
    rng = np.random.default_rng(seed)
    clips = []
    for number, frames in enumerate((1, 2, 7, 8, 9, 15, 16, 17, 40, 63)):
        persons, shape = 1 + number % 2, (90 + 7 * number, 120)
        keypoint = rng.uniform(-10, 130, (persons, frames, joints, 2)).astype(np.float32)
        score = rng.random((persons, frames, joints)).astype(np.float32)
        missing = rng.random(score.shape) < 0.2
        keypoint[missing], score[missing] = 0, 0
        clips.append(Clip(f"clip{number}", -1, shape, shape, keypoint, score))
    some, score = clips[8].keypoint, clips[8].keypoint_score
    for name, change in (("nobody", 0), ("small", 0.01)):
        clips.append(Clip(name, -1, (90, 120), (90, 120), some * np.float32(change), score))
    # Only one coordinate is missing; and a box that begins on a whole pixel, outside the image.
    clips[4].keypoint[..., :4, 0] = 0
    clips[6].keypoint[clips[6].keypoint < 0] = -8
    return clips


def mended(clip, model):
    """A clip as the data set of the model hands it to the pipeline."""
    results = read_clip(clip, model.rules, Report()).to_dict()
    if model.binary_score:
        results["keypoint_score"] = (results["keypoint"] != 0).any(-1).astype(np.float32)
    return {**results, "skeleton": model.layout}


def tool(*words, code=0):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=600)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr
