"""The paper's comparison of methods: which configs it has, its published figures, and the table of our runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.io.records import read_record, write_record
from pyskl_semloss.io.resources import find_config
from pyskl_semloss.io.results import result_file
from pyskl_semloss.keypoint_ops.features import STREAMS
from pyskl_semloss.sweep.plan import Run, Setting, check_seeds
from pyskl_semloss.sweep.settings import SETTINGS_FILE, Describer, advice
from pyskl_semloss.sweep.table import METRICS, Row, collect, mean_and_deviation, rows

RELEASE_LAYOUT = "release22_with_mistakes"
INPUTS = (*STREAMS, "limb")
"""What a model takes: a stream of a graph network, or the joint or limb maps of PoseC3D."""


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: As in the paper.
        config: Config of each input; that of a graph network serves every stream.
        published: Data set -> Top-1 and Top-5 on joints, percent, each of a single run.
    """

    name: str
    config: Mapping[str, str]
    published: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_graph_network(self) -> bool:
        """Whether the config has a ``stream``."""
        return "bone" in self.config


def _graph(name: str, config: str, imigue: tuple[float, float], smg: tuple[float, float]) -> Method:
    return Method(name, dict.fromkeys(STREAMS, config), {"imigue": imigue, "smg": smg})


METHODS = {
    "stgcn": _graph("ST-GCN", "stgcn", (46.38, 85.47), (58.03, 93.61)),
    "stgcnpp": _graph("ST-GCN++", "stgcnpp", (49.56, 85.09), (58.03, 93.61)),
    "stgcnpp_strongaug": _graph("StrongAug", "stgcnpp_strongaug", (53.13, 87.00), (62.79, 92.62)),
    "aagcn": _graph("AAGCN", "aagcn", (54.73, 84.59), (60.49, 91.64)),
    "ctrgcn": _graph("CTR-GCN", "ctrgcn", (53.02, 86.19), (60.98, 90.82)),
    "dgstgcn": _graph("DG-STGCN", "dgstgcn", (49.56, 85.09), (65.57, 90.82)),
    "posec3d": Method(
        "PoseC3D",
        {"joint": "joint_baseline", "limb": "limb_baseline"},
        {"imigue": (59.54, 89.59), "smg": (63.44, 88.20)},
    ),
    "semantic": Method(
        "PoseC3D with the semantic loss",
        {"joint": "joint", "limb": "limb"},
        {"imigue": (62.28, 90.62), "smg": (66.07, 91.80)},
    ),
}
"""Methods of the paper's Table 3, by the name on the command line."""
_NOTES = (
    "Percent, mean ± standard deviation (n - 1) over the seeds, on the split that the configs test on. Published: the "
    "paper's Table 3, joints, a single run each. Two pairs of its cells are equal to the last digit, ST-GCN and "
    "ST-GCN++ on SMG, ST-GCN++ and DG-STGCN on iMiGUE, and were probably copied. Its graph networks on iMiGUE had a "
    "graph with an isolated nose; rows with 'published graph' have it, too."
)


def plan_methods(
    folder: str,
    *,
    methods: Sequence[str] = (),
    inputs: Sequence[str] = ("joint",),
    seeds: Sequence[int] = (0,),
    release_graph: bool = False,
) -> list[Run]:
    """Runs of the table, seed by seed; a method without an input has no run on it.

    Args:
        folder: Folder of configs, or the name of a shipped one, such as ``imigue``.
        methods: Of ``METHODS``; all of them by default.
        inputs: Of ``INPUTS``.
        seeds: Seeds of the training.
        release_graph: Train the graph networks on the published graph with an isolated nose.

    Raises:
        InputError: There is no such method, input or config, or nothing is left to run.
    """
    for name, known, what in (*((n, METHODS, "method") for n in methods), *((n, INPUTS, "input") for n in inputs)):
        if name not in known:
            problem = f"there is no {what} {name!r}{did_you_mean(name, list(known))}"
            raise InputError(problem, field=f"--{what}s", fix=f"There are {', '.join(known)}.")
    check_seeds(seeds)
    runs = []
    for seed in dict.fromkeys(seeds):
        for key in dict.fromkeys(methods or METHODS):
            method = METHODS[key]
            if release_graph and not method.is_graph_network:
                continue
            options = _release_options() if release_graph else ()
            for name in dict.fromkeys(inputs):
                if name not in method.config:
                    continue
                stream = (("stream", name),) if method.is_graph_network else ()
                config = Path(find_config(f"{folder}/{method.config[name]}.py"))
                model = f"{key}_published_graph" if release_graph else key
                runs.append(Run(config, model, Setting("baseline", None, name, options=(*stream, *options)), seed))
    if not runs:
        raise InputError("there is nothing to run: no such method takes such an input", field="--methods, --inputs")
    return runs


