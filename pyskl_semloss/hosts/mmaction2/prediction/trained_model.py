"""Loader of trained models, from a checkpoint alone or with a config."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import FUNCTIONS, init_default_scope
from torch import Tensor

from pyskl_semloss.annotations.mending import ClipRules
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import (
    LABEL_VECTORS_KEY,
    name_graph_head,
    read_checkpoint,
    state_dict_of,
)
from pyskl_semloss.hosts.mmaction2.model.build_errors import failed_config_entry
from pyskl_semloss.hosts.mmaction2.model.config_files import read_config
from pyskl_semloss.hosts.mmaction2.model.graph import GraphPreprocessor
from pyskl_semloss.hosts.mmaction2.model.preprocessor import PoseHeatmapPreprocessor
from pyskl_semloss.hosts.mmaction2.model.recognizer import check_feature_width
from pyskl_semloss.hosts.mmaction2.prediction.recorded_config import GIVE_CONFIG, check_outline, recorded_config
from pyskl_semloss.io.reading import AnyPath, short_repr
from pyskl_semloss.semantic.class_names import check_class_names
from pyskl_semloss.semantic.head import SEMANTIC_HEADS
from pyskl_semloss.semantic.label_vectors import LabelVectors
from pyskl_semloss.skeletons import SkeletonLayout

_MOST_CLIP_FRAMES = 500_000
Source = AnyPath | tuple[AnyPath | Config, AnyPath]
"""A checkpoint, or a pair of config (path or object) and checkpoint."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """Model in evaluation mode with the preprocessing of its test.

    Attributes:
        model: The host's module, on its device.
        checkpoint: Path of its checkpoint.
        pipeline: Steps of the config's test pipeline.
        collate: Function that makes a batch from a list of packed clips.
        batch_size: Batch size of the config's test.
        rules: Rules of its data set for reading a clip.
        binary_score: Whether every known point has score 1 in its data set.
        class_names: The C names; empty where they are unknown.
        label_vectors: Label vectors (C, D), or None without semantic branch.
        clip_frames: Median length of the training clips in frames, or None where it is unknown.
        labels: Label vectors with names, source and notes, or None where the names are unknown.
        stream: Input of a graph network, ``"joint"``, ``"bone"``, ``"joint_motion"`` or ``"bone_motion"``.
    """

    model: Any
    checkpoint: str
    pipeline: list[dict[str, Any]]
    collate: Callable[[Sequence[Any]], Any]
    batch_size: int
    rules: ClipRules
    binary_score: bool
    class_names: tuple[str, ...]
    label_vectors: np.ndarray | None
    clip_frames: float | None
    labels: LabelVectors | None = None
    stream: str = "joint"

    @property
    def layout(self) -> SkeletonLayout:
        """Layout of its keypoints."""
        return self.model.data_preprocessor.layout

    @property
    def is_graph_network(self) -> bool:
        """Whether it takes keypoints, not heat maps."""
        return isinstance(self.model.data_preprocessor, GraphPreprocessor)

    @property
    def modality(self) -> str:
        """Modality, ``"joint"`` or ``"limb"``, or of a graph network the network and its stream."""
        if self.is_graph_network:
            return f"{type(self.model.backbone).__name__.lower()} {self.stream}"
        return self.model.data_preprocessor.channels.modality

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.model.cls_head.num_classes

    def steps(self, one_view: bool) -> list[dict[str, Any]]:
        """Pipeline steps; with ``one_view`` for a single view without mirror image."""
        steps = deepcopy(self.pipeline)
        for step in steps:
            if one_view and "num_clips" in step:
                step["num_clips"] = 1
            if one_view and "mirrored_views" in step:
                step["mirrored_views"] = False
        return steps


def load_model(source: Source, device: str | torch.device, fast: bool = False) -> TrainedModel:
    """Build the model of a checkpoint and load its weights.

    Args:
        source: A checkpoint that records its config, or a config and a checkpoint. Only a given config may import and
            run code.
        device: Device of the model.
        fast: Compute in bfloat16, see docs/throughput.md.

    Raises:
        InputError: A file is missing or corrupt, config and weights do not fit together, or the model's preprocessor
            does not draw the heat maps.
    """
    config_source, checkpoint = source if isinstance(source, tuple) else (None, source)
    checkpoint = os.fspath(checkpoint)
    content = read_checkpoint(checkpoint)
    state = name_graph_head(state_dict_of(content, checkpoint), "fc")
    given = None if config_source is None else _read_config(config_source)
    config = recorded_config(content, checkpoint) if given is None else given
    init_default_scope("mmaction")
    frames = _clip_frames(content, checkpoint)
    matrix = state.get(LABEL_VECTORS_KEY)
    _check_wishes(config.model, matrix, fast, checkpoint)
    with _built_from(checkpoint, recorded=given is None):
        test = _test_of(config.test_dataloader)
        if given is None:
            with torch.device("meta"):
                outline = _build(config.model, matrix, fast=False, compiled=False)
            check_weights(outline, state, checkpoint)
            check_outline(outline, test["pipeline"])
        model: Any = _build(config.model, matrix, fast)
        check_feature_width(model)
    _check_kind(model, test, checkpoint)
    check_weights(model, state, checkpoint)
    model.load_state_dict(state)
    model.to(device).eval()
    names = _class_names(content, given, state, model.cls_head.num_classes, checkpoint)
    return TrainedModel(
        model=model,
        checkpoint=checkpoint,
        class_names=names,
        label_vectors=None if matrix is None else matrix.float().numpy(),
        clip_frames=frames,
        labels=None if matrix is None or not names else _labels(content, given, names, matrix, checkpoint),
        **test,
    )


def build_steps(steps: Sequence[Mapping[str, Any]]) -> list[Callable[[dict[str, Any]], Any]]:
    """Transforms of a pipeline, built."""
    return [TRANSFORMS.build(dict(step)) for step in steps]


def _read_config(source: AnyPath | Config) -> Config:
    if isinstance(source, Config):
        return deepcopy(source)
    config = read_config(os.fspath(source))
    if missing := [key for key in ("model", "test_dataloader") if not isinstance(config.get(key), dict)]:
        raise InputError(f"the config lacks {' and '.join(missing)}", file=source, fix="Give the one of the training.")
    return config


@contextlib.contextmanager
def _built_from(checkpoint: str, recorded: bool) -> Iterator[None]:
    """Turn the host's errors on an invalid config into an :class:`InputError`."""
    try:
        yield
    except InputError as error:
        if not recorded or error.file is not None:
            raise error.located(file=checkpoint) from None
        # The user cannot edit a setting inside a checkpoint.
        raise error.replace(file=checkpoint, fix=GIVE_CONFIG) from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        said = " ".join([f"{type(error).__name__}:", *str(error).split()])[:300]
        part = failed_config_entry(error)
        problem = f"the model cannot be built from its config ({said.rstrip(':')}{f', in {part}' if part else ''})"
        raise InputError(problem, file=checkpoint, fix="Give the config that it was trained with.") from error


