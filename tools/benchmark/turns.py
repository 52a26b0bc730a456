"""Run of a benchmark: sides in processes of their own take turns."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cost import StepCost
from measures import answer
from sides import SIDES, Setup
from table import header, targets

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
_LAYOUTS = {17: "coco17", 22: "openpose22", 25: "openpose25"}

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """Plan of a benchmark.

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

    def repeats(self, part: str) -> dict[str, Any]:
        """Repetitions of a measure in a turn."""
        cuda = self.device == "cuda"
        return {
            "train_step": dict(steps=20 if cuda else 2, warm_up=3 if cuda else 1),
            "inference": dict(steps=20 if cuda else 1, warm_up=3 if cuda else 1),
            "epoch": dict(seconds=20.0) if cuda else dict(clips=self.batch if self.quick else 24),
            "train_sample": dict(clips=max(8, self.batch)),
            "test_sample": dict(clips=4),
        }.get(part, {})

    def setups(self, modality: str, folder: Path) -> dict[str, Setup]:
        """Setups of the sides, with common clips and label vectors."""
        clips, vectors = folder / "clips.pkl", folder / "vectors.npy"
        if not clips.is_file():
            drawn = generate(512 if self.device == "cuda" else 64, seed=0).clips
            ids = [clip.frame_dir for clip in drawn]
            # In an order that does not follow the classes.
            np.random.default_rng(0).shuffle(drawn)  # type: ignore[arg-type]
            write_annotations(clips, AnnotationSet({"train": ids, "test": ids}, drawn))
            np.save(vectors, np.random.default_rng(0).normal(0, 0.3, (len(CLASS_NAMES), 300)).astype(np.float32))
        files = (self.configs[modality], str(clips), str(vectors), str(folder / f"{modality}.pth"))
        options = (self.device, self.batch, self.workers, self.views, self.threads)
        return {side: Setup(side, *files, *options) for side in SIDES}

    def axes(self) -> dict[str, tuple[int, ...]]:
        """Values of each axis of the scaling; the others stay at the training config's."""
        if self.quick:
            return {"frames": (8, 16), "size": (16, 32), "joints": (17, 22), "persons": (1, 2), "batch": (1, 2)}
        batch = (16, 32, 64, 128) if self.device == "cuda" else (1, 2, 4, 8)
        axes = {"frames": (24, 48, 96), "size": (28, 56, 112), "joints": (17, 22, 25), "persons": (1, 2, 4)}
        return {**axes, "batch": batch}


class Side:
    """A side in its own process.

    The allocator and numpy's names are settings of a whole process.

    Args:
        setup: The side.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        # Ctrl-C is heard by the parent, which ends the processes.
        options = dict(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), **options)
        # Several sides import what they need at the same time.
        self._pool.submit(answer, setup, "about", {})

    def ask(self, command: str, **arguments: Any) -> Any:
        """Result of a method of :class:`measures.Measures` in the process.

        Raises:
            RuntimeError: The process ended.
        """
        try:
            return self._pool.submit(answer, self.setup, command, arguments).result()
        except BrokenProcessPool:
            ended = f"the process of side {self.setup.side!r} ended in {command}"
            raise RuntimeError(f"{ended}, most often killed for want of memory") from None

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown()


def run(
    plan: Plan,
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[dict[str, Any]], object] = lambda result: None,
) -> dict[str, Any]:
    """Measure every part of a plan.

    Args:
        plan: The plan.
        say: Called with a line on the current measurement.
        keep: Called with the results after each part, so that an interrupted run leaves results.

    Returns:
        Results for ``table.markdown`` and ``table.write``: ``header``, ``settings``, ``sides``, the list
        ``parts`` of compared times, ``losses``, ``memory``, ``rendering``, ``floor``, ``scaling``, ``loading`` and
        ``targets``.

    Raises:
        InputError: The device is absent, or a config or a part of the plan is wrong.
    """
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise InputError("expected a GPU, but torch sees none", field="--device", fix="Use --device cpu.")
    names = ("device", "batch", "workers", "rounds", "views", "quick")
    settings = {name: getattr(plan, name) for name in names}
    settings["configs"] = {modality: Path(path).name for modality, path in plan.configs.items()}
    result: dict[str, Any] = {"header": header(plan.command, plan.device), "settings": settings, "sides": {}}
    lists = ("parts", "losses", "memory", "rendering", "floor", "scaling", "loading", "targets")
    result.update({name: [] for name in lists})
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        for modality in plan.configs:
            setups = plan.setups(modality, Path(folder))
            for group in [PARTS[:-2]] if plan.quick else _GROUPS:
                _measure(plan, modality, setups, [part for part in group if part in plan.parts], result, say, keep)
            if "memory" in plan.parts:
                result["memory"] += _memory(plan, modality, setups, say)
            keep(result)
        if "scaling" in plan.parts:
            setup = replace(setups["fast"], config=next(iter(plan.configs.values())))
            result["scaling"] = _scaling(plan, setup, say)
            result["loading"] = _loading(plan, setup, say)
    result["targets"] = [] if plan.quick else targets(result)
    keep(result)
    return result


def _sides(part: str, device: str) -> tuple[str, ...]:
    """Sides of a part; those of ours that do the same are measured once."""
    if part in ("heatmaps", "bytes") or (part.endswith("_sample") and device == "cpu"):
        return SIDES[:2]
    return SIDES


def _measure(
    plan: Plan,
    modality: str,
    setups: Mapping[str, Setup],
    parts: Sequence[str],
    result: dict[str, Any],
    say: Callable[[str], None],
    keep: Callable[[dict[str, Any]], object],
) -> None:
    """Measure the parts of a group, one after the other."""
    needed = {side for part in parts for side in _sides(part, plan.device)}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(setups[name])) for name in SIDES if name in needed}
        # Each has imported what it needs before the first clock starts; the host comes first and draws the weights.
        result["sides"].update({name: side.ask("about") for name, side in sides.items()})
        for part in parts:
            say(f"{modality}: {part}")
            if part == "losses":
                result["losses"].append({"modality": modality, **_losses(sides, 3 if plan.quick else 20)})
            elif part == "floor":
                result["floor"].append({"modality": modality, **_floor(sides["ours"].ask("cost"))})
            else:
                some = {name: sides[name] for name in _sides(part, plan.device)}
                times = _take_turns(plan, some, part)
                result["parts"].append({"part": part, "modality": modality, **compare(times)})
            if part == "train_step":
                steps = result["parts"][-1]["spread"]
                result["rendering"].append({"modality": modality, **_rendering(plan, sides, steps)})
            keep(result)


def _take_turns(plan: Plan, sides: Mapping[str, Side], part: str) -> Times:
    """Times of each side in turns, A B C A B C; the first round is dropped."""
    command = "bytes_of_clip" if part == "bytes" else part
    rounds = {"bytes": 1, "epoch": min(plan.rounds, 3)}.get(part, plan.rounds)
    arguments = plan.repeats(part)
    warm_up = dict(seconds=2.0 if plan.device == "cuda" else 0.0, clips=1) if part == "epoch" else {}
    for side in sides.values():
        side.ask(command, **{**arguments, **warm_up})
    turns = [{name: side.ask(command, **arguments) for name, side in sides.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in sides}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, and the 10 % and 90 % points."""
    low, median, high = np.percentile(np.asarray(values, dtype=float), [10, 50, 90])
    return {"median": float(median), "p10": float(low), "p90": float(high)}


