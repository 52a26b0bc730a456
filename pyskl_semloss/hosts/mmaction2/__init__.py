"""MMAction2 1.x adapter; importing it registers every class that the configs name."""

from pyskl_semloss.hosts.environment import check_mmaction2

check_mmaction2()

import warnings  # noqa: E402

with warnings.catch_warnings():
    # mmcv-lite warns at every start about a missing operator, which is not used here.
    warnings.filterwarnings("ignore", message=".*MultiScaleDeformableAttention")
    import mmaction.models  # noqa: F401

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.logging import HistoryBuffer  # noqa: E402
from mmengine.runner.checkpoint import CheckpointLoader  # noqa: E402

from pyskl_semloss.hosts.checkpoint_loading import use_own_statistics, use_safe_loaders  # noqa: E402
from pyskl_semloss.hosts.checkpoints import log_history_globals  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.dataset import KeypointDataset  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.packing import PackKeypoints  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.seeding import SeedHook  # noqa: E402
from pyskl_semloss.hosts.mmaction2.data.transforms import GeneratePoseHeatmap  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.config_files import use_shipped_bases  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.graph import (  # noqa: E402
    CTRGCN,
    DGSTGCN,
    GraphPreprocessor,
    GraphRecognizer,
)
from pyskl_semloss.hosts.mmaction2.model.head import SemanticEmbeddingHead, SemanticGCNHead  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.preprocessor import PoseHeatmapPreprocessor  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.recognizer import PoseRecognizer3D  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.atomic_checkpoints import WholeCheckpointHook  # noqa: E402
from pyskl_semloss.hosts.mmaction2.training.metric import BestSoFarHook, ScoreMetric  # noqa: E402
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

torch.serialization.add_safe_globals(log_history_globals(HistoryBuffer))
use_own_statistics(HistoryBuffer)
use_safe_loaders(CheckpointLoader, graph_head="fc")
use_shipped_bases(Config)

__all__ = [
    "CTRGCN",
    "DGSTGCN",
    "BestSoFarHook",
    "CompactKeypoints",
    "FlipKeypoints",
    "FormatGraphInput",
    "GeneratePoseHeatmap",
    "GraphPreprocessor",
    "GraphRecognizer",
    "KeypointDataset",
    "KeypointStream",
    "NormaliseKeypoints",
    "PackKeypoints",
    "PoseHeatmapPreprocessor",
    "PoseRecognizer3D",
    "RandomResizedCropKeypoints",
    "RandomRotateKeypoints",
    "RandomScaleKeypoints",
    "ResizeKeypoints",
    "SampleKeypointFrames",
    "ScoreMetric",
    "SeedHook",
    "SemanticEmbeddingHead",
    "SemanticGCNHead",
    "WholeCheckpointHook",
]
