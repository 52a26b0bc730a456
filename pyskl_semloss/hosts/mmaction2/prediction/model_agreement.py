"""Agreement of trained models, and their common class names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.prediction.trained_model import TrainedModel
from pyskl_semloss.io.reading import AnyPath
from pyskl_semloss.semantic.class_names import check_class_names, read_class_names
from pyskl_semloss.semantic.label_vectors import LabelVectors


def check_agreement(models: Mapping[str, TrainedModel]) -> None:
    """Refuse swapped models, and models of different joints or classes.

    Args:
        models: Models by the name that the user gave them, joint and limb first.

    Raises:
        InputError: Names both checkpoints and the difference.
    """
    for name, model in models.items():
        if model.is_graph_network and name in ("joint", "limb"):
            problem = f"it was given as the {name} model, but is a graph network ({model.modality})"
            raise InputError(problem, file=model.checkpoint, field=name, fix="Give it with --graph, or in graphs.")
        if not model.is_graph_network and model.modality != name:
            problem = f"it was given as the {name} model, but draws {model.modality}s"
            raise InputError(problem, file=model.checkpoint, field=name)
    first, *others = models.values()
    for other in others:
        _check_pair(first, other)


def _check_pair(first: TrainedModel, second: TrainedModel) -> None:
    pairs = [
        ("layout", first.layout.name, second.layout.name, first.layout.joints == second.layout.joints),
        ("classes", first.classes, second.classes, first.classes == second.classes),
    ]
    for field, of_first, of_second, same in pairs:
        if not same:
            problem = f"its {field} are {of_second!r}, those of {first.checkpoint} are {of_first!r}"
            raise InputError(problem, file=second.checkpoint, field=field, fix="Give models of one data set.")
    names = [model.class_names for model in (first, second)]
    if all(names) and names[0] != names[1]:
        label = next(n for n, (a, b) in enumerate(zip(*names, strict=True)) if a != b)
        problem = f"its class {label} is {names[1][label]!r}, that of {first.checkpoint} is {names[0][label]!r}"
        raise InputError(problem, file=second.checkpoint, field="class_names", fix="Give models of one data set.")
    ours, theirs = first.label_vectors, second.label_vectors
    if ours is not None and theirs is not None and not np.array_equal(ours, theirs):
        raise InputError(
            f"it was trained with other label vectors than {first.checkpoint}, so their classes may differ",
            file=second.checkpoint,
            field="label_vectors",
            fix="Give models of one data set.",
        )


def names_of_classes(given: Sequence[str] | AnyPath | None, models: Mapping[str, TrainedModel]) -> tuple[str, ...]:
    """Names of the C classes.

    Without names they are those of the first model that has them, else "class 0", "class 1", ….

    Args:
        given: Names, or a file with a name in each line.
        models: The models.

    Raises:
        InputError: The number of names differs from the number of classes.
    """
    first = next(iter(models.values()))
    if given is None:
        return next((model.class_names for model in models.values() if model.class_names), ()) or tuple(
            f"class {number}" for number in range(first.classes)
        )
    file: AnyPath | None = None
    if isinstance(given, (str, os.PathLike)):
        file, names = given, tuple(read_class_names(given))
    else:
        names = tuple(map(str, given))
    check_class_names(names)
    if len(names) != first.classes:
        problem = f"expected {first.classes} names, one for each class of {first.checkpoint}, got {len(names)}"
        raise InputError(problem, file=file, field="class_names")
    return names


def label_vectors_with_source(
    models: Mapping[str, TrainedModel], names: tuple[str, ...], file: AnyPath | None = None
) -> LabelVectors:
    """Label vectors of the models, with their recorded source.

    Args:
        models: Models with equal label vectors.
        names: The C names.
        file: File of the label vectors; its source replaces the checkpoints' record.

    Raises:
        InputError: A model has no semantic branch, or the file has other names.
    """
    matrices = []
    for model in models.values():
        if model.label_vectors is None:
            problem = "the model has no semantic branch, so it cannot predict further names"
            fix = "Take a model that was trained with SemanticEmbeddingHead."
            raise InputError(problem, file=model.checkpoint, field="model.cls_head", fix=fix)
        matrices.append(model.label_vectors)
    vectors = matrices[0]
    if file is None:
        recorded = [model.labels for model in models.values() if model.labels is not None]
        known = next((labels for labels in recorded if labels.source), None)
        return LabelVectors(names, vectors, ((),) * len(names)) if known is None else replace(known, class_names=names)
    labels = LabelVectors.load(file)
    if labels.class_names != names:
        problem = f"its names are not those of the {len(names)} classes of {next(iter(models.values())).checkpoint}"
        raise InputError(problem, file=file, field="class_names", fix="Give the file that the model was trained with.")
    # A head may have rescaled them; further_vectors compares them with rebuilt ones.
    return replace(labels, vectors=vectors)
