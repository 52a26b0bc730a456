"""Joint skeletal and semantic embedding loss for micro-gesture recognition, on MMAction2 and PySKL.

The names of ``__all__`` are imported when they are first used: ``import pyskl_semloss as ps`` alone imports neither a
host nor numpy, torch, Numba, gensim or OpenCV.

Example:
    >>> import pyskl_semloss as ps
    >>> vectors = ps.build_label_vectors(["Touching face", "Crossing arms"], "hash:50")
    >>> vectors.vectors.shape
    (2, 50)
    >>> ps.get_layout("openpose22").num_limbs
    21
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pyskl_semloss import keypoint_ops as keypoint_ops
    from pyskl_semloss.annotations import AnnotationSet as AnnotationSet
    from pyskl_semloss.annotations import Clip as Clip
    from pyskl_semloss.annotations import read_annotations as read_annotations
    from pyskl_semloss.annotations import write_annotations as write_annotations
    from pyskl_semloss.annotations.store import KeypointStore as KeypointStore
    from pyskl_semloss.errors import HostError as HostError
    from pyskl_semloss.errors import InputError as InputError
    from pyskl_semloss.evaluation.comparison import mcnemar as mcnemar
    from pyskl_semloss.evaluation.comparison import paired_bootstrap as paired_bootstrap
    from pyskl_semloss.evaluation.fusion import align as align
    from pyskl_semloss.evaluation.fusion import as_semantic as as_semantic
    from pyskl_semloss.evaluation.fusion import fuse as fuse
    from pyskl_semloss.evaluation.metrics import calibration as calibration
    from pyskl_semloss.evaluation.metrics import class_numbers as class_numbers
    from pyskl_semloss.evaluation.metrics import confusion_matrix as confusion_matrix
    from pyskl_semloss.evaluation.metrics import macro_f1 as macro_f1
    from pyskl_semloss.evaluation.metrics import mean_class_accuracy as mean_class_accuracy
    from pyskl_semloss.evaluation.metrics import top_k_accuracy as top_k_accuracy
    from pyskl_semloss.evaluation.scores import Scores as Scores
    from pyskl_semloss.evaluation.scores import read_scores as read_scores
    from pyskl_semloss.evaluation.submission import write_submission as write_submission
    from pyskl_semloss.evaluation.weight_search import search_weights as search_weights
    from pyskl_semloss.heatmap import Channels as Channels
    from pyskl_semloss.heatmap import render_batch as render_batch
    from pyskl_semloss.heatmap import render_heatmaps as render_heatmaps
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor as Predictor
    from pyskl_semloss.recordings.recording import Recording as Recording
    from pyskl_semloss.recordings.recording import read_recording as read_recording
    from pyskl_semloss.segments.files import read_segments as read_segments
    from pyskl_semloss.segments.files import write_segments as write_segments
    from pyskl_semloss.segments.localization import SegmentRules as SegmentRules
    from pyskl_semloss.segments.localization import find_segments as find_segments
    from pyskl_semloss.segments.segment import Segment as Segment
    from pyskl_semloss.segments.segment import Segmentation as Segmentation
    from pyskl_semloss.segments.windows import Timeline as Timeline
    from pyskl_semloss.segments.windows import WindowRules as WindowRules
    from pyskl_semloss.semantic.class_names import read_class_names as read_class_names
    from pyskl_semloss.semantic.label_vectors import LabelVectors as LabelVectors
    from pyskl_semloss.semantic.label_vectors import build_label_vectors as build_label_vectors
    from pyskl_semloss.semantic.loss import SemanticBranch as SemanticBranch
    from pyskl_semloss.semantic.loss import name_probabilities as name_probabilities
    from pyskl_semloss.semantic.loss import register_loss as register_loss
    from pyskl_semloss.semantic.loss import semantic_contrastive as semantic_contrastive
    from pyskl_semloss.semantic.loss import semantic_cosine as semantic_cosine
    from pyskl_semloss.semantic.loss import semantic_mse as semantic_mse
    from pyskl_semloss.semantic.loss import semantic_scores as semantic_scores
    from pyskl_semloss.skeletons import JointMap as JointMap
    from pyskl_semloss.skeletons import SkeletonLayout as SkeletonLayout
    from pyskl_semloss.skeletons import check_mirror as check_mirror
    from pyskl_semloss.skeletons import get_layout as get_layout
    from pyskl_semloss.skeletons import joint_map as joint_map
    from pyskl_semloss.skeletons import layout_names as layout_names

_NAMES = {
    "annotations": "AnnotationSet Clip read_annotations write_annotations",
    "annotations.store": "KeypointStore",
    "errors": "HostError InputError",
    "evaluation.comparison": "mcnemar paired_bootstrap",
    "evaluation.fusion": "align as_semantic fuse",
    "evaluation.metrics": "calibration class_numbers confusion_matrix macro_f1 mean_class_accuracy top_k_accuracy",
    "evaluation.scores": "Scores read_scores",
    "evaluation.submission": "write_submission",
    "evaluation.weight_search": "search_weights",
    "heatmap": "Channels render_batch render_heatmaps",
    "hosts.mmaction2.prediction.predictor": "Predictor",
    "keypoint_ops": "keypoint_ops",
    "recordings.recording": "Recording read_recording",
    "segments.files": "read_segments write_segments",
    "segments.localization": "SegmentRules find_segments",
    "segments.segment": "Segment Segmentation",
    "segments.windows": "Timeline WindowRules",
    "semantic.class_names": "read_class_names",
    "semantic.label_vectors": "LabelVectors build_label_vectors",
    "semantic.loss": "SemanticBranch name_probabilities register_loss semantic_contrastive semantic_cosine "
    "semantic_mse semantic_scores",
    "skeletons": "JointMap SkeletonLayout check_mirror get_layout joint_map layout_names",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _MODULE_OF:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
        globals()[name] = module if name == _MODULE_OF[name] else getattr(module, name)
        return globals()[name]
    hint = ""
    if not name.startswith("_"):
        from pyskl_semloss.io.reading import did_you_mean

        hint = did_you_mean(name, _MODULE_OF)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    """The public names, also those that nothing has used yet."""
    return sorted(__all__)
