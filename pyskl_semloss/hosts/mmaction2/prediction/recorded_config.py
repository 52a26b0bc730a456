"""Safe reader of the config that a checkpoint records.

Checkpoints are untrusted, and the host imports, calls, opens and downloads whatever the arguments of its classes name.
So prediction reads only the types and arguments below from a recorded config, each of a fixed kind and within limits.
Everything else is refused before a model is built.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.mmaction2.model.graph import GraphPreprocessor
from pyskl_semloss.hosts.mmaction2.prediction.recorded_values import (
    Kind,
    Part,
    Parts,
    Settings,
    above_0,
    either,
    flag,
    number,
    one_of,
    optional,
    several,
    skeleton,
    text,
    unbuilt,
    unread,
    whole,
)
from pyskl_semloss.io.literals import parse_literals
from pyskl_semloss.keypoint_ops.features import STREAMS
from pyskl_semloss.skeletons import get_layout
from pyskl_semloss.skeletons.graph import MODES

GIVE_CONFIG = "Give the config beside the checkpoint."
MOST_NUMBERS = 1 << 27
"""Numbers in a volume or a feature of one view: 0.5 GB in float32; the released model has 6.3 million."""
_MOST_POINTS = 1 << 25

_channels, _stride, _stages = whole(1, 1 << 16), whole(1, 64), (1, 4)
_inflation = one_of(0, 1)
_initial = {"init_cfg": unbuilt}
_batch_norm = {
    "requires_grad": flag,
    "eps": number(0, 1),
    "momentum": optional(number(0, 1)),
    "affine": flag,
    "track_running_stats": flag,
}
_norm = Part(
    {
        "BN3d": _batch_norm,
        "SyncBN": _batch_norm,
        "GN": {"num_groups": _channels, "requires_grad": flag, "eps": number(0, 1), "affine": flag},
    }
)
_activation = Part(
    {
        "ReLU": {"inplace": flag},
        "LeakyReLU": {"inplace": flag, "negative_slope": number(0, 1)},
        "GELU": {},
        "SiLU": {"inplace": flag},
    }
)
_backbone = Part(
    {
        "ResNet3dSlowOnly": {
            "depth": one_of(18, 34, 50, 101, 152),
            "in_channels": optional(_channels),
            "base_channels": _channels,
            "num_stages": whole(*_stages),
            "stage_blocks": optional(several(whole(1, 64), *_stages)),
            "out_indices": several(whole(0, 3), 1, 1),
            "spatial_strides": several(_stride, *_stages),
            "temporal_strides": several(_stride, *_stages),
            "dilations": several(_stride, *_stages),
            "conv1_kernel": either(whole(1, 63), several(whole(1, 63), 3, 3)),
            "conv1_stride_s": _stride,
            "conv1_stride_t": _stride,
            "pool1_stride_s": _stride,
            "pool1_stride_t": _stride,
            "with_pool1": flag,
            "with_pool2": flag,
            "style": one_of("pytorch", "caffe"),
            "inflate": either(_inflation, several(either(_inflation, several(_inflation, 1, 64)), *_stages)),
            "inflate_style": one_of("3x1x1", "3x3x3"),
            "conv_cfg": Part({"Conv3d": {}}),
            "norm_cfg": _norm,
            "act_cfg": _activation,
            "non_local": either(one_of(0), several(one_of(0), *_stages)),
            "lateral": one_of(False),
            # Used by training only; the checkpoint's weights replace the ones that these name.
            **dict.fromkeys(("pretrained", "pretrained2d", "frozen_stages", "norm_eval", "with_cp"), unread),
            **dict.fromkeys(("zero_init_residual", "non_local_cfg"), unread),
            **_initial,
        }
    }
)
# A layout in it would be that of another skeleton: the graph is that of the preprocessor's.
_graph_cfg = Settings(
    {
        "layout": one_of(None),
        "mode": one_of(*MODES),
        "max_hop": whole(1, 64),
        "num_filter": whole(1, 64),
        "init_std": number(0, 100),
        "init_off": number(0, 100),
    },
    "graph_cfg",
)
_blocks = several(whole(1, 64), 0, 64)
_graph_network = {
    "graph_cfg": _graph_cfg,
    "in_channels": one_of(3),
    "base_channels": _channels,
    "num_stages": whole(1, 64),
    "inflate_stages": _blocks,
    "down_stages": _blocks,
    "tcn_dropout": number(0, 1),
    **_initial,
}
_host_network = {
    **_graph_network,
    "data_bn_type": one_of("VC", "MVC", "none"),
    "ch_ratio": one_of(1, 2),
    "num_person": whole(1, 64),
    "gcn_adaptive": one_of("init", "offset", "importance"),
    "gcn_with_res": flag,
    "gcn_attention": flag,
    "tcn_type": one_of("unit_tcn", "mstcn"),
    "pretrained": unread,
}
_graph_backbone = Part(
    {
        "STGCN": _host_network,
        "AAGCN": _host_network,
        "CTRGCN": {
            **_graph_network,
            "num_person": whole(1, 64),
            "kernel_size": whole(1, 63),
            "dilations": several(whole(1, 64), 1, 8),
        },
        "DGSTGCN": {**_graph_network, "ratio": above_0(1)},
    }
)
_weights = {"loss_weight": unread, "class_weight": unread}
_classifier = {
    "num_classes": _channels,
    "in_channels": _channels,
    "average_clips": optional(one_of("prob", "score")),
    # Checked but not built: prediction computes no loss.
    "loss_cls": Part(
        {
            "CrossEntropyLoss": _weights,
            "BCELossWithLogits": _weights,
            "CBFocalLoss": {"loss_weight": unread, "samples_per_cls": unread, "beta": unread, "gamma": unread},
        }
    ),
    **dict.fromkeys(("init_std", "multi_class", "label_smooth_eps", "topk"), unread),
    **_initial,
}
_head = {**_classifier, "spatial_type": one_of("avg"), "dropout_ratio": number(0, 1)}
_graph_head = {**_classifier, "dropout": number(0, 1)}
_branch = {
    # The host's training tool records num_classes=None where the number comes from the label vectors.
    "num_classes": optional(_channels),
    "branch": one_of("linear", "mlp"),
    # The label vectors come from the weights, where they are already rescaled.
    **dict.fromkeys(("label_vectors", "alpha", "loss", "temperature", "rescale", "seen_classes"), unread),
}
_preprocessor = Part(
    {
        "PoseHeatmapPreprocessor": {
            "skeleton": skeleton,
            "modality": one_of("joint", "limb"),
            "sigma": above_0(100),
            "use_score": flag,
            "score_threshold": number(0, 1),
            "engine": one_of("auto", "numba", "torch"),
            "non_blocking": flag,
        }
    }
)
_graph_preprocessor = Part(
    {"GraphPreprocessor": {"skeleton": skeleton, "num_person": whole(1, 64), "non_blocking": flag}}
)
_recognizer = {
    "backbone": _backbone,
    # The label vectors are the checkpoint's; the file named here is not opened.
    "cls_head": Part({"SemanticEmbeddingHead": {**_head, **_branch}, "I3DHead": _head}),
    "data_preprocessor": _preprocessor,
    "neck": one_of(None),
    "train_cfg": unread,
    "test_cfg": optional(Settings({"max_testing_views": whole(1, 1 << 16), "fcn_test": flag}, "test_cfg")),
    **_initial,
}
_model = Part(
    {
        "PoseRecognizer3D": {
            **_recognizer,
            "fast": flag,
            "compile": optional(flag),
            "test_memory": optional(above_0(1 << 14)),
        },
        "Recognizer3D": _recognizer,
        "GraphRecognizer": {
            **_recognizer,
            "backbone": _graph_backbone,
            "cls_head": Part({"SemanticGCNHead": {**_graph_head, **_branch}, "GCNHead": _graph_head}),
            "data_preprocessor": _graph_preprocessor,
        },
    }
)
_joints = several(whole(0, 1023), 0, 1024)
_pipeline = Parts(
    Part(
        {
            "SampleKeypointFrames": {
                "clip_len": whole(1, 4096),
                "num_clips": whole(1, 128),
                "test_mode": flag,
                "seed": whole(0, (1 << 32) - 1),
            },
            "CompactKeypoints": {
                "padding": number(0, 100),
                "threshold": number(0, 1e6),
                "hw_ratio": optional(either(above_0(100), several(above_0(100), 2, 2))),
                "allow_imgpad": flag,
            },
            # No scale factor: the untrusted recording would set the size of the maps.
            "ResizeKeypoints": {"scale": several(either(one_of(-1), whole(1, 1024)), 2, 2), "keep_ratio": flag},
            "RandomResizedCropKeypoints": {
                "area_range": several(above_0(1), 2, 2),
                "aspect_ratio_range": several(above_0(100), 2, 2),
            },
            "FlipKeypoints": {
                "flip_ratio": number(0, 1),
                "skeleton": optional(skeleton),
                "left_kp": optional(_joints),
                "right_kp": optional(_joints),
            },
            "NormaliseKeypoints": {"by": one_of("image", "body"), "threshold": number(0, 1e6)},
            "RandomRotateKeypoints": {"theta": number(0, 10)},
            "RandomScaleKeypoints": {"scale": number(0, 1)},
            "KeypointStream": {
                "stream": optional(one_of(*STREAMS)),
                "skeleton": optional(skeleton),
                "centre": optional(whole(0, 1023)),
            },
            "FormatGraphInput": {"num_person": whole(1, 64)},
            "PackKeypoints": {"meta_keys": several(text, 0, 100), "mirrored_views": flag},
        }
    ),
    16,
)
# Further arguments of the host's data sets and loaders, which prediction does not build.
_of_dataset = (
    "ann_file split valid_ratio box_thr skeleton num_classes strict multi_class start_index modality metainfo "
    "only_classes data_root data_prefix filter_cfg indices serialize_data test_mode lazy_init max_refetch"
)
_of_loader = (
    "num_workers persistent_workers pin_memory pin_memory_device drop_last shuffle prefetch_factor timeout "
    "multiprocessing_context"
)
_dataset: dict[str, Kind] = {"pipeline": _pipeline, **dict.fromkeys(_of_dataset.split(), unread)}
_loader = Settings(
    {
        "batch_size": whole(1, 4096),
        "collate_fn": Part({"stack_keypoints": {}, "pseudo_collate": {}}),
        "sampler": Part({"DefaultSampler": dict.fromkeys(("shuffle", "seed", "round_up"), unread)}),
        "batch_sampler": one_of(None),
        "dataset": Part(
            {
                "KeypointDataset": {
                    **_dataset,
                    "off_image": one_of("keep", "drop"),
                    "binary_score": flag,
                    "stream": one_of(*STREAMS),
                },
                "PoseDataset": _dataset,
            }
        ),
        **dict.fromkeys(_of_loader.split(), unread),
    },
    "a loader",
)
RECORDED: dict[str, Kind] = {"model": _model, "test_dataloader": _loader}
"""Settings that are read from a recorded config."""


def recorded_config(content: Mapping[str, Any], path: str | os.PathLike[str]) -> Config:
    """Model and test data of the config in ``meta["cfg"]``, without unread settings.

    The text is parsed as literals; no code in it runs.

    Args:
        content: Content of the checkpoint from :func:`pyskl_semloss.hosts.checkpoints.read_checkpoint`.
        path: Path of the checkpoint, for messages.

    Raises:
        InputError: No config is recorded, or it has a type, an argument or a value that is not allowed.
    """
    meta = content.get("meta")
    cfg = meta.get("cfg") if isinstance(meta, Mapping) else None
    if not isinstance(cfg, str) or not cfg.strip():
        problem = "the checkpoint records no config of MMAction2, only weights"
        raise InputError(problem, file=path, field="meta.cfg", fix=GIVE_CONFIG)
    try:
        values = parse_literals(cfg, path, GIVE_CONFIG)
        if missing := [key for key in RECORDED if not isinstance(values.get(key), dict)]:
            raise InputError(f"the recorded config lacks {' and '.join(missing)}", field="meta.cfg")
        kept = {key: kind.take(values[key], f"meta.cfg: {key}") for key, kind in RECORDED.items()}
        _check_complete(kept)
        if kept["model"]["type"] != "GraphRecognizer":
            _check_stages(kept["model"]["backbone"])
        _check_steps(kept)
    except InputError as error:
        raise error.located(file=path, field="meta.cfg", fix=GIVE_CONFIG) from None
    return Config(kept)


def _check_complete(kept: Mapping[str, Any]) -> None:
    model, loader = kept["model"], kept["test_dataloader"]
    needed = {
        "model": (model, ("backbone", "cls_head", "data_preprocessor")),
        "model.cls_head": (model.get("cls_head"), ("num_classes", "in_channels")),
        "model.data_preprocessor": (model.get("data_preprocessor"), ("skeleton",)),
        "test_dataloader": (loader, ("dataset",)),
        "test_dataloader.dataset": (loader.get("dataset"), ("pipeline",)),
    }
    for field, (part, names) in needed.items():
        if missing := [name for name in names if name not in part]:
            raise InputError(f"the record lacks {' and '.join(missing)}", field=f"meta.cfg: {field}")


def _check_stages(backbone: Mapping[str, Any]) -> None:
    stages = backbone.get("num_stages", 4)
    for key in ("stage_blocks", "spatial_strides", "temporal_strides", "dilations", "inflate", "non_local"):
        value = backbone.get(key)
        if isinstance(value, (list, tuple)) and len(value) != stages:
            problem = f"expected a value for each of the {stages} stages, got {len(value)}"
            raise InputError(problem, field=f"meta.cfg: model.backbone.{key}")
    if max(backbone.get("out_indices", (3,))) >= stages:
        problem = f"expected a stage from 0 to {stages - 1}, got {max(backbone.get('out_indices', (3,)))}"
        raise InputError(problem, field="meta.cfg: model.backbone.out_indices")


def _check_steps(kept: Mapping[str, Any]) -> None:
    """Refuse pipelines without fixed numbers of frames, and pixels or persons, and batches above the memory limit."""
    loader, field = kept["test_dataloader"], "meta.cfg: test_dataloader.dataset.pipeline"
    steps = loader["dataset"]["pipeline"]
    types = [step["type"] for step in steps]
    once = all(types.count(name) == 1 for name in ("SampleKeypointFrames", "PackKeypoints"))
    sizing = "FormatGraphInput" if kept["model"]["type"] == "GraphRecognizer" else "ResizeKeypoints"
    if not once or sizing not in types or types[-1] != "PackKeypoints":
        problem = f"expected one SampleKeypointFrames, a {sizing}, and one PackKeypoints as the last step"
        raise InputError(f"{problem}, got {', '.join(types)}", field=field)
    sampling = next(step for step in steps if step["type"] == "SampleKeypointFrames")
    joints = get_layout(kept["model"]["data_preprocessor"]["skeleton"], files=False).num_joints
    persons = max([step.get("num_person", 1) for step in steps if step["type"] == "FormatGraphInput"], default=1)
    frames = sampling.get("clip_len", 1) * sampling.get("num_clips", 1)
    points = joints * persons * frames * loader.get("batch_size", 1)
    if points > _MOST_POINTS:
        of = "batch_size * num_clips * clip_len * persons * joints"
        problem = f"a batch has {points} joints ({of}), more than {_MOST_POINTS}"
        raise InputError(problem, field="meta.cfg: test_dataloader")


@torch.no_grad()
def check_outline(model: Any, steps: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a model with misfitting parts or too large features.

    Args:
        model: Model on the meta device.
        steps: Its recorded test pipeline.

    Raises:
        InputError: A volume or a feature of one view has more than ``MOST_NUMBERS`` numbers.
        RuntimeError: Parts do not fit together; raised by torch.
    """
    model.eval()
    preprocessor = model.data_preprocessor
    frames = next(step["clip_len"] for step in steps if step["type"] == "SampleKeypointFrames")
    if isinstance(preprocessor, GraphPreprocessor):
        clip = torch.empty((1, preprocessor.num_person, frames, preprocessor.layout.num_joints, 3), device="meta")
    else:
        size = (len(preprocessor.channels), frames, *_map_size(steps))
        _check_numbers(size)
        clip = torch.empty((1, *size), device="meta").to(memory_format=torch.channels_last_3d)
    hooks = [part.register_forward_hook(_check_feature) for part in model.modules() if not list(part.children())]
    model.cls_head(model.backbone(clip))
    for hook in hooks:
        hook.remove()


def _map_size(steps: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Height and width of the maps in px; with keep_ratio those of the enclosing square."""
    resize = next(step for step in reversed(steps) if step["type"] == "ResizeKeypoints")
    width, height = resize["scale"]
    return (max(width, height),) * 2 if resize.get("keep_ratio", True) else (height, width)


def _check_feature(part: nn.Module, taken: Any, given: Any) -> None:
    if isinstance(given, Tensor):
        _check_numbers(given.shape)


def _check_numbers(shape: Sequence[int]) -> None:
    numbers = 1
    for size in shape:
        numbers *= size
    if numbers > MOST_NUMBERS:
        shown = " x ".join(map(str, shape))
        problem = f"a view of a clip takes {shown} = {numbers} numbers at a time, more than {MOST_NUMBERS}"
        raise InputError(problem, field="meta.cfg: model.backbone, test_dataloader.dataset.pipeline")
