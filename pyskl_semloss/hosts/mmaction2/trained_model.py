"""A trained model with all that prediction needs, from a checkpoint alone or with its config."""

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

from pyskl_semloss.annotations.mending import Rules
from pyskl_semloss.checkpoints import LABEL_VECTORS_KEY, read_checkpoint, state_dict_of
from pyskl_semloss.class_names import check_class_names
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.config_files import read_config
from pyskl_semloss.hosts.mmaction2.preprocessor import PoseHeatmapPreprocessor
from pyskl_semloss.hosts.mmaction2.recorded_config import recorded_config
from pyskl_semloss.label_vectors import LabelVectors
from pyskl_semloss.skeletons import SkeletonLayout

AnyPath = str | os.PathLike[str]
Source = AnyPath | tuple[AnyPath | Config, AnyPath]
"""A checkpoint, or a config (a file, or read) and a checkpoint."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model in evaluation mode, and how the clips of its test came to it.

    Attributes:
        model: On its device.
        checkpoint: Where it is from.
        pipeline: The steps of the config's test pipeline, as the config has them.
        collate: Makes a batch of what the pipeline gives.
        batch_size: Of the config's test.
        rules: What its data set asks of a clip.
        binary_score: Whether every known point scores 1 in its data set.
        class_names: C names, or nothing where none are known.
        label_vectors: (C, D), or nothing where there is no semantic branch.
        clip_frames: Median length of the training clips in frames, or nothing where it is unknown.
    """

    model: torch.nn.Module
    checkpoint: str
    pipeline: list[dict[str, Any]]
    collate: Callable[[Sequence[Any]], Any]
    batch_size: int
    rules: Rules
    binary_score: bool
    class_names: tuple[str, ...]
    label_vectors: np.ndarray | None
    clip_frames: float | None

    @property
    def layout(self) -> SkeletonLayout:
        """Of the keypoints that it takes."""
        return self.model.data_preprocessor.layout

    @property
    def modality(self) -> str:
        """``"joint"`` or ``"limb"``."""
        return self.model.data_preprocessor.channels.modality

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.model.cls_head.num_classes

    def steps(self, one_view: bool) -> list[dict[str, Any]]:
        """The pipeline; with ``one_view``, one clip without its mirror image in place of the test's."""
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
        source: A checkpoint that records its config, or a config and a checkpoint. Only a config that is given may
            import and run code.
        device: Where the model goes.
        fast: bfloat16, see docs/throughput.md.

    Raises:
        InputError: A file is absent or damaged, config and weights do not belong together, or the heat maps are not
            drawn by the model's preprocessor.
    """
    config_source, checkpoint = source if isinstance(source, tuple) else (None, source)
    checkpoint = os.fspath(checkpoint)
    content = read_checkpoint(checkpoint)
    state = state_dict_of(content, checkpoint)
    config = recorded_config(content, checkpoint) if config_source is None else _read_config(config_source)
    init_default_scope("mmaction")
    names = _class_names(content, config, state, checkpoint)
    matrix = state.get(LABEL_VECTORS_KEY)
    with _built_from(checkpoint):
        model = _build(config.model, matrix, fast)
        test = _test_of(config.test_dataloader)
    _check_kind(model, test, checkpoint)
    _load(model, state, checkpoint)
    model.to(device).eval()
    frames = _dataset_meta(content).get("clip_frames")
    return TrainedModel(
        model=model,
        checkpoint=checkpoint,
        class_names=names,
        label_vectors=None if matrix is None else matrix.float().numpy(),
        clip_frames=float(frames) if isinstance(frames, (int, float)) and frames > 0 else None,
        **test,
    )


def build_steps(steps: Sequence[Mapping[str, Any]]) -> list[Callable[[dict[str, Any]], Any]]:
    """The transforms of a pipeline."""
    return [TRANSFORMS.build(dict(step)) for step in steps]


def _read_config(source: AnyPath | Config) -> Config:
    if isinstance(source, Config):
        return deepcopy(source)
    config = read_config(os.fspath(source))
    if missing := [key for key in ("model", "test_dataloader") if not isinstance(config.get(key), dict)]:
        raise InputError(f"the config lacks {' and '.join(missing)}", file=source, fix="Give the one of the training.")
    return config


@contextlib.contextmanager
def _built_from(checkpoint: str) -> Iterator[None]:
    """What the host raises on a config that makes no sense becomes one sentence."""
    try:
        yield
    except InputError as error:
        raise error.located(file=checkpoint) from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        problem = f"the model cannot be built from its config ({type(error).__name__}: {said})"
        raise InputError(problem, file=checkpoint, fix="Give the config that it was trained with.") from error


def _build(settings: Any, matrix: Tensor | None, fast: bool) -> torch.nn.Module:
    settings = deepcopy(settings)
    if matrix is not None and settings.get("cls_head"):
        # The checkpoint is whole: the file that the config names is not needed.
        settings.cls_head.label_vectors = matrix.float().numpy()
    if settings.get("type") == "PoseRecognizer3D":
        settings.fast = fast
    elif fast:
        raise InputError(f"fast needs a PoseRecognizer3D, the model is a {settings.get('type')}", field="fast")
    return MODELS.build(settings)


def _test_of(loader: Any) -> dict[str, Any]:
    """The fields of :class:`TrainedModel` that the config's test gives; its steps are built once to try them."""
    dataset, collate = loader.get("dataset") or {}, dict(loader.get("collate_fn") or dict(type="pseudo_collate"))
    pipeline = [dict(step) for step in dataset.get("pipeline") or ()]
    build_steps(pipeline)
    return dict(
        pipeline=pipeline,
        collate=functools.partial(FUNCTIONS.get(collate.pop("type")), **collate),
        batch_size=max(int(loader.get("batch_size") or 1), 1),
        rules=Rules(unknown_labels=True, off_image=dataset.get("off_image", "keep")),
        binary_score=bool(dataset.get("binary_score", False)),
    )


