"""One run of the benchmark: the parts that were asked for, for each modality, as one dictionary."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cost import StepCost
from machine import header
from scaling import loading, scaling
from sides import SIDES, Setup
from targets import targets
from turns import Child, compare, take_turns

from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.synthetic.clips import CLASS_NAMES, generate

# The sides live in new processes for each group: what was compiled, or is kept in memory, stays out of the next.
_GROUPS = (
    ("heatmaps", "train_sample", "test_sample", "bytes"),
    ("train_step", "losses", "epoch", "floor"),
    ("inference",),
)
PARTS = (*_GROUPS[0], *_GROUPS[1], *_GROUPS[2], "memory", "scaling")


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        configs: Our config file of each modality.
        command: The command line, for the report.
        parts: Some of ``PARTS``.
        device: ``"cpu"`` or ``"cuda"``.
        batch: Clips of a training step.
        workers: Processes of a loader.
        rounds: Turns of each side.
        views: Views of a test clip.
        threads: Threads of torch; None leaves its default.
        quick: A few repetitions, for a small model.
    """

    configs: Mapping[str, str]
    command: str
    parts: Sequence[str] = PARTS
    device: str = "cpu"
    batch: int = 4
    workers: int = 2
    rounds: int = 5
    views: int = 20
    threads: int | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown:
            raise InputError(f"expected some of {', '.join(PARTS)}, got {', '.join(unknown)}", field="--parts")
        # Batch norm cannot take statistics of too few clips, and rates need a turn.
        for name, least in (("batch", 1), ("workers", 0), ("rounds", 1), ("views", 1)):
            if getattr(self, name) < least:
                raise InputError(f"expected at least {least}, got {getattr(self, name)}", field=f"--{name}")

    @property
    def loss_steps(self) -> int:
        """Steps over which the losses are compared."""
        return 3 if self.quick else 20

    def repeats(self) -> dict[str, dict[str, Any]]:
        """How much of each measure makes a turn."""
        cuda = self.device == "cuda"
        return {
            "train_step": dict(steps=20 if cuda else 2, warm_up=3 if cuda else 1),
            "inference": dict(steps=20 if cuda else 1, warm_up=3 if cuda else 1),
            "epoch": dict(seconds=20.0) if cuda else dict(clips=self.batch if self.quick else 24),
            "train_sample": dict(clips=max(8, self.batch)),
            "test_sample": dict(clips=4),
        }


def run(
    plan: Plan,
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[dict[str, Any]], object] = lambda result: None,
) -> dict[str, Any]:
    """Measure every part of a plan.

    Args:
        plan: What to measure.
        say: Told what is being measured.
        keep: Given what is there after each part, so that a run that is cut short leaves something.

    Returns:
        What ``table.markdown`` prints and ``table.write`` stores: ``header``, ``settings``, ``sides``, the list
        ``parts`` of compared times, ``losses``, ``memory``, ``rendering``, ``floor``, ``scaling``, ``loading`` and
        ``targets``.

    Raises:
        InputError: The device is not there, or a config or a part of the plan is wrong.
    """
    import torch

    if plan.device == "cuda" and not torch.cuda.is_available():
        raise InputError("expected a GPU, but torch sees none", field="--device", fix="Use --device cpu.")
    result: dict[str, Any] = {"header": header(plan.command, plan.device), "settings": _settings(plan)}
    result.update(
        {key: [] for key in ("parts", "losses", "memory", "rendering", "floor", "scaling", "loading", "targets")}
    )
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        for modality, config in plan.configs.items():
            setups = _setups(plan, modality, config, Path(folder))
            for group in [PARTS[:-2]] if plan.quick else _GROUPS:
                _group(plan, modality, setups, [part for part in group if part in plan.parts], result, say, keep)
            _memory(plan, modality, setups, result, say)
            keep(result)
        first, setup = next(iter(plan.configs)), setups["fast"]
        if "scaling" in plan.parts:
            setup = dataclasses.replace(setup, config=plan.configs[first])
            result["scaling"] = scaling(setup, plan.quick, say)
            result["loading"] = loading(setup, plan.quick, say)
    result["targets"] = [] if plan.quick else targets(result)
    keep(result)
    return result


def _settings(plan: Plan) -> dict[str, Any]:
    names = ("device", "batch", "workers", "rounds", "views", "quick")
    return {name: getattr(plan, name) for name in names} | {
        "configs": {k: Path(v).name for k, v in plan.configs.items()}
    }


def _setups(plan: Plan, modality: str, config: str, folder: Path) -> dict[str, Setup]:
    """Write the clips and the label vectors that all sides read, the same for each modality."""
    clips, vectors = folder / "clips.pkl", folder / "vectors.npy"
    if not clips.is_file():
        made = generate(512 if plan.device == "cuda" else 64, seed=0).clips
        ids = [clip.frame_dir for clip in made]
        # In an order that does not follow the classes.
        np.random.default_rng(0).shuffle(made)  # type: ignore[arg-type]
        write_annotations(clips, AnnotationSet({"train": ids, "test": ids}, made))
        np.save(vectors, np.random.default_rng(0).normal(0, 0.3, (len(CLASS_NAMES), 300)).astype(np.float32))
    common = Setup(
        "", config, str(clips), str(vectors), str(folder / f"{modality}.pth"), plan.device, plan.batch, plan.workers,
        plan.views, plan.threads,
    )  # fmt: skip
    return {side: dataclasses.replace(common, side=side) for side in SIDES}


