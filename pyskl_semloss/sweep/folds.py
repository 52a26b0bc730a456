"""Runs of which each is trained without some classes: the draw of the folds, and what each run depends on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pyskl_semloss.annotations.dataset_clips import StoredClips, dataset_clips
from pyskl_semloss.datasets.commands import missing_file
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import short_repr
from pyskl_semloss.semantic.controls import CONTROLS
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.semantic.targets import transform_with
from pyskl_semloss.sweep.plan import Run, check_seeds, plan_runs
from pyskl_semloss.sweep.settings import Describer, ReadConfig, annotated_dataset

PAPER_ALPHA = 20.0
"""Of a config that names none: the head's own."""
KINDS = ("given", *CONTROLS)


@dataclass(frozen=True)
class FoldRun(Run):
    """Training without the clips of some classes, and test on all.

    Attributes:
        fold: Its number, from 0.
        unseen: The classes that are held out.
    """

    fold: int = 0
    unseen: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The name of the run's folder, such as ``fold0_given_seed0_joint``."""
        return f"fold{self.fold}_{self.setting.vectors}_seed{self.seed}_{self.model}"


def draw_folds(classes: Sequence[int], hold_out: int, folds: int, seed: int = 0) -> list[tuple[int, ...]]:
    """Held-out classes of each fold.

    No class is held out again before every other has been.

    Args:
        classes: Those that may be held out.
        hold_out: How many are, at a time.
        folds: How many draws.
        seed: Of the draw.

    Returns:
        The classes of each fold, ascending; disjoint where ``folds * hold_out`` is at most the number of classes.

    Raises:
        InputError: A number is out of range, or folds or classes are too few.

    Example:
        >>> draw_folds(range(6), hold_out=2, folds=3)
        [(2, 5), (1, 3), (0, 4)]
    """
    for name, value in (("hold-out", hold_out), ("folds", folds)):
        if value < 1:
            raise InputError(f"expected at least 1, got {value}", field=f"--{name}")
    check_seeds([seed])
    if hold_out >= len(classes):
        problem = f"expected fewer than the {len(classes)} classes that have clips to train and to test, got {hold_out}"
        raise InputError(problem, field="--hold-out", fix="Some classes must be left to train on.")
    # RandomState, because its numbers are frozen.
    rng = np.random.RandomState(seed)
    waiting: list[int] = []
    drawn = []
    for _ in range(folds):
        fold = waiting[:hold_out]
        waiting = waiting[hold_out:]
        if len(fold) < hold_out:
            later = [int(each) for each in rng.permutation(np.asarray(classes))]
            fresh = [each for each in later if each not in fold]
            missing = hold_out - len(fold)
            fold, waiting = fold + fresh[:missing], [each for each in later if each not in fresh[:missing]]
        drawn.append(tuple(sorted(fold)))
    return drawn


def plan_folds(
    config: str | os.PathLike[str],
    folds: Sequence[Sequence[int]],
    *,
    alpha: float,
    seed: int = 0,
    modalities: Sequence[str] = (),
    vectors: Sequence[str] = ("given", "shuffled"),
) -> list[FoldRun]:
    """All runs, fold by fold.

    The training of fold i has the seed ``seed + i``.

    Args:
        config: See :func:`pyskl_semloss.sweep.plan.plan_runs`.
        folds: The classes that each holds out.
        alpha: Weight of the semantic loss.
        seed: Of the first fold.
        modalities: ``joint``, ``limb``, or both.
        vectors: Of ``KINDS``.

    Raises:
        InputError: As :func:`pyskl_semloss.sweep.plan.plan_runs`.
    """
    if wrong := [kind for kind in vectors if kind not in KINDS]:
        raise InputError(f"expected some of {', '.join(KINDS)}, got {wrong[0]!r}", field="vectors")
    seeds = [seed + number for number in range(len(folds))]
    runs = plan_runs(config, alphas=[alpha], seeds=seeds, modalities=modalities, vectors=vectors)
    return [
        FoldRun(run.config, run.model, run.setting, run.seed, run.seed - seed, tuple(folds[run.seed - seed]))
        for run in runs
    ]


class FoldDescriber(Describer):
    """Settings of runs that hold classes out.

    Args:
        out: The folder of all runs.
        read_config: See ``ReadConfig``.
        class_names: The C names.
        options: The user's ``--cfg-options``.
        epochs: Of all runs; each config's own without it.
        transforms: Names of :data:`pyskl_semloss.semantic.targets.TARGETS`, fitted to the trained classes of each run.
    """

    def __init__(
        self,
        out: Path,
        read_config: ReadConfig,
        class_names: Sequence[str],
        options: Sequence[str] = (),
        epochs: int | None = None,
        transforms: Sequence[str] = (),
    ):
        super().__init__(out, read_config, options, epochs)
        self.class_names, self.transforms = list(class_names), list(transforms)

    def vectors_file(self, run: Run) -> Path | None:
        """File of a run's own label vectors; None where they are the config's."""
        drawn = run.setting.vectors in CONTROLS or self.transforms
        return self.out / "label_vectors" / f"{run.name}.npz" if drawn else None

    def all_options(self, run: Run) -> list[str]:
        """The ``--cfg-options`` of the run's training and test."""
        config, held_out = self._config(run), set(_unseen(run))
        seen = str([label for label in range(len(self.class_names)) if label not in held_out]).replace(" ", "")
        options = [f"model.cls_head.seen_classes={seen}"]
        for use in ("train", "val"):
            if (config.get(f"{use}_dataloader") or {}).get("dataset") is not None:
                options.append(f"{_keypoint_dataset(config, use, run.config)[1]}.only_classes={seen}")
        return [*super().all_options(run), *options]

    def describe(self, run: Run) -> dict[str, Any]:
        """Everything that the run's numbers depend on, as JSON.

        Raises:
            InputError: The config cannot be used, or a file that it names is not there.
        """
        of_fold = {"unseen": list(_unseen(run)), "transform": self.transforms, "class_names": self.class_names}
        return {**super().describe(run), **of_fold}

    def make_vectors(self, run: Run) -> None:
        """Write the label vectors of a run; the same bytes every time.

        Raises:
            InputError: The config's label vectors cannot be shuffled or transformed.
        """
        path = self.vectors_file(run)
        if path is None:
            return
        labels = LabelVectors.load(self._given(run))
        if run.setting.vectors in CONTROLS:
            labels = CONTROLS[run.setting.vectors](labels, run.seed)
        transformed_for(labels, _unseen(run), self.transforms).save(path)