def _check_kind(model: torch.nn.Module, test: dict[str, Any], checkpoint: str) -> None:
    drawn = isinstance(getattr(model, "data_preprocessor", None), PoseHeatmapPreprocessor)
    if not drawn or not any(step.get("type") == "PackKeypoints" for step in test["pipeline"]):
        raise InputError(
            "the model takes volumes, not keypoints",
            file=checkpoint,
            field="model.data_preprocessor, test_dataloader.dataset.pipeline",
            fix="Prediction needs a config with PoseHeatmapPreprocessor and PackKeypoints; the weights stay the same.",
        )
    test["rules"] = replace(test["rules"], num_joints=model.data_preprocessor.layout.num_joints)


def _load(model: torch.nn.Module, state: Mapping[str, Tensor], checkpoint: str) -> None:
    """Load all weights; what is absent, too much or of another shape is an error, not a warning as in the host."""
    own = model.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    other = sorted(name for name in own.keys() & state.keys() if own[name].shape != state[name].shape)
    parts = [(missing, "lacks"), (extra, "has in addition"), (other, "has in another shape")]
    said = [
        f"{what} {len(names)} weights ({', '.join(names[:3])}{', …' * (len(names) > 3)})"
        for names, what in parts
        if names
    ]
    if said:
        problem = f"it does not fit the config: it {' and '.join(said)}"
        raise InputError(problem, file=checkpoint, fix="Give the config that it was trained with.")
    model.load_state_dict(state)


def _dataset_meta(content: Mapping[str, Any]) -> Mapping[str, Any]:
    meta = content.get("meta")
    found = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _class_names(
    content: Mapping[str, Any], config: Config, state: Mapping[str, Tensor], checkpoint: str
) -> tuple[str, ...]:
    """Names that the checkpoint holds, else those of the file of label vectors, if its vectors are the checkpoint's."""
    names = _dataset_meta(content).get("classes")
    if isinstance(names, (list, tuple)) and names:
        found = tuple(str(name) for name in names)
        check_class_names(found, checkpoint)
        return found
    file, matrix = (config.model.get("cls_head") or {}).get("label_vectors"), state.get(LABEL_VECTORS_KEY)
    if isinstance(file, str) and file.endswith(".npz") and os.path.isfile(file) and matrix is not None:
        try:
            vectors = LabelVectors.load(file)
        except InputError:
            return ()
        if np.array_equal(vectors.vectors, matrix.float().numpy()):
            return vectors.class_names
    return ()
