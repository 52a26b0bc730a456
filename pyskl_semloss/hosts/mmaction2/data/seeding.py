"""Seeding of augmentation and dropout, independent of workers and resumption.

The host seeds each worker once. Its random numbers then depend on the number of workers and on all earlier draws, so
another number of workers or a resumed run gives different ones. Here they depend only on the seed and on the clip or
the step.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop

_MASK = (1 << 64) - 1


def hash64(*numbers: int) -> int:
    """Well-mixed 64-bit hash of integers, equal on every machine.

    SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), applied to each
    number in turn.
    """
    bits = 0
    for number in numbers:
        bits = ((bits ^ number) + 0x9E3779B97F4A7C15) & _MASK
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
        bits ^= bits >> 31
    return bits


def seed_generators(*numbers: int) -> None:
    """Seed Python's and numpy's global generators, which the hosts' transforms use."""
    bits = hash64(*numbers)
    np.random.seed(bits & 0xFFFFFFFF)
    random.seed(bits >> 32)


@HOOKS.register_module()
class SeedHook(Hook):
    """Hook that seeds augmentation by clip and dropout by step.

    Augmentation is seeded by (seed, epoch, clip), dropout by (seed, step, process). Clips are seeded in a
    ``KeypointDataset``, or several in a ``ConcatDataset``, under a loop that counts epochs. Other data sets and loops
    keep the workers' generators, with a warning.
    """

    def before_train(self, runner: Any) -> None:
        """Warn if the workers' own generators are used."""
        if not _seedable(runner):
            runner.logger.warning(
                "Only the clips of a KeypointDataset, in a loop that counts epochs, are seeded one by one. Here the "
                "numbers depend on num_workers, and a resumed run does not repeat those of an uninterrupted one."
            )

    def before_train_epoch(self, runner: Any) -> None:
        """Pass the epoch to the data sets, also in persistent workers."""
        for number, dataset in enumerate(_seedable(runner)):
            dataset.seed_clips(hash64(runner.seed, number) >> 1, runner.epoch)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the step; its batch is already drawn."""
        numbers = (runner.seed, runner.iter, runner.rank)
        seed_generators(*numbers)
        torch.manual_seed(hash64(*numbers))


def _seedable(runner: Any) -> list[Any]:
    """Data sets that can seed their clips; empty where an epoch may draw a clip more than once."""
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return []
    dataset = runner.train_dataloader.dataset
    parts = getattr(dataset, "datasets", [dataset])
    return list(parts) if all(hasattr(part, "seed_clips") for part in parts) else []
