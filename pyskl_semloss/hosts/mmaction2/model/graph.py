"""Graph networks on MMAction2: the recogniser, its preprocessor, and the networks that the host lacks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from mmaction.models import RecognizerGCN
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor, BaseModule
from torch import Tensor

from pyskl_semloss import gcn
from pyskl_semloss.errors import InputError
from pyskl_semloss.skeletons import SkeletonGraph, adjacency, get_layout, skeleton_graph

Settings = Mapping[str, Any]


def graph_of_settings(layout: str | Settings, centre: int | str | None = None) -> SkeletonGraph:
    """Graph of ``layout`` in a ``graph_cfg``: a layout's name, or the host's dict of nodes, edges and centre.

    Raises:
        InputError: No such layout, or the dict lacks a field.
    """
    if isinstance(layout, Mapping) and "num_node" in layout:
        if missing := [name for name in ("inward", "center") if name not in layout]:
            raise InputError(f"it lacks {' and '.join(missing)}", field="graph_cfg.layout")
        return SkeletonGraph(layout["num_node"], tuple(map(tuple, layout["inward"])), layout["center"])
    return skeleton_graph(get_layout(layout), centre)


def _adjacency(graph_cfg: Settings) -> Tensor:
    """(K, V, V) of a ``graph_cfg``: ``layout``, ``mode`` and the mode's own arguments."""
    options = dict(graph_cfg)
    layout, mode = options.pop("layout", None), options.pop("mode", "spatial")
    if layout is None:
        raise InputError("expected a layout", field="graph_cfg.layout", fix="GraphRecognizer sets it.")
    parameters = inspect.signature(adjacency).parameters.values()
    known = [each.name for each in parameters if each.kind == each.KEYWORD_ONLY]
    if unknown := [name for name in options if name not in known]:
        fix = f"It has layout, mode, {', '.join(known)}."
        raise InputError(f"it has no {unknown[0]!r}", field=f"graph_cfg.{unknown[0]}", fix=fix)
    # Not from_numpy, which keeps to the processor where the model is only outlined.
    return torch.tensor(adjacency(graph_of_settings(layout), mode, **options))


@MODELS.register_module()
class CTRGCN(gcn.CTRGCN, BaseModule):
    """CTR-GCN with the host's ``graph_cfg``.

    Args:
        graph_cfg: ``layout``, ``mode`` and its arguments, see :func:`pyskl_semloss.skeletons.adjacency`.
        init_cfg: As in the host.
        **kwargs: The arguments of :class:`pyskl_semloss.gcn.CTRGCN`.
    """

    def __init__(self, graph_cfg: Settings, init_cfg: Any = None, **kwargs: Any) -> None:
        super().__init__(_adjacency(graph_cfg), **kwargs)
        self.init_cfg = init_cfg


@MODELS.register_module()
class DGSTGCN(gcn.DGSTGCN, BaseModule):
    """DG-STGCN with the host's ``graph_cfg``.

    Args:
        graph_cfg: ``layout``, ``mode`` and its arguments, see :func:`pyskl_semloss.skeletons.adjacency`.
        init_cfg: As in the host.
        **kwargs: The arguments of :class:`pyskl_semloss.gcn.DGSTGCN`.
    """

    def __init__(self, graph_cfg: Settings, init_cfg: Any = None, **kwargs: Any) -> None:
        super().__init__(_adjacency(graph_cfg), **kwargs)
        self.init_cfg = init_cfg


