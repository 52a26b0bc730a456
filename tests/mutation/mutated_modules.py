"""Which modules are mutated, and by which tests a change of each must be noticed."""

from __future__ import annotations

_READERS = ("tests/test_safe_pickle.py", "tests/test_array_files.py", "tests/test_reading.py")
# Group -> module -> what pytest is given; quick tests first, as the first that fails ends the run.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "semantic loss": {"semantic/loss": ("tests/test_semantic_loss.py",)},
    "heat maps": {
        "heatmap/channels": ("tests/test_heatmap.py", "tests/test_heatmap_transform.py"),
        "heatmap/numba_engine": ("tests/test_heatmap.py", "tests/test_heatmap_transform.py"),
        "heatmap/torch_engine": ("tests/test_heatmap.py", "-k", "not render_heatmaps and not channels_last"),
        "heatmap/transform": ("tests/test_heatmap_transform.py",),
    },
    "fusion": {
        "evaluation/fusion": ("tests/test_fusion.py", "tests/test_submission.py"),
        "evaluation/fusion_plan": ("tests/test_fusion_config.py", "tests/test_fusion.py", "tests/test_submission.py"),
    },
    "metrics": {"evaluation/metrics": ("tests/test_metrics.py",)},
    "safe readers": {
        "io/reading": ("tests/test_reading.py", "tests/test_array_files.py", "tests/test_safe_pickle.py"),
        "io/arrays": ("tests/test_array_files.py",),
        "untrusted/safe_pickle": _READERS,
        "untrusted/pickle_scan": ("tests/test_pickle_scan.py", *_READERS, "tests/test_hostile_checkpoints.py"),
        "untrusted/placeholders": (*_READERS, "tests/test_hostile_checkpoints.py"),
        "untrusted/checkpoint_scan": ("tests/test_hostile_checkpoints.py",),
        "evaluation/scores": ("tests/test_scores.py", "-k", "not mmaction2s_own and not dump_files"),
    },
}
TESTS = {module: tests for modules in GROUPS.values() for module, tests in modules.items()}
