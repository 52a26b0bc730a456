"""Run everything from a downloaded data set to the submission.

Data, label vectors, training, tests, and the 2 : 3 fusion of joint and limb.

semloss reproduce imigue SRC [OPTIONS] [-- OPTIONS OF semloss train]
semloss reproduce smg SRC [OPTIONS] [-- OPTIONS OF semloss train]

SRC is the folder of the raw CSV files, or that of the challenge kit's arrays (it has train_data.npy). The same command
again continues where it stopped: a finished stage is skipped as long as its command and the content of its inputs are
the same. In a checkout, the script reproduce.sh first makes or reuses the environment .venv, unless PYTHON names
another interpreter.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pyskl_semloss.cli.commands import COMMANDS, Parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cli.stages import Runner, Stage, files_below, newest, shown
from pyskl_semloss.datasets import IMIGUE, SMG, RawFormat
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.files import acquire_lock
from pyskl_semloss.io.reading import did_you_mean
from pyskl_semloss.io.resources import resource_path

CHECKOUT = Path(__file__).resolve().parents[2]
MODALITIES = ("joint", "limb")
STAGES = 3 + 2 * len(MODALITIES)
_CPU = {"CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True)
class DataSet:
    """A raw data set and the particulars of its recipe.

    Args:
        raw: Its raw format.
        video: Pattern of the video names, for messages.
        paper: Whether the published release's variant is known.
        vector_options: Further options of ``semloss label-vectors``.
    """

    raw: RawFormat
    video: str
    paper: bool = False
    vector_options: tuple[str, ...] = ()


DATA_SETS = {
    "imigue": DataSet(IMIGUE, "ID", paper=True),
    # Every word of iMiGUE's names has a GloVe vector. SMG's have rare ones; what is left out is said, and in the file.
    "smg": DataSet(SMG, "SampleNNNN", vector_options=("--oov", "skip")),
}


@dataclass(frozen=True)
class Plan:
    """Checked arguments of a run; paths are relative to the current folder."""

    key: str
    source: str
    converter: str
    form: str
    gpus: int
    paper: str
    conversion: list[str]
    lists: list[str]
    vectors: str
    aliases: list[str]
    ids: str
    data: str
    work: str
    configs: str
    training: list[str]
    dry_run: bool

    @property
    def source_files(self) -> tuple[str, ...]:
        """Name patterns of the inputs; the source folder may also hold results."""
        if self.converter != self.key:
            return ("*_data.npy", "*_label.pkl")
        raw = DATA_SETS[self.key].raw
        return (f"*{raw.skeleton_suffix}", f"*{raw.label_suffix}")

    @property
    def annotations(self) -> str:
        """Annotation file; the paper's variant has a file of its own."""
        return f"{self.data}/annotations{'_padded90' if self.paper else ''}.pkl"

    @property
    def label_vectors(self) -> str:
        """File of label vectors, shared by both variants."""
        return f"{self.data}/label_vectors.npz"

    def config(self, modality: str) -> str:
        """Config of joint or limb."""
        return f"{self.configs}/{modality}{self.paper}.py"


def tool(name: str, *arguments: str) -> list[str]:
    """Command line of a tool: its script in a checkout, else ``python -m pyskl_semloss``."""
    script = f"tools/{name}.py"
    if (CHECKOUT / script).is_file():
        return [sys.executable, _shipped(script), *arguments]
    command = next(command for command, about in COMMANDS.items() if about.module == name)
    return [sys.executable, "-m", "pyskl_semloss", command, *arguments]


def _tool_on(gpus: int, name: str, *arguments: str) -> list[str]:
    """Command line of a tool that uses a model: one process, or one for each GPU."""
    alone = tool(name, *arguments)
    if gpus <= 1:
        return alone
    python, *rest = alone
    return [python, "-m", "torch.distributed.run", "--nproc_per_node", str(gpus), "--master_addr", "127.0.0.1",
            "--master_port", os.environ.get("PORT", "29500"), *rest, "--launcher", "pytorch"]  # fmt: skip


def _shipped(path: str) -> str:
    """Path of a file of the package; relative, if the current folder is the checkout."""
    if Path.cwd() == CHECKOUT:
        return path
    return str(CHECKOUT / path if (CHECKOUT / path).exists() else resource_path(path))