@MODELS.register_module()
class GraphPreprocessor(BaseDataPreprocessor):
    """Check and move the inputs of graph networks, made by ``FormatGraphInput`` and packed by ``PackKeypoints``.

    Args:
        skeleton: Layout name or mapping, see :func:`pyskl_semloss.skeletons.get_layout`.
        num_person: Persons P, as in the pipeline's ``FormatGraphInput``.
        non_blocking: As in mmengine.
    """

    def __init__(self, skeleton: str | Settings, num_person: int = 1, non_blocking: bool = False) -> None:
        super().__init__(non_blocking=non_blocking)
        self.layout, self.num_person = get_layout(skeleton), num_person

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """``inputs`` (N, S views, P, T, V, 3) = x, y, score, and ``data_samples``, on the model's device.

        Args:
            data: ``inputs`` with ``keypoint``, N times (S, P, T, V, 3), and ``data_samples``.
            training: Unused: augmentation is done in the pipeline.

        Raises:
            InputError: The clips are of another layout, have other persons, or differ in views or frames.
        """
        points, samples = data["inputs"]["keypoint"], data["data_samples"]
        first, layout = samples[0], self.layout
        of_data, shape = first.get("skeleton", layout.name), tuple(points[0].shape)
        one_shape = isinstance(points, Tensor) or all(point.shape == shape for point in points)
        if not one_shape or "keypoint_score" in data["inputs"] or len(shape) != 5:
            problem = "expected clips of one shape (S, P, T, V, 3)"
            fix = "End the pipeline with SampleKeypointFrames, FormatGraphInput and PackKeypoints."
            raise InputError(problem, clip=first.get("sample_id"), field="keypoint", fix=fix)
        if of_data != layout.name or shape[3] != layout.num_joints:
            problem = (
                f"the model takes {layout.name!r} ({layout.num_joints} joints), "
                f"the data set holds {of_data!r} ({shape[3]} joints)"
            )
            fix = "Name one layout in the config's data_preprocessor and its data sets."
            raise InputError(problem, clip=first.get("sample_id"), field="skeleton", fix=fix)
        if shape[1] != self.num_person:
            problem = f"the model takes {self.num_person} persons, the pipeline gives {shape[1]}"
            fix = "Give FormatGraphInput and data_preprocessor the same num_person."
            raise InputError(problem, clip=first.get("sample_id"), field="num_person", fix=fix)
        if not isinstance(points, Tensor):
            points = torch.stack(points)
        return {"inputs": self.cast_data(points), "data_samples": self.cast_data(samples)}


@MODELS.register_module()
class GraphRecognizer(RecognizerGCN):
    """``RecognizerGCN`` whose graph is that of the preprocessor's layout.

    Args:
        backbone: As in the host. A ``graph_cfg`` without layout gets the graph of the preprocessor's skeleton, and
            ``num_person``, where it is not given, the preprocessor's number.
        *args: As in the host.
        **kwargs: As in the host.

    Raises:
        InputError: The layout is no connected graph, or the head takes another width than the backbone gives.
    """

    def __init__(self, backbone: Settings, *args: Any, **kwargs: Any) -> None:
        super().__init__(_with_graph(backbone, kwargs.get("data_preprocessor")), *args, **kwargs)
        if isinstance(self.data_preprocessor, GraphPreprocessor):
            self._check_width(self.data_preprocessor)

    @torch.no_grad()
    def _check_width(self, preprocessor: GraphPreprocessor) -> None:
        """Run the backbone on an empty clip; the host would fail at the first batch only, with an assertion."""
        width, training = getattr(getattr(self, "cls_head", None), "in_channels", None), self.training
        clip = torch.zeros(1, preprocessor.num_person, 16, preprocessor.layout.num_joints, 3)
        given = self.eval().backbone(clip).shape[2]
        self.train(training)
        if width not in (None, given):
            problem = f"the backbone gives {given} channels, the head takes {width}"
            fix = f"Set it to {given}, or change model.backbone.base_channels."
            raise InputError(problem, field="model.cls_head.in_channels", fix=fix)


def _with_graph(backbone: Settings, preprocessor: object) -> Settings:
    if not isinstance(preprocessor, Mapping) or "skeleton" not in preprocessor:
        return backbone
    kind, graph_cfg = MODELS.get(backbone["type"]), backbone.get("graph_cfg") or {}
    added: dict[str, Any] = {}
    if graph_cfg.get("layout") is None:
        graph = skeleton_graph(get_layout(preprocessor["skeleton"]))
        added["graph_cfg"] = {**graph_cfg, "layout": graph.host_layout()}
    if "num_person" not in backbone and kind is not None and "num_person" in _arguments(kind):
        added["num_person"] = preprocessor.get("num_person", 1)
    return {**backbone, **added}


def _arguments(kind: type) -> set[str]:
    """Arguments that a network's constructor and those of its bases take."""
    return {name for each in kind.__mro__ if "__init__" in vars(each) for name in inspect.signature(each).parameters}
