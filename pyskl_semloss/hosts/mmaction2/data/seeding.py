"""Random numbers of training that depend on the seed, and on the clip or the step that they are for, on nothing else.

The host seeds each worker once, and its generators run on: its numbers depend on how many workers there are and on what
was drawn before, so neither another number of workers nor a resumed run repeats them.
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
    """64 bits that any change of any of the numbers changes all over; the same on every machine.

    SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014), number by number.
    """
    bits = 0
    for number in numbers:
        bits = ((bits ^ number) + 0x9E3779B97F4A7C15) & _MASK
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
        bits ^= bits >> 31
    return bits


def seed_generators(*numbers: int) -> None:
    """Seed the global generators of Python and numpy, of which the hosts' transforms draw."""
    bits = hash64(*numbers)
    np.random.seed(bits & 0xFFFFFFFF)
    random.seed(bits >> 32)


@HOOKS.register_module()
class SeedHook(Hook):
    """Seeds every clip's augmentation by (seed, epoch, clip), and every step's dropout by (seed, step, process).

    Clips are seeded where each is drawn once an epoch: in a ``KeypointDataset``, or several in a ``ConcatDataset``,
    under a loop that counts epochs. Elsewhere the numbers are the workers' own, with a warning.
    """

    def before_train(self, runner: Any) -> None:
        """Say so where the workers' own generators are used."""
        if not _seedable(runner):
            runner.logger.warning(
                "Only the clips of a KeypointDataset, in a loop that counts epochs, are seeded one by one. Here the "
                "numbers depend on num_workers, and a resumed run does not repeat those of an undisturbed one."
            )

    def before_train_epoch(self, runner: Any) -> None:
        """Tell the data sets, whose workers may live on from the epoch before."""
        for place, dataset in enumerate(_seedable(runner)):
            dataset.seed_clips(hash64(runner.seed, place) >> 1, runner.epoch)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the step; the clips of its batch have been drawn."""
        numbers = (runner.seed, runner.iter, runner.rank)
        seed_generators(*numbers)
        torch.manual_seed(hash64(*numbers))


def _seedable(runner: Any) -> list[Any]:
    """The data sets that seed their clips; empty where a clip can be drawn more than once an epoch."""
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return []
    dataset = runner.train_dataloader.dataset
    parts = getattr(dataset, "datasets", [dataset])
    return list(parts) if all(hasattr(part, "seed_clips") for part in parts) else []