def _release_options() -> tuple[tuple[str, str], ...]:
    loaders = [f"{use}_dataloader.dataset.skeleton" for use in ("train", "val", "test")]
    return tuple((key, RELEASE_LAYOUT) for key in ("model.data_preprocessor.skeleton", *loaders))


class MethodDescriber(Describer):
    """Settings of the table's runs: each method trains for epochs of its own, and graph networks by their stream."""

    def describe(self, run: Run) -> dict[str, Any]:
        """Settings that the run's numbers depend on, as JSON."""
        settings = super().describe(run)
        content = {**settings["config"], "epochs": settings["epochs"], "stream": run.setting.name}
        head = (self._config(run).get("model") or {}).get("cls_head") or {}
        if isinstance(given := head.get("label_vectors"), str):
            content["alpha"] = head.get("alpha")
            content["label_vectors"] = self._hash(given, run, "model.cls_head.label_vectors")
        return {**settings, "epochs": None, "config": content}


def write_methods(out: Path, data: str) -> list[Path]:
    """Write ``table.md`` and ``table.json`` of the finished runs.

    Args:
        out: The folder of the runs.
        data: Name of the data set, whose published figures stand beside ours.

    Returns:
        The files written.

    Raises:
        InputError: There is no finished run.
    """
    results = collect(out)
    if not results:
        raise InputError("there is no finished run in it", file=out)
    keys = list(METHODS)
    table = sorted(rows(results), key=lambda row: (_place(row.model, keys), INPUTS.index(_input(row.setting))))
    # The runs of a row differ in the seed alone, and a checkpoint is read for each that is looked at.
    last = {(run["model"], run["setting"]): run for run in results}
    facts = {key: _facts(out / run["name"], run) for key, run in last.items()}
    lines = [
        "| method | input | n | Top-1 | Top-5 | mean-class | epochs | frames | weights | published Top-1 / Top-5 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        fact = facts[row.model, row.setting]
        cells = [_title(row.model), row.setting, str(len(row.seeds))]
        cells += [mean_and_deviation(row, metric) for metric in ("top1", "top5", "mean_class")]
        cells += [str(fact[key] or "-") for key in ("epochs", "frames")]
        cells += [f"{fact['weights'] / 1e6:.2f} M" if fact["weights"] else "-", _published(row, data)]
        lines.append(f"| {' | '.join(cells)} |")
    with result_file(out / "table.md", "w", encoding="utf-8") as stream:
        stream.write("\n".join([*lines, "", _NOTES]) + "\n")
    content = [
        {"model": row.model, "input": row.setting, "seeds": list(row.seeds), **facts[row.model, row.setting],
         "metrics": {metric: list(row.values[metric]) for metric in METRICS if metric in row.values},
         "published": METHODS[_key(row.model)].published.get(data) if row.setting == "joint" else None}
        for row in table
    ]  # fmt: skip
    write_record(out / "table.json", {"data": data, "note": _NOTES, "rows": content})
    return [out / "table.md", out / "table.json"]


def _facts(folder: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    """Epochs, frames of a view and number of trained weights of a run, None where they are not known."""
    config = (read_record(folder / SETTINGS_FILE, advice(folder)) or {}).get("config") or {}
    steps = ((config.get("test_dataloader") or {}).get("dataset") or {}).get("pipeline") or []
    frames = next((step.get("clip_len") for step in steps if step.get("type") == "SampleKeypointFrames"), None)
    return {"epochs": config.get("epochs"), "frames": frames, "weights": _weights(folder / str(run.get("checkpoint")))}


def _weights(checkpoint: Path) -> int | None:
    from pyskl_semloss.hosts.checkpoints import read_state_dict

    if not checkpoint.is_file():
        return None
    try:
        state = read_state_dict(checkpoint)
    except InputError as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    counted = (".running_mean", ".running_var", ".num_batches_tracked", ".label_vectors")
    return sum(value.numel() for name, value in state.items() if not name.endswith(counted) and name != "backbone.A")


def _key(model: str) -> str:
    return model.removesuffix("_published_graph")


def _place(model: str, keys: Sequence[str]) -> tuple[int, str]:
    return (keys.index(_key(model)) if _key(model) in keys else len(keys), model)


def _input(setting: str) -> str:
    return setting if setting in INPUTS else INPUTS[-1]


def _title(model: str) -> str:
    method = METHODS.get(_key(model))
    name = model if method is None else method.name
    return f"{name}, published graph" if model != _key(model) else name


def _published(row: Row, data: str) -> str:
    figures = METHODS[_key(row.model)].published.get(data) if _key(row.model) in METHODS else None
    return "-" if figures is None or row.setting != "joint" else f"{figures[0]:.2f} / {figures[1]:.2f}"
