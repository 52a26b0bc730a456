"""A side in this process."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.utils.dl_utils import set_multi_processing
from sides import (
    Setup,
    build_model,
    build_optimizer,
    prepare_process,
    set_seed,
    side_config,
)


class LiveSide:
    """Config, data sets and, when first asked for, model and batches.

    The host draws the weights that every side starts from, where they have not been drawn.

    Args:
        setup: The side.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup, self.process = setup, prepare_process(setup)
        self.config: Config = side_config(setup)
        # As the runner does, so that workers are started in the way that the config names.
        set_multi_processing(**self.config.env_cfg.mp_cfg)
        self.cuda = setup.device == "cuda"
        if self.cuda:
            torch.cuda.init()
            torch.backends.cudnn.benchmark = bool(self.config.env_cfg.get("cudnn_benchmark", False))
        if setup.side == "host" and not Path(setup.weights).is_file():
            torch.save(build_model(self.config, None, "cpu", setup.seed).state_dict(), setup.weights)

    def about(self) -> dict[str, Any]:
        """What was set in this process."""
        return self.process

    @cached_property
    def model(self) -> Any:
        """The recogniser, with the host's weights."""
        return build_model(self.config, self.setup.weights, self.setup.device, self.setup.seed)

    @cached_property
    def optimizer(self) -> Any:
        """Its optimizer's wrapper."""
        return build_optimizer(self.config, self.model)

    @cached_property
    def train_set(self) -> Any:
        """The data set that training reads."""
        return self._dataset("train")

    @cached_property
    def test_set(self) -> Any:
        """The data set that testing reads."""
        return self._dataset("test")

    def _dataset(self, name: str) -> Any:
        from mmaction.registry import DATASETS

        dataset = DATASETS.build(self.config[f"{name}_dataloader"].dataset)
        dataset.full_init()
        return dataset

    def now(self) -> float:
        """Seconds on a clock, when all work that was given to the GPU is done."""
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def batch(self, dataset: Any, first: int, clips: int) -> dict[str, Any]:
        """Some clips of a data set, one after the other, as a loader hands them on."""
        from mmengine.dataset import pseudo_collate

        return pseudo_collate([dataset[index % len(dataset)] for index in range(first, first + clips)])

    @cached_property
    def train_data(self) -> dict[str, Any]:
        """The batch of every timed training step."""
        set_seed(self.setup.seed)
        return self.on_device(self.batch(self.train_set, 0, self.setup.batch))

    @cached_property
    def test_data(self) -> dict[str, Any]:
        """The clip of every timed test step."""
        return self.on_device(self.batch(self.test_set, 0, 1))

    def on_device(self, data: dict[str, Any]) -> dict[str, Any]:
        """The host's volumes wait on the device; our keypoints cross over in each step, as from the loader."""
        return self.model.data_preprocessor.cast_data(data) if self.setup.side == "host" else data

    def release(self) -> None:
        """Give the GPU's memory back: the sides share it, and what a turn's cache holds is the next side's."""
        if self.cuda:
            torch.cuda.empty_cache()
