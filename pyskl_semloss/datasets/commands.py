"""The commands that make what a config names and that is not there."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from pyskl_semloss.datasets.formats import FORMATS
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.resources import resource_path

_SYNTHETIC = "synthetic"


def missing_file(path: str, file: str | os.PathLike[str], field: str) -> InputError:
    """The error that a file of a config is not there, with the command that makes it.

    Args:
        path: The file.
        file: The config.
        field: Its setting, one that ends in ``ann_file`` or ``label_vectors``.
    """
    command = label_vectors_command(path) if field.endswith("label_vectors") else annotations_command(path)
    problem = f"there is no file {path}"
    if os.path.isdir(path):
        problem = f"expected a file{' or a keypoint store' * field.endswith('ann_file')}, got the folder {path}"
    fix = f"Make it: {command}; or name another: --cfg-options {field}=PATH. Paths are relative to the current folder."
    return InputError(problem, file=file, field=field, fix=fix)


def annotations_command(path: str) -> str:
    """The command that makes an annotation file; the name of its folder says of which data set.

    Example:
        >>> annotations_command("data/smg/annotations.pkl")
        'semloss prepare smg SRC data/smg/annotations.pkl'
    """
    out, name = shlex.quote(path), Path(path).parent.name
    if name in FORMATS:
        # The release's own variant keeps the padding of the kit.
        padded = "padded" in Path(path).stem
        return f"semloss prepare {name}{'-kit' * padded} SRC {out}{' --keep-padding' * padded}"
    if name.startswith(_SYNTHETIC):
        return f"semloss prepare {_SYNTHETIC} {out}"
    return f"semloss prepare keypoints SRC {out} --labels TABLE.csv --class-names NAMES.txt"


def label_vectors_command(path: str) -> str:
    """The command that makes a file of label vectors; the name of its folder says of which data set.

    Example:
        >>> label_vectors_command("data/own/label_vectors.npz")
        'semloss label-vectors --labels NAMES.txt --out data/own/label_vectors.npz'
    """
    name = Path(path).parent.name
    names = "NAMES.txt"
    if name in FORMATS or name.startswith(_SYNTHETIC):
        # The synthetic set acts out the classes of iMiGUE.
        labels = f"data/{name if name in FORMATS else 'imigue'}_labels.txt"
        names = labels if os.path.isfile(labels) else shlex.quote(str(resource_path(labels)))
    return f"semloss label-vectors --labels {names} --out {shlex.quote(path)}"
