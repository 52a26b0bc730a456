"""ONNX graph of one or two trained models, from keypoints to probabilities."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyskl_semloss import __version__
from pyskl_semloss.errors import HostError
from pyskl_semloss.evaluation.fusion import normalise_weights
from pyskl_semloss.hosts.mmaction2.export.network import ViewScores
from pyskl_semloss.hosts.mmaction2.export.views import ClipViews, ViewPlan, view_plan
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor
from pyskl_semloss.io.files import sha256
from pyskl_semloss.io.resources import pip_install
from pyskl_semloss.io.results import refuse_changed, result_file

OPSET = 17
"""Version of the ONNX operator set; supported by onnxruntime 1.12 and later."""
INPUTS = ("keypoint", "keypoint_score", "total_frames", "img_shape")
_VIEWS = ("points", "scores", "mirror")


class _Outputs(nn.Module):
    """Averages over each clip's views, and the fusion of the models."""

    def __init__(self, columns: Sequence[tuple[str, str, int]], share: Mapping[str, float]) -> None:
        super().__init__()
        self.columns, self.share = columns, share

    @property
    def names(self) -> list[str]:
        kinds = dict.fromkeys(kind for _, kind, _ in self.columns)
        fused = [kind for kind in kinds if self._is_fused(kind)]
        return [*(_output(part, kind) for part, kind, _ in self.columns), *(_output("fusion", kind) for kind in fused)]

    def _is_fused(self, kind: str) -> bool:
        return sum(other == kind for _, other, _ in self.columns) == len(self.share) > 1

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        means = []
        fused: dict[str, Any] = {}
        for value, (part, kind, views) in zip(values, self.columns, strict=True):
            mean = value.reshape(-1, views, value.shape[-1]).mean(1)
            means.append(mean)
            if self._is_fused(kind):
                fused[kind] = fused.get(kind, 0) + self.share[part] * mean
        return (*means, *fused.values())


def _output(part: str, kind: str) -> str:
    return part if kind == "probability" else f"{part}_{kind}"


def export_onnx(
    predictor: Predictor,
    out: str | os.PathLike[str],
    *,
    one_view: bool = False,
    max_frames: int = 1024,
) -> dict[str, str]:
    """Write the models of a predictor to an ONNX file.

    docs/export.md describes its inputs and outputs.

    Args:
        predictor: Models on the CPU in float32, with fusion weights and class names.
        out: File to write, atomically.
        one_view: Use one view of each clip, not all views of the config's test.
        max_frames: Length of the longest clip that the file accepts, in frames.

    Returns:
        Metadata of the file.

    Raises:
        HostError: onnx is not installed.
        InputError: A model or its test pipeline cannot be exported, or the file cannot be written.
    """
    onnx = _onnx()
    refuse_changed(out)
    plans = {name: view_plan(model, one_view) for name, model in predictor.models.items()}
    share = normalise_weights(predictor.weights, len(plans))
    steps = list(dict.fromkeys(plans.values()))
    # Models with the same test pipeline share its views.
    graphs = [_views_graph(plan, f"views{n}/", predictor.layout.num_joints, max_frames) for n, plan in enumerate(steps)]
    columns = []
    for name, model in predictor.models.items():
        network = ViewScores(model, plans[name]).eval()
        kinds = ("probability",) if network.embedding is None else ("probability", "cosine")
        graphs.append(_scan_graph(network, plans[name], name, f"views{steps.index(plans[name])}/", kinds))
        columns += [(name, kind, plans[name].views) for kind in kinds]
    outputs = _Outputs(columns, dict(zip(plans, share, strict=True)))
    graphs.append(_outputs_graph(outputs, predictor.classes))
    model = _joined(graphs, predictor, outputs.names)
    notes = _metadata(predictor, plans, share, max_frames)
    onnx.helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    with result_file(out) as stream:
        stream.write(model.SerializeToString())
    return notes


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise HostError(f"the export needs onnx; run: {pip_install('onnx')}") from None
    return onnx


def _example(plan: ViewPlan, joints: int) -> tuple[Tensor, ...]:
    """Example input of two clips with two persons; the traced graph accepts other numbers."""
    points = torch.rand(2, 2, plan.frames, joints, 2) * 100
    frames, shape = torch.tensor([1, 1]), torch.tensor([[100, 100], [100, 100]])
    return points, torch.rand(points.shape[:-1]), frames, shape


def _views_graph(plan: ViewPlan, prefix: str, joints: int, max_frames: int) -> Any:
    names = [prefix + name for name in _VIEWS]
    axes = {"keypoint": {0: "N", 1: "M", 2: "T"}, "keypoint_score": {0: "N", 1: "M", 2: "T"}}
    dynamic = {**axes, "total_frames": {0: "N"}, "img_shape": {0: "N"}}
    return _traced(ClipViews(plan, max_frames), _example(plan, joints), INPUTS, names, dynamic, prefix).graph