def _check_wishes(settings: Any, matrix: Tensor | None, fast: bool, checkpoint: str) -> None:
    """Refuse unusable options before the model is built."""
    if fast and settings.get("type") != "PoseRecognizer3D":
        raise InputError(f"fast needs a PoseRecognizer3D, the model is a {settings.get('type')}", field="fast")
    if matrix is None and (settings.get("cls_head") or {}).get("type") in SEMANTIC_HEADS:
        fix = "semloss convert adds them to a checkpoint of the release."
        raise InputError("the checkpoint lacks the label vectors", file=checkpoint, field=LABEL_VECTORS_KEY, fix=fix)


def _build(settings: Any, matrix: Tensor | None, fast: bool, compiled: bool = True) -> torch.nn.Module:
    settings = deepcopy(settings)
    head = settings.get("cls_head") or {}
    if matrix is not None and ("label_vectors" in head or head.get("type") in SEMANTIC_HEADS):
        # The checkpoint holds them: the file that the config names is not needed.
        head["label_vectors"] = matrix.float().numpy()
    if settings.get("type") == "PoseRecognizer3D":
        settings["fast"] = fast
    if not compiled:
        settings.pop("compile", None)
    return MODELS.build(settings)


def _test_of(loader: Any) -> dict[str, Any]:
    """Fields of :class:`TrainedModel` from the config's test; its steps are built once as a check."""
    dataset, collate = loader.get("dataset") or {}, dict(loader.get("collate_fn") or dict(type="pseudo_collate"))
    pipeline = [dict(step) for step in dataset.get("pipeline") or ()]
    build_steps(pipeline)
    return dict(
        pipeline=pipeline,
        collate=functools.partial(FUNCTIONS.get(collate.pop("type")), **collate),
        batch_size=max(int(loader.get("batch_size") or 1), 1),
        rules=ClipRules(unknown_labels=True, off_image=dataset.get("off_image", "keep")),
        binary_score=bool(dataset.get("binary_score", False)),
        stream=dataset.get("stream", "joint"),
    )


def _check_kind(model: Any, test: dict[str, Any], checkpoint: str) -> None:
    known = (PoseHeatmapPreprocessor, GraphPreprocessor)
    if not isinstance(getattr(model, "data_preprocessor", None), known) or not any(
        step.get("type") == "PackKeypoints" for step in test["pipeline"]
    ):
        raise InputError(
            "the model takes volumes, not keypoints",
            file=checkpoint,
            field="model.data_preprocessor, test_dataloader.dataset.pipeline",
            fix="Prediction needs a config with PoseHeatmapPreprocessor or GraphPreprocessor, and PackKeypoints; the "
            "weights stay the same.",
        )
    if getattr(getattr(model, "cls_head", None), "num_classes", None) is None:
        raise InputError("the model has no head of classes", file=checkpoint, field="model.cls_head")
    average = getattr(model.cls_head, "average_clips", "prob")
    if average != "prob":
        raise InputError(
            f"prediction needs probabilities, average_clips='prob', got {average!r}",
            file=checkpoint,
            field="model.cls_head.average_clips",
            fix="Give a config with it beside the checkpoint; the weights stay the same.",
        )
    test["rules"] = replace(test["rules"], num_joints=model.data_preprocessor.layout.num_joints)