def compare(times: Times) -> dict[str, Any]:
    """Spread of each side's times, and of host / side by turns."""
    ratios = {}
    for side in [name for name in times if name != "host"]:
        quotients = np.divide(times["host"], times[side])
        ratios[side] = {**spread(quotients), "turns": quotients.tolist()}
    return {"times": times, "spread": {side: spread(values) for side, values in times.items()}, "ratios": ratios}


def _losses(sides: Mapping[str, Side], steps: int) -> dict[str, Any]:
    losses = {name: side.ask("losses", steps=steps) for name, side in sides.items()}
    differences = {
        name: float(np.abs(np.subtract(losses[name], losses["host"])).max()) for name in losses if name != "host"
    }
    return {"steps": steps, "loss_cls": losses, "largest_difference": differences}


def _rendering(plan: Plan, sides: Mapping[str, Side], step: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Rendering, alone and with transfer, as a share of the side's step."""
    steps = plan.repeats("train_step")["steps"]
    shares: dict[str, Any] = {"share": {}, "share_with_transfer": {}}
    for name, share in shares.items():
        for side in SIDES[1:]:
            options = dict(steps=steps, transfer=name != "share")
            taken = [sides[side].ask("rendering", **options) for _ in range(plan.rounds)]
            share[side] = float(np.median(taken)) / step[side]["median"]
    return shares


def _floor(counted: dict[str, Any]) -> dict[str, Any]:
    """Add the lower bound of seconds per clip of a step."""
    for name, cost in counted["cost"].items():
        flops = counted["peaks"].get(name.partition(",")[0])
        if flops is not None:
            floor = StepCost(**cost).floor(flops, counted["peaks"]["bytes"])
            cost["floor_seconds_of_clip"] = floor / counted["shape"][0]
    return counted


def _memory(plan: Plan, modality: str, setups: Mapping[str, Setup], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Peak memory of each step, each in a new process."""
    rows = []
    for work, views in (("train_step", None), ("inference", 1), ("inference", plan.views)):
        row: dict[str, Any] = {"modality": modality, "what": work, "views": views}
        say(f"{modality}: memory of {work}" + (f", {views} views" if views else ""))
        for name, setup in setups.items():
            with Side(replace(setup, views=views or plan.views)) as side:
                row[name] = side.ask("memory", step=work)
        rows.append(row)
    return rows


def _scaling(plan: Plan, setup: Setup, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Rendering, training step and memory at each point of each axis, in new processes."""
    base = {"frames": 16 if plan.quick else 48, "size": 32 if plan.quick else 56, "joints": 22, "persons": 1}
    rows = []
    for axis, values in plan.axes().items():
        for value in values:
            say(f"scaling: {axis} {value}")
            point = {**base, "batch": setup.batch, axis: value}
            skeleton = _LAYOUTS[point.pop("joints")]
            with Side(replace(setup, batch=point["batch"])) as side:
                row = side.ask("point", steps=10 if plan.device == "cuda" else 1, skeleton=skeleton, **point)
            rows.append({"axis": axis, "value": value, **row})
    return rows


def _loading(plan: Plan, setup: Setup, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """The loader alone by its number of workers."""
    rows = []
    with Side(setup) as side:
        for count in (0, 1) if plan.quick else (0, 4, 16) if plan.device == "cuda" else (0, 1, 2, 4):
            say(f"scaling: {count} workers")
            rows.append({"workers": count, **side.ask("loading", workers=count, clips=32 if plan.quick else 4096)})
    return rows
