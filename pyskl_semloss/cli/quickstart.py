"""Run the whole recipe on synthetic clips: data, training, test, fusion, report.

    semloss quickstart            about 8 minutes on two CPU cores; results below quickstart/
    semloss quickstart FOLDER     the same below FOLDER
    semloss quickstart --short    a tenth of the data for one epoch: shows that all runs, learns nothing

Every step is a command of semloss in a process of its own. The label vectors are made of the GloVe vectors of the words
in iMiGUE's class names, as in the paper; they come with the package.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pyskl_semloss.cli.commands import argument_parser
from pyskl_semloss.cli.outputs import say
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.cpu.workers import exit_reason, run_program
from pyskl_semloss.io.files import explain_write_errors
from pyskl_semloss.io.reading import read_text
from pyskl_semloss.io.resources import resource_path
from pyskl_semloss.semantic.word_vectors import SHIPPED_SOURCE


def steps(folder: Path, short: bool) -> Iterator[tuple[str, list[str]]]:
    """Title and arguments of each command, in order.

    Run each command before asking for the next: the tests read which checkpoint a training wrote.

    Args:
        folder: Folder to run in; the arguments name ``data`` and ``work_dirs`` relative to it.
        short: Use a tenth of the clips, for one epoch.
    """
    name, clips, epochs = ("synthetic_short", "120", ["--epochs", "1"]) if short else ("synthetic", "1200", [])
    data, work = f"data/{name}", f"work_dirs/{name}"
    names = str(resource_path("data/imigue_labels.txt"))
    yield (
        f"Data: {clips} synthetic clips, 32 classes, no person both in training and test",
        ["prepare", "synthetic", f"{data}/annotations.pkl", "--clips", clips],
    )
    yield (
        "Label vectors: GloVe, as in the paper",
        ["label-vectors", "--labels", names, "--vectors", SHIPPED_SOURCE, "--out", f"{data}/label_vectors.npz"],
    )
    options = [f"{use}_dataloader.dataset.ann_file={data}/annotations.pkl" for use in ("train", "val", "test")]
    options.append(f"model.cls_head.label_vectors={data}/label_vectors.npz")
    for modality in ("joint", "limb"):
        config, rest = f"mmaction2/synthetic/{modality}.py", ["--work-dir", f"{work}/{modality}"]
        rest += ["--cfg-options", *options]
        yield f"Training {modality}", ["train", config, *epochs, *rest]
        checkpoint = read_text(folder / work / modality / "last_checkpoint").strip()
        yield f"Testing {modality}", ["test", config, checkpoint, *rest]
    scores = [f"{work}/{modality}/test_scores.npz" for modality in ("joint", "limb")]
    yield (
        "Fusion, joint : limb = 2 : 3",
        ["fuse", *scores, "--weights", "2", "3", "--out", f"{work}/fusion/test_scores.npz"],
    )
    seen = ["--names", names, "--label-vectors", f"{data}/label_vectors.npz", "--ann-file", f"{data}/annotations.pkl"]
    seen += ["--split", "test", "--title", "Synthetic gestures", "--out", f"{work}/report"]
    yield "Report", ["report", f"{work}/joint", f"{work}/limb", "--weights", "2", "3", *seen]


def run_command(words: list[str], folder: Path) -> None:
    """Run a semloss command in a folder, in its own process.

    Raises:
        SystemExit: It failed; the status is its own.
    """
    command = [sys.executable, "-m", "pyskl_semloss", *words]
    status = run_program(command, cwd=folder, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    if (how := exit_reason(status)).startswith("by "):
        say(f"error: the step semloss {words[0]} was ended {how}", error=True)
    if status:
        raise SystemExit(status if status > 0 else 128 - status)


@exit_on_error
def main() -> None:
    """Run the steps and print the path of the report."""
    parser = argument_parser(__doc__)
    parser.add_argument("folder", nargs="?", default="quickstart", help="where all is written (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="a tenth of the data for one epoch")
    args = parser.parse_args()

    from pyskl_semloss.hosts.environment import check_mmaction2

    # What is missing is told now, not after the trainings.
    check_mmaction2()
    import plotly  # noqa: F401

    folder, start = Path(args.folder).resolve(), time.monotonic()
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    say(f"Everything is written below {folder}.")
    for title, words in steps(folder, args.short):
        print(f"\n== {title} ({_passed(start)})", flush=True)
        run_command(words, folder)
    if args.short:
        say("\n== Done: everything runs. So short a training learns nothing, and the figures above mean nothing.")
        say(f"semloss quickstart trains in earnest. The report, which a browser shows: ({_passed(start)})")
    else:
        print(f"\n== Done. Chance is 3.1 %. Open the report in a browser: ({_passed(start)})")
    say(folder / words[-1] / "index.html")


def _passed(start: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    return f"{minutes} min {seconds} s"