def recipe(plan: Plan) -> Iterator[Stage]:
    """Stages in order; run each before asking for the next.

    The stages of the tests name the checkpoints that the trainings wrote.
    """
    data, work = f"{plan.data}/stages", f"{plan.work}/stages"
    yield Stage(
        Path(plan.annotations).stem, f"annotations from {plan.form}",
        tool("prepare_data", plan.converter, plan.source, plan.annotations, *plan.conversion),
        plan.annotations, [plan.source, *plan.lists],
        f"{plan.converter} {plan.source} {' '.join(plan.conversion)}", data,
    )  # fmt: skip
    if plan.ids:
        # Checked now: a wrong list would otherwise be noticed only after training.
        yield Stage(
            "ids", "the official ids", tool("prepare_data", "ids", plan.annotations, plan.ids, "--split", "test")
        )
    labels = _shipped(f"data/{plan.key}_labels.txt")
    options = ["--labels", labels, "--vectors", plan.vectors, "--out", plan.label_vectors]
    yield Stage(
        "label_vectors", f"label vectors from {plan.vectors}",
        tool("build_label_vectors", *options, *plan.aliases, *DATA_SETS[plan.key].vector_options), plan.label_vectors,
        [labels, *([plan.vectors] if os.path.isfile(plan.vectors) else [])],
        f"{plan.vectors} {' '.join(plan.aliases)}", data,
    )  # fmt: skip
    files = [f"{name}_dataloader.dataset.ann_file={plan.annotations}" for name in ("train", "val", "test")]
    settings = ["--cfg-options", *files, f"model.cls_head.label_vectors={plan.label_vectors}"]
    needs = [plan.annotations, plan.label_vectors]
    common: dict[str, Any] = dict(marks=work, environment={} if plan.gpus else _CPU)
    for modality in MODALITIES:
        folder = f"{plan.work}/{modality}"
        command = _tool_on(plan.gpus, "train", plan.config(modality), "--work-dir", folder, "--resume", *settings,
                           *plan.training)  # fmt: skip
        yield Stage(
            f"train_{modality}", f"training {modality}", command, f"{folder}/last_checkpoint", needs,
            f"{_config_key(plan, modality)} {' '.join(plan.training)}", training=True, **common,
        )  # fmt: skip
    scores = []
    for modality in MODALITIES:
        folder = f"{plan.work}/{modality}"
        checkpoint = tested_checkpoint(plan, modality)
        scores.append(f"{folder}/test_scores.npz")
        command = _tool_on(plan.gpus, "test", plan.config(modality), checkpoint, "--work-dir", folder, "--out",
                           scores[-1], *settings)  # fmt: skip
        yield Stage(
            f"test_{modality}", f"testing {modality}", command, scores[-1], [*needs, checkpoint],
            f"{_config_key(plan, modality)} {os.path.basename(checkpoint)}", **common,
        )  # fmt: skip
    folder, ids = f"{plan.work}/fusion", [plan.ids] if plan.ids else []
    official = [word for path in ids for word in ("--ids", path)]
    yield Stage(
        "fusion", "fusion, joint : limb = 2 : 3, and submission",
        tool("fuse_scores", *scores, "--weights", "2", "3", "--out", f"{folder}/test_scores.npz", "--submission",
             f"{folder}/Submission.zip", *official),
        f"{folder}/Submission.zip", [*scores, *ids], f"2 3 {' '.join(official)}", work, log=f"{folder}/table.txt",
    )  # fmt: skip


def tested_checkpoint(plan: Plan, modality: str) -> str:
    """Last checkpoint of a training; for the paper the best on validation.

    The published release tested the best. In a dry run it is a shell command that prints the path.
    """
    folder = f"{plan.work}/{modality}"
    if plan.dry_run:
        command = f"cat {folder}/last_checkpoint"
        return f'"$({f"ls -t {folder}/best_acc_top1_epoch_*.pth | head -n 1" if plan.paper else command})"'
    best = newest(folder, "best_acc_top1_epoch_*.pth") if plan.paper else None
    return best or Path(folder, "last_checkpoint").read_text().strip()