def check_weights(model: torch.nn.Module, state: Mapping[str, Tensor], checkpoint: str) -> None:
    """Refuse missing and extra weights, and other shapes or number types.

    The host would warn at most.

    Args:
        model: The model.
        state: Weights by name.
        checkpoint: Path of the checkpoint, for messages.

    Raises:
        InputError: Gives the number of such weights, and the first names.
    """
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    both = sorted(own.keys() & state.keys())
    other = [name for name in both if own[name].shape != state[name].shape]
    odd = [name for name in both if own[name].is_floating_point() != state[name].is_floating_point()]
    parts = [
        (missing, "lacks"),
        (extra, "has in addition"),
        (other, "has in another shape"),
        (odd, "has as another type of number"),
    ]
    said = [
        f"{defect} {len(names)} weights ({', '.join(names[:3])}{', …' * (len(names) > 3)})"
        for names, defect in parts
        if names
    ]
    if said:
        first = other[:1]
        shapes = "".join(
            f"; {name} is {tuple(state[name].shape)} in it, {tuple(own[name].shape)} in the config" for name in first
        )
        problem = f"it does not fit the config: it {' and '.join(said)}{shapes}"
        raise InputError(problem, file=checkpoint, fix="Give the config that it was trained with.")


def _dataset_meta(content: Mapping[str, Any], checkpoint: str) -> Mapping[str, Any]:
    """Recorded facts about the training set; empty for a checkpoint of weights alone."""
    field = ""
    for key in ("meta", "dataset_meta"):
        field, content = f"{field}.{key}".lstrip("."), content.get(key) or {}
        if not isinstance(content, Mapping):
            raise InputError(f"expected a dict, got {short_repr(content)}", file=checkpoint, field=field)
    return content


def _clip_frames(content: Mapping[str, Any], checkpoint: str) -> float | None:
    """Median length of the training clips in frames, or None."""
    frames = _dataset_meta(content, checkpoint).get("clip_frames")
    if frames is None:
        return None
    # The negation also refuses NaN.
    if isinstance(frames, bool) or not isinstance(frames, (int, float)) or not 1 <= frames <= _MOST_CLIP_FRAMES:
        raise InputError(
            f"expected a number of frames from 1 to {_MOST_CLIP_FRAMES}, got {short_repr(frames)}",
            file=checkpoint,
            field="meta.dataset_meta.clip_frames",
            fix="Train it anew with semloss train, which writes the median length of the training clips.",
        )
    return float(frames)


def _class_names(
    content: Mapping[str, Any], given: Config | None, state: Mapping[str, Tensor], classes: int, checkpoint: str
) -> tuple[str, ...]:
    """Class names of the checkpoint, else of a given config's label vectors if they equal the checkpoint's.

    A path that only the checkpoint names is untrusted and not opened.
    """
    names = _dataset_meta(content, checkpoint).get("classes")
    if names:
        listed = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
        if not listed or len(names) != classes:
            count = f" ({len(names)})" if listed else ""
            problem = f"expected the names of its {classes} classes, got {short_repr(names)}{count}"
            raise InputError(problem, file=checkpoint, field="meta.dataset_meta.classes")
        check_class_names(names, checkpoint)
        return tuple(names)
    file, matrix = _label_vectors_of(given), state.get(LABEL_VECTORS_KEY)
    if file is not None and matrix is not None:
        try:
            vectors = LabelVectors.load(file)
        except InputError:
            return ()
        if np.array_equal(vectors.vectors, matrix.float().numpy()):
            return vectors.class_names
    return ()


def _labels(
    content: Mapping[str, Any], given: Config | None, names: tuple[str, ...], matrix: Tensor, checkpoint: str
) -> LabelVectors:
    """Label vectors with their source as recorded in a given config's file or in the checkpoint."""
    vectors, file = matrix.float().numpy(), _label_vectors_of(given)
    with contextlib.suppress(InputError):
        if file is not None and np.array_equal((labels := LabelVectors.load(file)).vectors, vectors):
            return replace(labels, class_names=names)
    origin = _dataset_meta(content, checkpoint).get("label_vectors") or {}
    kinds: dict[str, type] = {"source": str, "checksum": str, "notes": dict}
    fits = isinstance(origin, dict) and all(isinstance(origin.get(key, kind()), kind) for key, kind in kinds.items())
    if not fits:
        problem = f"expected source, checksum and notes of the label vectors, got {short_repr(origin)}"
        raise InputError(problem, file=checkpoint, field="meta.dataset_meta.label_vectors")
    known = {key: origin[key] for key in kinds if key in origin}
    return LabelVectors(names, vectors, ((),) * len(names), **known)


def _label_vectors_of(config: Config | None) -> str | None:
    file = None if config is None else (config.model.get("cls_head") or {}).get("label_vectors")
    return file if isinstance(file, str) and file.endswith(".npz") and os.path.isfile(file) else None