def _scan_graph(network: ViewScores, plan: ViewPlan, name: str, source: str, kinds: Sequence[str]) -> Any:
    """Graph that scans the views one by one, so that memory does not grow with their number."""
    onnx = _onnx()
    joints = 1 + int(network.maps.parts.max())
    points = torch.rand(2, plan.frames, joints, 2) * 10
    example = (points, torch.rand(points.shape[:-1]), torch.tensor([0]))
    inputs = [f"{name}/{view}" for view in _VIEWS]
    dynamic = {inputs[0]: {0: "M"}, inputs[1]: {0: "M"}}
    outputs = [f"{name}/view_{kind}" for kind in kinds]
    body = _traced(network, example, inputs, outputs, dynamic, f"{name}/").graph
    columns = [f"{name}/{kind}" for kind in kinds]
    views = [source + view for view in _VIEWS]
    scan = onnx.helper.make_node("Scan", views, columns, name=f"{name}/views", body=body, num_scan_inputs=len(views))
    return onnx.helper.make_graph([scan], name, [], [])


def _outputs_graph(outputs: _Outputs, classes: int) -> Any:
    inputs = [f"{part}/{kind}" for part, kind, _ in outputs.columns]
    example = tuple(torch.rand(2 * views, classes) for _, _, views in outputs.columns)
    dynamic = {**{name: {0: f"views_of_{name}"} for name in inputs}, **{name: {0: "N"} for name in outputs.names}}
    return _traced(outputs, example, inputs, outputs.names, dynamic, "outputs/").graph


@torch.no_grad()
def _traced(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
    prefix: str,
) -> Any:
    """ONNX model of a module; names inside begin with the prefix."""
    onnx = _onnx()
    stream: Any = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter warns about each constant of a trace, and about its own deprecation.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            stream,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(stream.getvalue())
    _rename(model.graph, prefix, {*inputs, *outputs})
    return model


def _rename(graph: Any, prefix: str, kept: Set[str]) -> None:
    """Prefix all names except ``kept``; onnx's own function differs between its versions."""

    def renamed(names: Iterable[str]) -> list[str]:
        return [name if name in kept or not name else prefix + name for name in names]

    for node in graph.node:
        node.name = prefix + node.name
        node.input[:], node.output[:] = renamed(node.input), renamed(node.output)
    for tensor in graph.initializer:
        (tensor.name,) = renamed([tensor.name])
    del graph.value_info[:]


def _joined(graphs: Sequence[Any], predictor: Predictor, outputs: Sequence[str]) -> Any:
    onnx = _onnx()
    make, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    joints = predictor.layout.num_joints
    inputs = [
        make("keypoint", kinds.FLOAT, ["N", "M", "T", joints, 2]),
        make("keypoint_score", kinds.FLOAT, ["N", "M", "T", joints]),
        make("total_frames", kinds.INT64, ["N"]),
        make("img_shape", kinds.INT64, ["N", 2]),
    ]
    results = [make(name, kinds.FLOAT, ["N", predictor.classes]) for name in outputs]
    nodes = [node for graph in graphs for node in graph.node]
    weights = [tensor for graph in graphs for tensor in graph.initializer]
    graph = onnx.helper.make_graph(nodes, "pyskl_semloss", inputs, results, weights)
    return onnx.helper.make_model(
        graph,
        producer_name="pyskl_semloss",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=8,
    )


def _metadata(
    predictor: Predictor, plans: Mapping[str, ViewPlan], share: Sequence[float], max_frames: int
) -> dict[str, str]:
    """Metadata for users of the file, each value as JSON."""
    models = predictor.models
    preprocessors = {name: model.model.data_preprocessor for name, model in models.items()}
    notes: dict[str, Any] = {
        "class_names": list(predictor.class_names),
        "layout": predictor.layout.name,
        "joints": list(predictor.layout.joints),
        "weights": dict(zip(models, share, strict=True)),
        "max_frames": max_frames,
        "frames": {name: plan.frames for name, plan in plans.items()},
        "views": {name: plan.views for name, plan in plans.items()},
        "map_size": {name: list(plan.size) for name, plan in plans.items()},
        "sigma": {name: float(preprocessor.sigma) for name, preprocessor in preprocessors.items()},
        "score_threshold": {name: float(preprocessor.threshold) for name, preprocessor in preprocessors.items()},
        "checkpoints": {name: sha256(model.checkpoint) for name, model in models.items()},
        "pyskl_semloss": __version__,
    }
    return {name: json.dumps(value, ensure_ascii=False) for name, value in notes.items()}


def as_inputs(clips: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Batch of the graph's inputs from annotation entries, padded with 0.

    Args:
        clips: N entries with ``keypoint`` (M, T, V, 2), px, ``keypoint_score`` (M, T, V) and ``img_shape`` (h, w), px.
    """
    persons, frames, joints = np.max([clip["keypoint"].shape[:3] for clip in clips], axis=0)
    keypoint = np.zeros((len(clips), persons, frames, joints, 2), np.float32)
    score = np.zeros(keypoint.shape[:-1], np.float32)
    for number, clip in enumerate(clips):
        here: tuple[Any, ...] = (number, *(slice(size) for size in clip["keypoint"].shape[:2]))
        keypoint[here] = clip["keypoint"]
        own_score = clip.get("keypoint_score")
        score[here] = 1 if own_score is None else own_score
    total = np.array([clip["keypoint"].shape[1] for clip in clips], np.int64)
    shape = np.array([clip["img_shape"] for clip in clips], np.int64)
    return dict(zip(INPUTS, (keypoint, score, total, shape), strict=True))