def _config_key(plan: Plan, modality: str) -> str:
    """Name of a config with a hash over it and its bases; also for a user's own config."""
    known = Path(_shipped("configs/mmaction2"))
    below = [*sorted(known.glob("_base_/*.py")), *sorted(known.glob(f"{plan.key}/{modality}*.py"))]
    own = [Path(plan.configs, f"{name}.py") for name in ("joint", modality, f"{modality}{plan.paper}")]
    content = b"".join(path.read_bytes() for path in [*below, *own] if path.is_file())
    return f"{plan.config(modality)} {hashlib.sha256(content).hexdigest()}  -"


class _Parser(Parser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message, fix="--help lists the options.")


def parse_plan(arguments: Sequence[str]) -> Plan:
    """Plan of a command line.

    Raises:
        InputError: An option is wrong, or a file or folder does not exist.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add = parser.add_argument
    add("data", nargs="*", metavar="SET SRC", help=f"{' or '.join(DATA_SETS)}, and the folder of its files")
    add("--gpus", default="1", metavar="N", help="0: the CPU, for trying out; 1 (default); more: one process each")
    add("--paper", action="store_true",
        help="iMiGUE's kit as the 2023 release used it, mistakes included: padded clips, *_paper.py")  # fmt: skip
    add("--split-file", action="append", default=[], metavar="NAME=FILE", help="an official list; may be repeated")
    add("--subjects", metavar="FILE", help="CSV of video,subject: splits are made by subject")
    add("--labels-from", metavar="0|1", help="the number of the first class of a kit")
    add("--partial", action="store_true", help="for a part of the data set: unknown ids are noted, not refused")
    add("--vectors", default="glove-wiki-gigaword-300", metavar="SOURCE",
        help="word vectors: a file, a name of gensim's downloader (default: %(default)s), or hash")  # fmt: skip
    add("--alias", action="append", default=[], metavar="WORD=WORDS",
        help="words for a word without a vector; may be repeated")  # fmt: skip
    add("--ids", metavar="FILE", default="",
        help="the official test ids: checked before training; the submission is put into their order")  # fmt: skip
    add("--work-dir", metavar="DIR", help="keep everything there (default: data/SET for the data, work_dirs/SET)")
    add("--config-dir", metavar="DIR", help="other configs, joint.py and limb.py (default: configs/mmaction2/SET)")
    add("--dry-run", action="store_true", help="print every command and do nothing")
    # The script changes to the checkout; its user's paths begin elsewhere.
    add("--here", default=os.getcwd(), help=argparse.SUPPRESS)
    args, unknown = parser.parse_known_intermixed_args(arguments[:end])
    if unknown:
        parser.error(f"there is no option {unknown[0]}{parser.near_option(unknown[0])}")
    if len(args.data) != 2:
        parser.error(f"expected a data set and its folder, got {len(args.data)} arguments")
    return _checked(args, list(arguments[end + 1 :]))


def _checked(args: argparse.Namespace, training: list[str]) -> Plan:
    def from_here(path: str) -> str:
        return path if args.here == os.getcwd() else os.path.join(args.here, path)

    key, source = args.data[0], from_here(args.data[1].rstrip("/") or "/")
    if key not in DATA_SETS:
        raise InputError(f"expected {' or '.join(DATA_SETS)}, got {key}{did_you_mean(key, DATA_SETS)}")
    if not (args.gpus.isascii() and args.gpus.isdigit()):
        raise InputError(f"--gpus: expected a number, got {args.gpus}")
    if not os.path.isdir(source):
        raise InputError("there is no such folder", file=source)
    ends = [(item, item.find("=") + 1) for item in args.split_file]
    splits = [(item[:end], from_here(item[end:])) for item, end in ends]
    subjects = [from_here(args.subjects)] if args.subjects else []
    lists = [path for _, path in splits] + subjects
    ids = args.ids and from_here(args.ids)
    for path in [*lists, *([ids] if ids else [])]:
        if not os.path.isfile(path):
            raise InputError("there is no such file", file=path)
    converter, form = recognise(key, source)
    if args.paper and not (DATA_SETS[key].paper and converter != key):
        raise InputError("--paper needs iMiGUE's kit (train_data.npy), whose padding it repeats; "
                         f"in {source} are {form} of {key}")  # fmt: skip
    paper = "_paper" if args.paper else ""
    chosen = from_here(args.work_dir) if args.work_dir else ""
    plan = Plan(
        key, source, converter, form, int(args.gpus), paper,
        conversion=[
            *(["--keep-padding"] if paper else []),
            *(word for name, path in splits for word in ("--split-file", name + path)),
            *(word for path in subjects for word in ("--subjects", path)),
            *(["--labels-from", args.labels_from] if args.labels_from else []),
            *(["--partial"] if args.partial else []),
        ],
        lists=lists,
        vectors=from_here(args.vectors) if os.path.isfile(os.path.join(args.here, args.vectors)) else args.vectors,
        aliases=[word for alias in args.alias for word in ("--alias", alias)],
        ids=ids,
        data=chosen or f"data/{key}",
        work=chosen or f"work_dirs/{key}{paper}",
        configs=from_here(args.config_dir) if args.config_dir else _shipped(f"configs/mmaction2/{key}"),
        training=training,
        dry_run=args.dry_run,
    )  # fmt: skip
    for modality in MODALITIES:
        if not os.path.isfile(plan.config(modality)):
            raise InputError("there is no such config", file=plan.config(modality))
    return plan


def recognise(key: str, source: str) -> tuple[str, str]:
    """Converter for the files of a folder, and their form in words.

    Raises:
        InputError: The folder holds neither raw files nor the kit of the data set.
    """
    ours = DATA_SETS[key]
    if os.path.isfile(os.path.join(source, "train_data.npy")):
        return f"{key}-kit", "the challenge kit's arrays"
    if _has(source, ours):
        return key, "raw CSV files"
    for other in DATA_SETS.values():
        if _has(source, other):
            problem = f"these are {other.raw.name}'s raw files ({other.video}{other.raw.skeleton_suffix}), not {key}'s"
            raise InputError(problem, file=source)
    raw = f"{ours.video}/{ours.video}{ours.raw.skeleton_suffix}"
    raise InputError(f"expected {raw} (raw) or train_data.npy (kit); it has neither", file=source)


def _has(source: str, data_set: DataSet) -> bool:
    return next(files_below(source, [f"*{data_set.raw.skeleton_suffix}"], depth=4), None) is not None


def _check_gpus(gpus: int) -> None:
    """Count the GPUs in a process of its own, so that none is held while the stages run."""
    if gpus:
        count = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
        counted = subprocess.run(count, stdout=subprocess.PIPE, text=True)
        if counted.returncode:
            raise SystemExit(counted.returncode)
        if int(counted.stdout) < gpus:
            problem = f"--gpus {gpus}: torch sees {int(counted.stdout)} here"
            raise InputError(problem, fix="--gpus 0 uses the CPU, which is for trying out.")


@exit_on_error
def main() -> None:
    """Run the stages, or print them."""
    plan = parse_plan(sys.argv[1:])
    if not plan.dry_run:
        _check_gpus(plan.gpus)
    say(f"In {plan.source} are {plan.form} of {plan.key}.")
    if plan.dry_run:
        number = 0
        for stage in recipe(plan):
            number += bool(stage.makes)
            say(f"# Stage {number}/{STAGES}: {stage.title}" if stage.makes else f"# Check: {stage.title}")
            say(shown(stage))
        return
    os.makedirs(plan.work, exist_ok=True)
    with acquire_lock(plan.work, "works in") as lock:
        runner = Runner(plan.source_files, lock, STAGES)
        try:
            for stage in recipe(plan):
                runner.run(stage)
        except BaseException:
            if runner.number:
                where = f"stage {runner.number}/{STAGES} ({runner.title}) after {runner.elapsed}"
                say(f"Stopped in {where}. The same command goes on from there.", error=True)
            raise
        _say_results(plan, runner)


def _say_results(plan: Plan, runner: Runner) -> None:
    log = f"{plan.work}/fusion/table.txt"
    print(f"\n== Done ({runner.elapsed})")
    print(Path(log).read_text(encoding="utf-8"), end="")
    say(f"submission     {plan.work}/fusion/Submission.zip")
    say(f"table, scores  {log}, {plan.work}/{{joint,limb,fusion}}/test_scores.npz")
    say(f"checkpoints    {', '.join(tested_checkpoint(plan, modality) for modality in MODALITIES)}")
    say(f"data           {plan.annotations} (a summary beside it), {plan.label_vectors}")


if __name__ == "__main__":
    main()
