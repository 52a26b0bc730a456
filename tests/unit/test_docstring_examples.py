"""The examples in docstrings: every one is run, and the functions of the core have one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import pyskl_semloss

ROOT = Path(pyskl_semloss.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
CORE = {
    "semantic.loss": "semantic_mse semantic_cosine semantic_contrastive semantic_scores name_probabilities "
    "register_loss SemanticBranch",
    "semantic.label_vectors": "build_label_vectors load_matrix cosines identical_classes nearest_classes",
    "semantic.word_vectors": "hash_vector",
    "semantic.controls": "shuffled random_like hash_like",
    "semantic.targets": "rescaled centred whitened orthonormal simplex transform",
    "semantic.class_names": "split_words parse_aliases",
    "heatmap.channels": "Channels",
    "heatmap.numba_engine": "render_heatmaps",
    "heatmap.torch_engine": "render_batch",
    "heatmap.sparse_convolution": "HeatmapConv3d",
    "keypoint_ops": "compact_crop crop flip resize resized_shape uniform_frame_indices uniform_frame_indices_test "
    "mark_missing normalise rotate bones motion fill_persons",
    "gcn": "CTRGCN DGSTGCN",
    "skeletons": "get_layout",
    "skeletons.graph": "skeleton_graph adjacency",
    "skeletons.layout": "SkeletonLayout",
    "skeletons.mapping": "joint_map",
    "skeletons.mirror": "check_mirror mirror_order mirrored_limbs",
    "evaluation.calibration": "softmax_rows logits_of negative_log_likelihood fit_temperature at_temperature",
    "evaluation.fusion": "as_semantic align normalise_weights fuse",
    "evaluation.metrics": "top_k_accuracy mean_class_accuracy confusion_matrix class_numbers macro_f1 calibration "
    "all_metrics",
    "evaluation.comparison": "paired_bootstrap mcnemar",
    "evaluation.resampling": "resampled_accuracy wilson_interval",
    "evaluation.scores": "Scores",
    "evaluation.weight_search": "search_weights",
    "segments.agreement": "temporal_iou agreement",
}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").startswith("pyskl_semloss"):
            raise
        pytest.skip(f"needs {error.name or error}")
    failures, examples = doctest.testmod(module)
    assert examples, "no example of this module was found"
    assert not failures


@pytest.mark.parametrize("module", CORE)
def test_the_functions_of_the_core_have_an_example(module):
    path = f"pyskl_semloss.{module}"
    if module.endswith(("loss", "torch_engine", "sparse_convolution", "gcn")):
        pytest.importorskip("torch")
    loaded = importlib.import_module(path)
    for name in CORE[module].split():
        doc = inspect.getdoc(getattr(loaded, name))
        assert "Example:\n    >>> " in doc, name
