"""Which runs a sweep has, what each is called, and which of them a shard takes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.fields import read_fields
from pyskl_semloss.io.reading import did_you_mean, short_repr
from pyskl_semloss.io.resources import find_config
from pyskl_semloss.semantic.controls import CONTROLS
from pyskl_semloss.semantic.targets import TARGETS

PAPER_ALPHAS = (1.0, 10.0, 20.0, 30.0, 40.0, 50.0)
KINDS = ("baseline", "given", *CONTROLS)
"""What the label vectors of a run are; a baseline has none and no alpha."""

_MODALITIES = ("joint", "limb")
_SWEPT = ("model.cls_head.alpha", "randomness.seed", "work_dir")
_VECTORS_KEY = "model.cls_head.label_vectors"
_LOSS_KEY = "model.cls_head.loss"
_BRANCH_KEYS = (
    _VECTORS_KEY,
    _LOSS_KEY,
    *(f"model.cls_head.{name}" for name in ("branch", "temperature", "rescale", "seen_classes")),
)
"""Arguments of the semantic branch, which the head of a baseline refuses."""
_FIELDS = ("vectors", "alpha", "label_vectors", "transform", "loss", "options")


@dataclass(frozen=True)
class Setting:
    """Semantic objective of some runs, which differ in the seed alone.

    Attributes:
        vectors: One of ``KINDS``.
        alpha: Weight of the semantic loss; None for a baseline.
        name: Name in a file of settings; empty where alpha and kind say all.
        label_vectors: File in place of the config's; a name without a folder lies beside the config's.
        transform: Of :data:`pyskl_semloss.semantic.targets.TARGETS`, in order, before a control is drawn.
        options: Further ``--cfg-options``, by key.
    """

    vectors: str
    alpha: float | None
    name: str = ""
    label_vectors: str | None = None
    transform: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """Its name, or one such as ``alpha20_given``."""
        return setting_label(self.name, self.vectors, self.alpha)


@dataclass(frozen=True)
class Run:
    """One training and its test.

    Attributes:
        config: The config file that is trained; for a baseline the one without the semantic branch.
        model: Name of the config with the branch, such as ``joint``: what the table compares within.
        setting: Semantic objective.
        seed: Of the training, and of the label vectors where they are drawn.
    """

    config: Path
    model: str
    setting: Setting
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folder, such as ``alpha20_given_seed0_joint``."""
        return f"{self.setting.label}_seed{self.seed}_{self.model}"


def setting_label(name: str, vectors: str, alpha: float | None) -> str:
    """Name of a setting, or one made of its alpha and its label vectors."""
    return name or (vectors if alpha is None else f"alpha{number(alpha)}_{vectors}")


def number(value: float) -> str:
    """Number as it stands in names and on command lines: ``20``, ``0.5``."""
    return f"{value:.12g}"


