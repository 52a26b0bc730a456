"""Sides of a benchmark: MMAction2, our config, and our config with ``fast``."""

from __future__ import annotations

import copy
import os
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from pyskl_semloss.cpu.allocator import SWITCH, keep_large_blocks
from pyskl_semloss.hosts.mmaction2.model.config_files import fill_num_classes
from pyskl_semloss.hosts.mmaction2.training.run_config import load_config
from pyskl_semloss.skeletons import SkeletonLayout, get_layout

SIDES = ("host", "ours", "fast")

_HOST_STEPS = {
    "CompactKeypoints": "PoseCompact",
    "ResizeKeypoints": "Resize",
    "RandomResizedCropKeypoints": "RandomResizedCrop",
}


@dataclass(frozen=True)
class Setup:
    """Settings from which a side is built in its process.

    Attributes:
        side: ``"host"``, ``"ours"`` or ``"fast"``.
        config: Our config file; the host's config has the same sizes, backbone and optimizer.
        ann_file: The annotation pickle; its splits ``train`` and ``test`` are read.
        label_vectors: The file of label vectors.
        weights: State dict of the host's model, which each side starts from.
        device: ``"cpu"`` or ``"cuda"``.
        batch: Clips of a training step.
        workers: Processes of the loader.
        views: Views of a test clip; an even number is half as many clips, each also flipped.
        threads: Threads of torch; None leaves its default.
        seed: Of every random choice.
    """

    side: str
    config: str
    ann_file: str
    label_vectors: str
    weights: str
    device: str = "cpu"
    batch: int = 4
    workers: int = 2
    views: int = 20
    threads: int | None = None
    seed: int = 0


def prepare_process(setup: Setup) -> dict[str, Any]:
    """Set the process up as for the side's users; returns the settings for the report."""
    from mmengine.logging import MMLogger
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401

    warnings.filterwarnings("ignore")
    MMLogger.get_instance("benchmark", log_level="ERROR")
    DefaultScope.get_instance("benchmark", scope_name="mmaction")
    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    done: dict[str, Any] = {"threads": torch.get_num_threads(), "allocator": "default", "np.Inf": "numpy's own"}
    if setup.side == "host" and not hasattr(np, "Inf"):
        # MMAction2's PoseCompact names it; without it the host cannot run on numpy 2 at all.
        np.Inf = np.inf  # type: ignore[attr-defined]
        done["np.Inf"] = "given to the host, which cannot run without it on numpy 2"
    if setup.side == "host":
        # Reading a config through our own function would set the allocator for the host, too.
        os.environ[SWITCH] = "default"
    elif setup.device == "cpu" and keep_large_blocks():
        done["allocator"] = "keeps large blocks"
    return done


def side_config(setup: Setup) -> Config:
    """Config of a side, with its annotation file and number of views."""
    options: dict[str, Any] = {
        f"{name}_dataloader.dataset.{key}": value
        for name in ("train", "test")
        for key, value in (("ann_file", setup.ann_file), ("split", name))
    }
    options["model.cls_head.label_vectors"] = setup.label_vectors
    config = load_config(setup.config, uses=["train", "test"], work_dir="", options=options)
    fill_num_classes(config, setup.config)
    _set_views(config.test_dataloader.dataset.pipeline, setup.views)
    config.train_dataloader.update(batch_size=setup.batch, num_workers=setup.workers, persistent_workers=False)
    # The rate is given for a total batch, which the runner follows.
    base = config.get("auto_scale_lr", {}).get("base_batch_size", setup.batch)
    config.optim_wrapper.optimizer.lr *= setup.batch / base
    if setup.side == "host":
        return host_config(config)
    config.model.fast = setup.side == "fast"
    return config


def _set_views(pipeline: Sequence[dict[str, Any]], views: int) -> None:
    flipped = views % 2 == 0
    for step in pipeline:
        if step["type"] == "SampleKeypointFrames":
            step["num_clips"] = views // 2 if flipped else views
        if step["type"] == "PackKeypoints":
            step["mirrored_views"] = flipped


def host_config(config: Config) -> Config:
    """MMAction2's config for the same data, sizes, backbone and schedule."""
    host = copy.deepcopy(config)
    layout = get_layout(config.model.data_preprocessor.skeleton)
    drawing = config.model.data_preprocessor
    for name in ("train", "test"):
        loader = host[f"{name}_dataloader"]
        old = loader.dataset
        loader.pop("collate_fn", None)
        loader.dataset = dict(
            type="PoseDataset",
            ann_file=old.ann_file,
            split=old.split,
            test_mode=name == "test",
            pipeline=host_pipeline(old.pipeline, layout, drawing.get("modality", "joint"), drawing.get("sigma", 0.6)),
        )
    head = config.model.cls_head
    host.model = dict(
        type="Recognizer3D",
        backbone=config.model.backbone,
        cls_head=dict(
            type="I3DHead",
            num_classes=head.num_classes,
            in_channels=head.in_channels,
            dropout_ratio=head.dropout_ratio,
            average_clips=head.average_clips,
        ),
    )
    # As in MMAction2's default_runtime.py.
    host.env_cfg.cudnn_benchmark = False
    return host


def host_pipeline(
    pipeline: Sequence[dict[str, Any]], layout: SkeletonLayout, modality: str, sigma: float
) -> list[dict[str, Any]]:
    """MMAction2's steps instead of ours, with equal volumes from equal seeds."""
    steps: list[dict[str, Any]] = []
    pairs = {"left_kp": list(layout.left_kp), "right_kp": list(layout.right_kp)}
    for step in pipeline:
        options = {key: value for key, value in step.items() if key != "type"}
        if step["type"] == "SampleKeypointFrames":
            steps += [dict(type="UniformSampleFrames", **options), dict(type="PoseDecode")]
        elif step["type"] == "FlipKeypoints":
            steps.append(dict(type="Flip", **options, **pairs))
        elif step["type"] == "PackKeypoints":
            steps += [
                dict(
                    type="GeneratePoseTarget",
                    sigma=sigma,
                    use_score=True,
                    with_kp=modality == "joint",
                    with_limb=modality == "limb",
                    skeletons=layout.limbs,
                    double=options.get("mirrored_views", False),
                    left_limb=list(layout.left_limb),
                    right_limb=list(layout.right_limb),
                    **pairs,
                ),
                dict(type="FormatShape", input_format="NCTHW_Heatmap"),
                dict(type="PackActionInputs"),
            ]
        else:
            steps.append(dict(type=_HOST_STEPS[step["type"]], **options))
    return steps


def build_model(config: Config, weights: str | None, device: str, seed: int = 0) -> Any:
    """Recogniser of a config on the device, given weights loaded.

    Raises:
        RuntimeError: The weights are of another backbone or head.
    """
    from mmaction.registry import MODELS

    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    model.init_weights()
    if weights is not None:
        result = model.load_state_dict(torch.load(weights, weights_only=True), strict=False)
        lacking = [key for key in result.missing_keys if "semantic_branch" not in key]
        if lacking or result.unexpected_keys:
            raise RuntimeError(
                f"weights of another model: {lacking[:3]} are missing, {result.unexpected_keys[:3]} more"
            )
    return model.to(device)


def build_optimizer(config: Config, model: Any) -> Any:
    """The optimizer's wrapper, as the runner builds it."""
    from mmengine.optim import build_optim_wrapper

    return build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))


def set_seed(seed: int) -> None:
    """Seed every generator that a pipeline or a model draws from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
