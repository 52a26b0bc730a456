"""Which modules are mutated, and by which tests (below tests/) a change of each must be noticed."""

from __future__ import annotations

_READERS = (
    "unit/untrusted/test_safe_pickle.py",
    "unit/io/test_array_files.py",
    "unit/io/test_reading.py",
)
# Group -> module -> what pytest is given; quick tests first, as the first that fails ends the run.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "semantic loss": {"semantic/loss": ("unit/semantic/test_semantic_loss.py",)},
    "heat maps": {
        "heatmap/channels": ("unit/heatmap/test_heatmap.py", "hosts/both/test_heatmap_transform.py"),
        "heatmap/numba_engine": ("unit/heatmap/test_heatmap.py", "hosts/both/test_heatmap_transform.py"),
        "heatmap/torch_engine": (
            "unit/heatmap/test_heatmap.py",
            "-k",
            "not render_heatmaps and not channels_last",
        ),
        "heatmap/transform": ("hosts/both/test_heatmap_transform.py",),
    },
    "fusion": {
        "evaluation/calibration": ("unit/evaluation/test_calibration.py",),
        "evaluation/ensemble": ("unit/evaluation/test_ensemble.py", "unit/evaluation/test_fusion_config.py"),
        "evaluation/fusion": ("unit/evaluation/test_fusion.py", "unit/evaluation/test_submission.py"),
        "evaluation/fusion_plan": (
            "unit/evaluation/test_fusion_config.py",
            "unit/evaluation/test_fusion.py",
            "unit/evaluation/test_submission.py",
        ),
        "evaluation/weight_search": ("unit/evaluation/test_weight_search.py",),
    },
    "metrics": {"evaluation/metrics": ("unit/evaluation/test_metrics.py",)},
    "safe readers": {
        "io/reading": (
            "unit/io/test_reading.py",
            "unit/io/test_array_files.py",
            "unit/untrusted/test_safe_pickle.py",
        ),
        "io/arrays": ("unit/io/test_array_files.py",),
        "untrusted/safe_pickle": (*_READERS, "security/test_hostile_checkpoints.py"),
        "untrusted/pickle_scan": (
            "unit/untrusted/test_pickle_scan.py",
            *_READERS,
            "security/test_hostile_checkpoints.py",
        ),
        "untrusted/checkpoint_scan": ("security/test_hostile_checkpoints.py",),
        "evaluation/scores": ("unit/evaluation/test_scores.py", "-k", "not mmaction2s_own and not dump_files"),
    },
}
TESTS = {
    module: tuple(f"tests/{argument}" if argument.endswith(".py") else argument for argument in arguments)
    for modules in GROUPS.values()
    for module, arguments in modules.items()
}
