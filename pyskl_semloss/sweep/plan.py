"""Which runs a sweep has, what each is called, and which of them a shard takes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.resources import find_config
from pyskl_semloss.semantic.controls import CONTROLS

PAPER_ALPHAS = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0)
KINDS = ("baseline", "given", *CONTROLS)
"""What the label vectors of a run are; a baseline has none and no alpha."""

_MODALITIES = ("joint", "limb")
_SWEPT = ("model.cls_head.alpha", "randomness.seed", "work_dir")
_VECTORS_KEY = "model.cls_head.label_vectors"


@dataclass(frozen=True)
class Run:
    """One training and its test.

    Attributes:
        config: The config file that is trained; for a baseline the one without the semantic branch.
        model: Name of the config with the branch, such as ``joint``: what the table compares within.
        vectors: One of ``KINDS``.
        alpha: Weight of the semantic loss; None for a baseline.
        seed: Of the training, and of the label vectors where they are drawn.
    """

    config: Path
    model: str
    vectors: str
    alpha: float | None
    seed: int

    @property
    def name(self) -> str:
        """The name of the run's folder, such as ``alpha20_given_seed0_joint``."""
        head = self.vectors if self.alpha is None else f"alpha{number(self.alpha)}_{self.vectors}"
        return f"{head}_seed{self.seed}_{self.model}"


def number(value: float) -> str:
    """A number as it stands in names and on command lines: ``20``, ``0.5``."""
    return f"{value:.12g}"


def plan_runs(
    config: str | os.PathLike[str],
    *,
    alphas: Sequence[float] = PAPER_ALPHAS,
    seeds: Sequence[int] = (0, 1, 2),
    modalities: Sequence[str] = (),
    vectors: Sequence[str] = ("baseline", "given"),
) -> list[Run]:
    """All runs, seed by seed, so that a sweep that is cut off has every setting with fewer seeds.

    Args:
        config: A config with the semantic branch, a file or the name of a shipped one. Its baseline is the file
            ``<name>_baseline.py`` beside it.
        alphas: Weights of the semantic loss; those of the paper's Table 2 by default.
        seeds: Seeds of the training.
        modalities: ``joint`` and ``limb``: the files beside the config that are called so where it is called by the
            other word. The config alone without it.
        vectors: Of ``KINDS``.

    Raises:
        InputError: A file is not there, a number is out of range, or nothing is left to run.
    """
    configs = _configs(Path(find_config(os.fspath(config))), modalities)
    _check(alphas, seeds, vectors)
    runs = []
    for seed in dict.fromkeys(seeds):
        for path in configs:
            for kind in sorted(set(vectors), key=KINDS.index):
                if kind == "baseline":
                    runs.append(Run(_baseline(path), path.stem, kind, None, seed))
                else:
                    runs += [Run(path, path.stem, kind, float(alpha), seed) for alpha in dict.fromkeys(alphas)]
    return runs


def take_shard(runs: Sequence[Run], shard: str) -> list[Run]:
    """Every n-th run from the i-th on, for ``"i/n"`` with i from 1 to n; all shards together are all runs, each once.

    Raises:
        InputError: The text is none of these.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise InputError(f"expected i/n with i from 1 to n, as 1/4, got {shard!r}", field="shard")
    return list(runs[part - 1 :: parts])


def run_options(run: Run, options: Sequence[str], vectors_file: str | None = None) -> list[str]:
    """The ``--cfg-options`` of a run: the user's, alpha, and the label vectors that were made for it.

    Args:
        run: The run.
        options: The user's, ``KEY=VALUE``. A baseline has no label vectors, so an option that names them is left out.
        vectors_file: Label vectors in the place of the config's.

    Raises:
        InputError: An option is none, or sets what the sweep sets.
    """
    for option in options:
        key, equals, _ = option.partition("=")
        if not equals or not key:
            raise InputError(f"expected KEY=VALUE, got {option!r}", field="--cfg-options")
        if key in _SWEPT:
            raise InputError(f"{key} is set by the sweep", field="--cfg-options", fix="Use --alpha, --seeds, --out.")
    if run.alpha is None:
        return [option for option in options if option.partition("=")[0] != _VECTORS_KEY]
    made = [] if vectors_file is None else [f"{_VECTORS_KEY}={vectors_file}"]
    return [*options, f"model.cls_head.alpha={number(run.alpha)}", *made]


def _configs(config: Path, modalities: Sequence[str]) -> list[Path]:
    if config.stem.endswith("_baseline"):
        raise InputError(
            "expected the config with the semantic branch, got a baseline",
            file=config,
            fix=f"Give {config.stem.removesuffix('_baseline')}.py; its baseline runs with it.",
        )
    first, *others = config.stem.split("_")
    if modalities and first not in _MODALITIES:
        raise InputError(
            "expected a config called joint or limb, beside which the other lies", file=config, field="--modality"
        )
    wanted = ["_".join([one, *others]) for one in dict.fromkeys(modalities)] or [config.stem]
    paths = [config.with_name(name + config.suffix) for name in wanted]
    for path in paths:
        if not path.is_file():
            raise InputError("there is no such config file", file=path, field="--modality")
    return paths


def _baseline(config: Path) -> Path:
    path = config.with_name(f"{config.stem}_baseline{config.suffix}")
    if not path.is_file():
        raise InputError(
            f"there is no such config file, which would be the baseline of {config.name}",
            file=path,
            fix="Write it, or leave baseline out of --vectors.",
        )
    return path


def _check(alphas: Sequence[float], seeds: Sequence[int], vectors: Sequence[str]) -> None:
    for kind in vectors:
        if kind not in KINDS:
            raise InputError(f"expected some of {', '.join(KINDS)}, got {kind!r}", field="vectors")
    for alpha in alphas:
        if not (math.isfinite(alpha) and alpha >= 0):
            raise InputError(f"expected numbers that are not negative, got {alpha}", field="alpha")
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise InputError(f"expected whole numbers from 0 to {2**32 - 1}, got {seed}", field="seeds")
    if not vectors or not seeds or (set(vectors) != {"baseline"} and not alphas):
        raise InputError("there is nothing to run: expected at least one of each of alpha, seeds and vectors")
