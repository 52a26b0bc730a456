"""The configs that the repository tracks; a user's own copy below ``configs/`` is none of the tests' business."""

import subprocess
from pathlib import Path

from helpers import ROOT


def tracked_configs(host):
    """Paths of a host's configs of models, below its folder, in order; a source that is no checkout has no others."""
    folder = ROOT / "configs" / host
    listed = subprocess.run(["git", "ls-files", "-z", "."], cwd=folder, capture_output=True, text=True)
    names = (
        listed.stdout.split("\0")
        if listed.stdout
        else [str(path.relative_to(folder)) for path in folder.glob("*/*.py")]
    )
    return sorted(name for name in names if name.endswith(".py") and name[0] != "_" and "fusion" not in Path(name).name)


def is_graph_config(name):
    """Whether a config is of a graph network, not of PoseC3D."""
    return "gcn" in Path(name).name