def transformed_for(labels: LabelVectors, unseen: Sequence[int], transforms: Sequence[str]) -> LabelVectors:
    """Label vectors after transforms that are fitted to the trained classes alone.

    Args:
        labels: Of all C classes.
        unseen: The classes that are held out.
        transforms: Names in :data:`pyskl_semloss.semantic.targets.TARGETS`.

    Raises:
        InputError: A transform is not defined for these vectors.
    """
    if not transforms:
        return labels
    hidden = np.zeros(len(labels.class_names), bool)
    hidden[list(unseen)] = True
    names = tuple(name for name, out in zip(labels.class_names, hidden, strict=True) if not out)
    words = tuple(each for each, out in zip(labels.words, hidden, strict=True) if not out)
    seen = replace(labels, class_names=names, vectors=labels.vectors[~hidden], words=words)
    after, further = transform_with(seen, labels.vectors[hidden], transforms)
    vectors = np.empty_like(labels.vectors)
    vectors[~hidden], vectors[hidden] = after.vectors, further
    return replace(labels, vectors=vectors, notes={**after.notes, "fitted_without": [int(each) for each in unseen]})


def read_labels(config: Mapping[str, Any], use: str, file: Path) -> tuple[LabelVectors, np.ndarray]:
    """The label vectors of a config, and the labels of its clips.

    Args:
        config: The config with its bases.
        use: ``"train"`` or ``"test"``.
        file: Of the config, for messages.

    Raises:
        InputError: The model has no semantic branch; the label vectors or the clips cannot be read; the vectors were
            transformed with the names of all classes; a label is not below the number of classes; the data set is none
            of ours; or the config leaves classes out itself.
    """
    head = (config.get("model") or {}).get("cls_head") or {}
    given = head.get("label_vectors")
    if not isinstance(given, str):
        problem = "the model has no semantic branch with a file of label vectors, so that it knows no names"
        raise InputError(problem, file=file, field="model.cls_head", fix="Give a config with SemanticEmbeddingHead.")
    if not os.path.isfile(given):
        raise missing_file(given, file, "model.cls_head.label_vectors")
    vectors = LabelVectors.load(given)
    if transforms := vectors.notes.get("transform"):
        problem = f"the vectors were transformed ({short_repr(transforms)}) with the names of all classes"
        fix = "Give them without a transform; --transform fits it to the trained names of each fold."
        raise InputError(problem, file=given, field="notes.transform", fix=fix)
    dataset, field = _keypoint_dataset(config, use, file)
    chosen = (("model.cls_head.seen_classes", head.get("seen_classes")),
              (f"{field}.only_classes", dataset.get("only_classes")))  # fmt: skip
    for key, classes in chosen:
        if classes is not None:
            raise InputError("each fold sets it", file=file, field=key, fix="Leave it out.")
    path = os.path.join(dataset.get("data_root") or "", dataset.get("ann_file") or "")
    if not os.path.exists(path):
        raise missing_file(path, file, f"{field}.ann_file")
    with warnings.catch_warnings():
        # Training and test say it again.
        warnings.simplefilter("ignore")
        clips = dataset_clips(
            path, split=dataset.get("split"), layout=None, num_classes=len(vectors.class_names),
            test_mode=use == "test", off_image=dataset.get("off_image", "keep"), binary_score=False, strict=False,
        )  # fmt: skip
    if isinstance(clips, StoredClips):
        return vectors, clips.store.labels[clips.numbers]
    return vectors, np.array([clip["label"] for clip in clips], np.int64)


def classes_to_hold_out(names: Sequence[str], train: np.ndarray, test: np.ndarray) -> list[int]:
    """Classes with test clips; a class without training clips is refused.

    Args:
        names: The C names.
        train: Labels of the training clips.
        test: Labels of the test clips, -1 where unknown.

    Raises:
        InputError: A class has no training clip, so that it would be unseen in every fold.
    """
    untrained = [name for number, name in enumerate(names) if number not in set(train.tolist())]
    if untrained:
        raise InputError(
            f"{len(untrained)} of the {len(names)} classes have no clip in the training split, so that they would be "
            "unseen in every fold",
            field="train_dataloader.dataset", items=map(repr, untrained),
            fix="Take a split that has clips of all classes, or label vectors without these classes.",
        )  # fmt: skip
    return [number for number in range(len(names)) if number in set(test.tolist())]


def _keypoint_dataset(config: Mapping[str, Any], use: str, file: Path) -> tuple[Mapping[str, Any], str]:
    """The settings of the data set of ours, also within one that repeats it, and their field."""
    dataset, field = annotated_dataset(config, use)
    if dataset.get("type") != "KeypointDataset":
        raise InputError("expected a KeypointDataset, which can leave classes out", file=file, field=field)
    return dataset, field


def _unseen(run: Run) -> tuple[int, ...]:
    return run.unseen if isinstance(run, FoldRun) else ()
