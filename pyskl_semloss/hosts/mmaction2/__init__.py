"""MMAction2 1.x as the host: importing this package registers every class that the configs name."""

from pyskl_semloss.hosts.mmaction2.environment import check_environment

check_environment()

from pyskl_semloss.hosts.mmaction2.checkpoints import allow_host_objects  # noqa: E402
from pyskl_semloss.hosts.mmaction2.dataset import KeypointDataset  # noqa: E402
from pyskl_semloss.hosts.mmaction2.head import SemanticEmbeddingHead  # noqa: E402
from pyskl_semloss.hosts.mmaction2.heatmap import GeneratePoseHeatmap  # noqa: E402
from pyskl_semloss.hosts.mmaction2.metric import ScoreMetric  # noqa: E402
from pyskl_semloss.hosts.mmaction2.preprocessor import PoseHeatmapPreprocessor  # noqa: E402
from pyskl_semloss.hosts.mmaction2.recognizer import PoseRecognizer3D  # noqa: E402
from pyskl_semloss.hosts.mmaction2.transforms import (  # noqa: E402
    CompactKeypoints,
    FlipKeypoints,
    PackKeypoints,
    RandomResizedCropKeypoints,
    ResizeKeypoints,
    SampleKeypointFrames,
)

allow_host_objects()

__all__ = [
    "CompactKeypoints",
    "FlipKeypoints",
    "GeneratePoseHeatmap",
    "KeypointDataset",
    "PackKeypoints",
    "PoseHeatmapPreprocessor",
    "PoseRecognizer3D",
    "RandomResizedCropKeypoints",
    "ResizeKeypoints",
    "SampleKeypointFrames",
    "ScoreMetric",
    "SemanticEmbeddingHead",
]