def plan_runs(
    config: str | os.PathLike[str],
    *,
    alphas: Sequence[float] = PAPER_ALPHAS,
    seeds: Sequence[int] = (0, 1, 2),
    modalities: Sequence[str] = (),
    vectors: Sequence[str] = ("baseline", "given"),
    settings: Sequence[Setting] = (),
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
        settings: In place of all combinations of alpha and label vectors.

    Raises:
        InputError: A file is not there, a number is out of range, or nothing is left to run.
    """
    configs = _configs(Path(find_config(os.fspath(config))), modalities)
    settings = settings or crossed_settings(alphas, vectors)
    check_seeds(seeds)
    runs = []
    for seed in dict.fromkeys(seeds):
        for path in configs:
            for setting in settings:
                trained = _baseline(path) if setting.vectors == "baseline" else path
                runs.append(Run(trained, path.stem, setting, seed))
    return runs


def crossed_settings(alphas: Sequence[float], vectors: Sequence[str]) -> list[Setting]:
    """Settings of all combinations of alpha and label vectors, baseline first.

    Raises:
        InputError: An alpha is negative, there is no such kind, or no combination.
    """
    for kind in vectors:
        if kind not in KINDS:
            raise InputError(f"expected some of {', '.join(KINDS)}, got {kind!r}", field="vectors")
    for alpha in alphas:
        _check_alpha(alpha)
    settings: list[Setting] = []
    for kind in sorted(set(vectors), key=KINDS.index):
        if kind == "baseline":
            settings.append(Setting(kind, None))
        else:
            settings += [Setting(kind, float(alpha)) for alpha in dict.fromkeys(alphas)]
    if not settings:
        raise InputError("there is nothing to run: expected at least one of each of alpha and vectors")
    return settings


def read_settings(path: str | os.PathLike[str]) -> list[Setting]:
    """Settings of a YAML or JSON file, in its order.

    Each name has the fields ``vectors`` (one of ``KINDS``, ``given`` without it), ``alpha``, ``label_vectors``,
    ``transform`` (a list), ``loss`` and ``options`` (a mapping of ``--cfg-options``). All but ``vectors`` belong to the
    semantic branch, which a baseline has not.

    Raises:
        InputError: The file cannot be read, or a field is wrong; names both.
    """
    content = read_fields(path, "sweep", f"a name for each setting, and below it some of {', '.join(_FIELDS)}")
    if not content:
        raise InputError("there is no setting in it", file=path)
    try:
        return [_setting(name, row) for name, row in content.items()]
    except InputError as error:
        raise error.located(file=path) from None


def _setting(name: str, row: Any) -> Setting:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", name):
        raise InputError(f"expected a name of letters, digits and _.-, got {short_repr(name)}", field="name")
    if not isinstance(row, Mapping):
        raise InputError(f"expected fields, got {short_repr(row)}", field=name)
    unknown = [str(key) for key in row if key not in _FIELDS]
    if unknown:
        problem = f"there is no field {unknown[0]!r}{did_you_mean(unknown[0], _FIELDS)}"
        raise InputError(problem, field=name, fix=f"There are {', '.join(_FIELDS)}.")
    vectors = row.get("vectors", "given")
    if vectors not in KINDS:
        raise InputError(f"expected one of {', '.join(KINDS)}, got {short_repr(vectors)}", field=f"{name}.vectors")
    options = _options(name, row)
    if vectors == "baseline":
        branch = [key for key in row if key not in ("vectors", "options")]
        if branch:
            raise InputError(f"a baseline has no semantic branch, so no {branch[0]}", field=name)
        return Setting(vectors, None, name, options=options)
    alpha = row.get("alpha")
    if not isinstance(alpha, (int, float)) or isinstance(alpha, bool):
        raise InputError(f"expected a number, got {short_repr(alpha)}", field=f"{name}.alpha")
    _check_alpha(alpha, f"{name}.alpha")
    file = row.get("label_vectors")
    if not (file is None or isinstance(file, str) and file):
        raise InputError(f"expected the name of a file, got {short_repr(file)}", field=f"{name}.label_vectors")
    return Setting(vectors, float(alpha), name, file, _transforms(name, row.get("transform", [])), options)


def _transforms(name: str, names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(each, str) and each in TARGETS for each in names):
        problem = f"expected a list of {', '.join(TARGETS)}, got {short_repr(names)}"
        raise InputError(problem, field=f"{name}.transform")
    return tuple(names)


def _options(name: str, row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    options = row.get("options", {})
    if not isinstance(options, Mapping):
        raise InputError(f"expected {{KEY: VALUE}}, got {short_repr(options)}", field=f"{name}.options")
    if "loss" in row and _LOSS_KEY in options:
        raise InputError(f"loss and {_LOSS_KEY} say the same", field=name, fix="Leave one of them out.")
    if "loss" in row:
        options = {_LOSS_KEY: row["loss"], **options}
    for key, value in options.items():
        if not isinstance(key, str) or type(value) not in (str, int, float, bool):
            problem = f"expected text or a number for each key, got {short_repr({key: value})}"
            raise InputError(problem, field=f"{name}.options")
        if key in (*_SWEPT, _VECTORS_KEY):
            raise InputError(f"{key} is set by the sweep", field=f"{name}.options", fix="Use alpha, label_vectors.")
    return tuple((key, str(value)) for key, value in options.items())


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
    """``--cfg-options`` of a run: the user's, the setting's, alpha, and the label vectors that were made for it.

    ``{seed}`` in them stays; :func:`fill_seed` fills it in.

    Args:
        run: The run.
        options: The user's, ``KEY=VALUE``. A baseline has no semantic branch, so its options are left out.
        vectors_file: Label vectors in the place of the config's.

    Raises:
        InputError: An option is none, or sets what the sweep sets.
    """
    for option in options:
        key, equals, _ = option.partition("=")
        if not equals or not key:
            raise InputError(f"expected KEY=VALUE, got {option!r}", field="--cfg-options")
        if key in _SWEPT:
            fix = "Use the options for alpha, seed and --out."
            raise InputError(f"{key} is set by the sweep", field="--cfg-options", fix=fix)
    own = [f"{key}={value}" for key, value in run.setting.options]
    if run.setting.alpha is None:
        return [*(option for option in options if option.partition("=")[0] not in _BRANCH_KEYS), *own]
    vectors = [] if vectors_file is None else [f"{_VECTORS_KEY}={vectors_file}"]
    return [*options, *own, f"model.cls_head.alpha={number(run.setting.alpha)}", *vectors]


def fill_seed(text: str, run: Run) -> str:
    """Text with the run's seed for ``{seed}``, as in the name of a split that is drawn for each seed."""
    return text.replace("{seed}", str(run.seed))


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
    wanted = ["_".join([modality, *others]) for modality in dict.fromkeys(modalities)] or [config.stem]
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


def _check_alpha(alpha: float, field: str = "alpha") -> None:
    if not (math.isfinite(alpha) and alpha >= 0):
        raise InputError(f"expected numbers that are not negative, got {alpha}", field=field)


def check_seeds(seeds: Sequence[int]) -> None:
    """Check that there are seeds, each from 0 to 2**32 - 1.

    Raises:
        InputError: One is out of range, or there is none.
    """
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise InputError(f"expected whole numbers from 0 to {2**32 - 1}, got {seed}", field="seeds")
    if not seeds:
        raise InputError("there is nothing to run: expected at least one seed", field="seeds")
