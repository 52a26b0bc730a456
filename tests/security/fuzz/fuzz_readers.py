"""Coverage-guided fuzzing of every reader with Atheris (libFuzzer).

    python tests/security/fuzz/fuzz_readers.py --list
    python tests/security/fuzz/fuzz_readers.py TARGET [TARGET ...] -max_total_time=600   any options of libFuzzer
    python tests/security/fuzz/fuzz_readers.py --all -runs=1500 [--work FOLDER]
    python tests/security/fuzz/fuzz_readers.py --keep [TARGET ...] [--work FOLDER]       what was found, into corpus.zip

Inputs that reach something new go to FOLDER/corpus (work_dirs/fuzz), those that break a rule to FOLDER/findings.
The status is 1 where a rule was broken. It needs Linux on x86-64 and Python 3.11 to 3.13, for which Atheris has wheels.
"""

import argparse
import contextlib
import hashlib
import io
import os
import random
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "security")]
# numpy and torch stay as they are, but for the functions below: what counts are the package and what parses for it.
PARSERS = ["pyskl_semloss", "zipfile", "json", "gzip", "csv", "pickletools"]
_told = contextlib.redirect_stderr(io.StringIO())  # one line for each module
with _told, atheris.instrument_imports(include=PARSERS, enable_loader_override=False):
    import numpy.lib.format
    import torch
    from torch import _weights_only_unpickler

    from fuzz.corpus import extract, read_archive, write_archive
    from fuzz.rules import check
    from fuzz.targets import MOST_SEED, Target, make_targets

    with tempfile.TemporaryDirectory() as first:
        for _one in make_targets(Path(first)).values():
            _one.read()  # imports what it needs
for parser in (numpy.lib.format._read_array_header, _weights_only_unpickler.Unpickler.load):
    atheris.instrument_func(parser)

LIMITS = ("-timeout=30", "-rss_limit_mb=3000", "-max_len=16384", "-print_final_stats=1")
_STATE = re.compile(r"#(\d+)\s+(INITED|DONE)\s+cov: (\d+) ft: (\d+)")


def fuzz(target: Target, work: Path, folder: Path, options: list[str]) -> None:
    """Fuzz one target until the options end it; this ends the process."""
    corpus, findings = work / "corpus" / target.name, work / "findings" / target.name
    seeds = folder / "seeds" / target.name
    for place in (corpus, seeds):
        place.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seed for seed in target.seeds if len(seed) < MOST_SEED):
        (seeds / str(number)).write_bytes(seed)
    for _ in range(2):
        check(target, target.seeds[0], folder)
    known = {path.name.rpartition("-")[0] for path in findings.glob("*")}

    def one_input(data: bytes) -> None:
        finding = check(target, data, folder)
        if finding is None:
            return
        place = re.sub(r"[^\w.-]+", "_", finding.place)
        if place not in known:
            known.add(place)
            findings.mkdir(parents=True, exist_ok=True)
            (findings / f"{place}-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
            print(f"FINDING {target.name}: {finding.place}\n{finding.text}", file=sys.stderr, flush=True)

    def other(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        made = target.mutate(bytes(data), rng) if rng.random() < 0.7 else None
        return made if made and len(made) <= most else atheris.Mutate(data, most)

    folders = [str(place) for place in (corpus, seeds, extract("corpus", target.name, folder / "kept"))]
    atheris.Setup(
        ["fuzz_readers", *LIMITS, f"-artifact_prefix={work}/{target.name}-", *options, *folders],
        one_input,
        custom_mutator=other,
    )
    atheris.Fuzz()


def in_a_process(target: Target, work: Path, folder: Path, options: list[str]) -> tuple[str, float, int]:
    """The same in a process of its own, which is fast because all is imported; its log, seconds and status."""
    log = work / "logs" / f"{target.name}-{time.time_ns()}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    start, child = time.monotonic(), os.fork()
    if child == 0:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        try:
            fuzz(target, work, folder, options)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(99)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # Other targets read it beside their own file.
    target.path.write_bytes(target.seeds[0])
    return log.read_text(errors="replace"), time.monotonic() - start, status


def fuzz_all(targets: list[Target], work: Path, folder: Path, options: list[str]) -> bool:
    """Fuzz one after another and print a table; whether all kept the rules."""
    good = True
    print("| target | executions | edges, start to end | features, start to end | findings | s |\n|" + "---|" * 6)
    for target in targets:
        seed = f"-seed={random.randrange(1, 1 << 31)}"
        log, took, status = in_a_process(target, work, folder, [seed, *options])
        states = {name: (runs, cov, ft) for runs, name, cov, ft in _STATE.findall(log)}
        start, end = states.get("INITED", ("?",) * 3), states.get("DONE", ("?",) * 3)
        found = log.count("FINDING ") + (status != 0)
        good = good and not found
        edges, features = (f"{start[at]} → {end[at]}" for at in (1, 2))
        print(f"| {target.name} | {end[0]} | {edges} | {features} | {found} | {took:.0f} |", flush=True)
        if found:
            lines = log.splitlines()
            told = [at for at, line in enumerate(lines) if line.startswith("FINDING")]
            print(*[line[:300] for at in told for line in lines[at : at + 12]] or lines[-15:], sep="\n")
            print(f"The files are in {work}.", flush=True)
    return good


def keep(targets: list[Target], work: Path, folder: Path, most: int = 60, most_bytes: int = 8_500) -> None:
    """Put into corpus.zip, of each target, the smallest files that together have all coverage.

    As libFuzzer's ``-merge=1``, which would start a new process for each target.
    """
    for target in targets:
        left = extract("corpus", target.name, folder / "left")
        files = [path for place in (work / "corpus" / target.name, left) if place.is_dir() for path in place.iterdir()]
        files.sort(key=lambda path: path.stat().st_size)
        control = folder / f"{target.name}.merge"
        control.write_text("".join(f"{line}\n" for line in (len(files), 0, *files)))
        in_a_process(target, work, folder, ["-merge_inner=1", f"-merge_control_file={control}"])
        reached: set[str] = set()
        chosen: dict[str, bytes] = {}
        for line in control.read_text().splitlines():
            kind, number, *features = line.split(" ") if line.startswith("FT ") else ("", "0")
            data = files[int(number)].read_bytes()
            if set(features) - reached and sum(map(len, chosen.values())) + len(data) <= most_bytes:
                reached |= set(features)
                chosen[hashlib.sha256(data).hexdigest()[:12]] = data
        prefix = f"corpus/{target.name}/"
        files_kept = {name: data for name, data in read_archive().items() if not name.startswith(prefix)}
        write_archive(files_kept | {prefix + name: data for name, data in list(chosen.items())[:most]})
        print(f"{target.name}: {len(chosen)} of {len(files)} files, {len(reached)} features", flush=True)


def main() -> None:
    """Read the command line; everything unknown goes to libFuzzer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--work", type=Path, default=ROOT / "work_dirs" / "fuzz")
    args, options = parser.parse_known_args()
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    root = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=root, prefix="fuzz") as name:
        folder = Path(name)
        targets = make_targets(folder)
        if args.list:
            print(*targets, sep="\n")
            return
        wrong = [name for name in args.targets if name not in targets]
        if wrong or not (args.targets or args.all or args.keep):
            sys.exit("\n".join([*(f"error: there is no target {name}; there are:" for name in wrong), *targets]))
        chosen = [targets[name] for name in args.targets or targets]
        if args.keep:
            keep(chosen, args.work, folder)
        elif not fuzz_all(chosen, args.work, folder, options):
            sys.exit(1)


if __name__ == "__main__":
    main()
