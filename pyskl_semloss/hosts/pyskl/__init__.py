"""PySKL adapter; importing it registers every class that the configs name."""

from pyskl_semloss.hosts.environment import check_pyskl

check_pyskl()

import pyskl.datasets  # noqa: E402
import pyskl.models  # noqa: E402, F401
import torch  # noqa: E402
from mmcv.runner import CheckpointLoader  # noqa: E402

from pyskl_semloss.hosts.checkpoint_loading import use_safe_loaders  # noqa: E402
from pyskl_semloss.hosts.checkpoints import log_history_globals  # noqa: E402
from pyskl_semloss.hosts.pyskl.dataset import KeypointDataset  # noqa: E402
from pyskl_semloss.hosts.pyskl.graph import use_layout_graphs  # noqa: E402
from pyskl_semloss.hosts.pyskl.head import SemanticEmbeddingHead, SemanticGCNHead  # noqa: E402
from pyskl_semloss.hosts.pyskl.torch_compatibility import patch_distributed  # noqa: E402
from pyskl_semloss.hosts.pyskl.transforms import GeneratePoseHeatmap  # noqa: E402
from pyskl_semloss.keypoint_ops.transforms import (  # noqa: E402
    CompactKeypoints,
    FlipKeypoints,
    FormatGraphInput,
    KeypointStream,
    NormaliseKeypoints,
    RandomResizedCropKeypoints,
    RandomRotateKeypoints,
    RandomScaleKeypoints,
    ResizeKeypoints,
    SampleKeypointFrames,
)

patch_distributed()
use_layout_graphs()
# From torch 2.6 on, the host could not read its own checkpoints with a best accuracy, or those of MMAction2.
torch.serialization.add_safe_globals(log_history_globals())
use_safe_loaders(CheckpointLoader, graph_head="fc_cls")

__all__ = [
    "CompactKeypoints",
    "FlipKeypoints",
    "FormatGraphInput",
    "GeneratePoseHeatmap",
    "KeypointDataset",
    "KeypointStream",
    "NormaliseKeypoints",
    "RandomResizedCropKeypoints",
    "RandomRotateKeypoints",
    "RandomScaleKeypoints",
    "ResizeKeypoints",
    "SampleKeypointFrames",
    "SemanticEmbeddingHead",
    "SemanticGCNHead",
]