class _Children:
    """Sides that live for some parts, and end with them."""

    def __init__(self, setups: Mapping[str, Setup], sides: Iterable[str], result: dict[str, Any]) -> None:
        self.found = result
        self.children = {side: Child(setups[side]) for side in sides}

    def __enter__(self) -> dict[str, Child]:
        # Each has imported what it needs before the first clock starts; the host comes first and draws the weights.
        about = {side: child.ask("about") for side, child in self.children.items()}
        self.found["sides"] = {**self.found.get("sides", {}), **about}
        return self.children

    def __exit__(self, *error: object) -> None:
        for child in self.children.values():
            child.close()


def _sides(part: str, device: str) -> tuple[str, ...]:
    """Fast differs in what the GPU draws, and in the model; a pipeline is the same on both of our sides."""
    if part in ("heatmaps", "bytes") or (part.endswith("_sample") and device == "cpu"):
        return SIDES[:2]
    return SIDES


def _group(
    plan: Plan,
    modality: str,
    setups: Mapping[str, Setup],
    parts: Sequence[str],
    result: dict[str, Any],
    say: Callable[[str], None],
    keep: Callable[[dict[str, Any]], object],
) -> None:
    needed = {side for part in parts for side in _sides(part, plan.device)}
    if not parts:
        return
    with _Children(setups, [side for side in SIDES if side in needed], result) as children:
        for part in parts:
            say(f"{modality}: {part}")
            if part == "losses":
                result["losses"].append(_losses(children, modality, plan.loss_steps))
            elif part == "floor":
                result["floor"].append(_floor(children["ours"].ask("cost"), modality))
            else:
                sides = {side: children[side] for side in _sides(part, plan.device)}
                command = "bytes_of_clip" if part == "bytes" else part
                rounds = {"bytes": 1, "epoch": min(plan.rounds, 3)}.get(part, plan.rounds)
                warm_up = dict(seconds=2.0 if plan.device == "cuda" else 0.0, clips=1) if part == "epoch" else {}
                times = take_turns(sides, command, rounds, plan.repeats().get(part, {}), warm_up)
                result["parts"].append({"part": part, "modality": modality, **compare(times)})
            if part == "train_step":
                result["rendering"].append(_rendering(plan, modality, children, result["parts"][-1]["spread"]))
            keep(result)


def _losses(children: Mapping[str, Child], modality: str, steps: int) -> dict[str, Any]:
    found = {side: child.ask("losses", steps=steps) for side, child in children.items()}
    host = np.asarray(found["host"])
    differences = {side: float(np.abs(np.asarray(found[side]) - host).max()) for side in found if side != "host"}
    return {"modality": modality, "steps": steps, "loss_cls": found, "largest_difference": differences}


def _rendering(
    plan: Plan, modality: str, children: Mapping[str, Child], step: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Rendering, alone and with the transfer to the device, as a part of the step of the same side."""
    steps = plan.repeats()["train_step"]["steps"]
    found: dict[str, Any] = {"modality": modality}
    for name, transfer in (("share", False), ("share_with_transfer", True)):
        found[name] = {}
        for side in ("ours", "fast"):
            taken = [children[side].ask("rendering", steps=steps, transfer=transfer) for _ in range(plan.rounds)]
            found[name][side] = float(np.median(taken)) / step[side]["median"]
    return found


def _floor(found: dict[str, Any], modality: str) -> dict[str, Any]:
    """Add the seconds below which a clip of a step cannot be."""
    clips = found["shape"][0]
    for name, cost in found["cost"].items():
        flops = found["peaks"].get(name.partition(",")[0])
        if flops is not None:
            cost["floor_seconds_of_clip"] = StepCost(**cost).floor(flops, found["peaks"]["bytes"]) / clips
    return {"modality": modality, **found}


def _memory(
    plan: Plan, modality: str, setups: Mapping[str, Setup], result: dict[str, Any], say: Callable[[str], None]
) -> None:
    """Each peak in a fresh process."""
    if "memory" not in plan.parts:
        return
    for what, views in (("train_step", plan.views), ("inference", 1), ("inference", plan.views)):
        row: dict[str, Any] = {"modality": modality, "what": what, "views": views if what == "inference" else None}
        say(f"{modality}: memory of {what}" + (f", {views} views" if what == "inference" else ""))
        for side, setup in setups.items():
            with Child(dataclasses.replace(setup, views=views)) as child:
                row[side] = child.ask("memory", what=what)
        result["memory"].append(row)
