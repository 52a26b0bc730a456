"""Mutation testing: is a small change of a module noticed by the tests of that module?

    export OMP_NUM_THREADS=1; python -m pip install cosmic-ray==8.7.0
    python tests/mutation/run_mutants.py --out mutants.csv                # a sample of every module
    python tests/mutation/run_mutants.py --out mutants.csv --sample 0 --modules io/reading       # all of a module
    python tests/mutation/run_mutants.py --out mutants.csv --again        # those that survived, once more
    python tests/mutation/run_mutants.py --out mutants.csv --table        # nothing is run

The changes are cosmic-ray's: every operator without arguments. Left out is what cannot change what runs here: type
annotations, and the decorators of Numba and torch.compile. What takes the time is importing torch; so this process
imports the libraries once and forks for each mutant, which is a changed file in a copy of the checkout, also for the
processes that tests start. Numba's kernels run as plain Python (NUMBA_DISABLE_JIT=1); their tests pass both ways.
Samples are drawn by a seed: the same sources give the same mutants. A run goes on where the last one stopped.

Outcomes: killed (a test failed), survived, timeout (more processor time than six times that of the tests and ten
seconds, or three times as long by the clock; counts as killed).
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mutated_modules import GROUPS, TESTS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "pyskl_semloss"
LIBRARIES = ("torch", "numba", "hypothesis", "pytest", "scipy.stats", "sklearn.metrics", "mmengine")
FIELDS = ("module", "operator", "occurrence", "line", "before", "after", "outcome", "killer", "seconds")
MEMORY = 12 << 30


class Mutant(NamedTuple):
    """One change of one module."""

    module: str
    operator: str
    occurrence: int
    line: int
    code: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.module, self.operator, str(self.occurrence)


def source(module: str, root: Path = ROOT) -> Path:
    return root / PACKAGE / f"{module}.py"


def idle(code: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Begin and end of what never runs: annotations (they stay text), decorators that only speed up."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.FunctionDef, ast.arg, ast.AnnAssign)):
            note = node.returns if isinstance(node, ast.FunctionDef) else node.annotation
            found += [(note, 0)] if note else []
        if isinstance(node, ast.FunctionDef):
            speed = ("numba.", "torch.compiler.")
            found += [(one, 1) for one in node.decorator_list if ast.unparse(one).startswith(speed)]
    return [((one.lineno, one.col_offset - at), (one.end_lineno, one.end_col_offset)) for one, at in found]


def mutants_of(module: str, sample: int, seed: int) -> tuple[list[Mutant], int]:
    """A sample (0: all) of a module's mutants, and how many there are."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    code = source(module).read_text(encoding="utf-8")
    nodes, spans, places = list(ast_nodes(get_ast(code))), idle(code), []
    # The star before arguments that must be named, and dict(**a): no operators, though cosmic-ray takes them for such.
    odd = ("parameters", "dictorsetmaker")
    stars = {node.start_pos for node in nodes if node.type == "operator" and node.parent.type in odd}
    for name in sorted(operator_names()):
        if get_operator(name).arguments():
            continue
        operator = get_operator(name)()
        where = (place for node in nodes for place in operator.mutation_positions(node))
        for occurrence, (begin, _) in enumerate(where):
            if not any(first <= begin < last for first, last in spans):
                places.append((name, occurrence, begin))
    # Shuffled and cut, so that a larger sample holds the smaller one.
    random.Random(f"{seed} {module}").shuffle(places)
    places = [place for place in places if place[2] not in stars]
    made = []
    for name, occurrence, (line, _) in places[: sample or None]:
        changed = mutate_code(code, get_operator(name)(), occurrence)
        made.append(Mutant(module, name.partition("/")[2], occurrence, line, changed))
    return sorted(made), len(places)


def sample_size(module: str, sample: int) -> int:
    """At least 150 of a group."""
    modules = next(len(modules) for modules in GROUPS.values() if module in modules)
    return max(sample, 150 // modules) if sample else 0


def changed_lines(module: str, code: str) -> tuple[str, str]:
    """The first line that differs, before and after."""
    old, new = source(module).read_text(encoding="utf-8").splitlines(), code.splitlines()
    pairs = zip([*old, ""], [*new, ""], strict=False)
    return next(((a.strip(), b.strip()) for a, b in pairs if a != b), ("", ""))


class Copy:
    """A copy of the checkout in which one file at a time is changed and tests run in a fork of this process."""

    def __init__(self, folder: Path) -> None:
        self.root, self.log, self.count = folder / "checkout", folder / "log", 0
        ignore = shutil.ignore_patterns(".*", "__pycache__", "docs", "work_dirs")
        shutil.copytree(ROOT, self.root, ignore=ignore, symlinks=True)
        if (ROOT.parent / "shared").is_dir():
            (folder / "shared").symlink_to(ROOT.parent / "shared")

    def start(self, module: str, code: str | None, limit: float) -> None:
        """Fork; ``code`` takes the module's place, None leaves it."""
        self.module, self.path, self.count = module, source(module, self.root), self.count + 1
        if code is not None:
            self.path.write_text(code, encoding="utf-8")
            # Compiled files are told apart by seconds and size: each change gets a second of its own.
            os.utime(self.path, (1e9 + self.count, 1e9 + self.count))
        self.begin, self.limit = time.monotonic(), limit
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os._exit(self._run(TESTS[module], code is not None))
            finally:
                os._exit(70)

    def _run(self, tests: tuple[str, ...], changed: bool) -> int:
        os.setsid()
        os.chdir(self.root)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        os.environ["PYTHONPATH"] = str(self.root)
        sys.path.insert(0, str(self.root))
        if changed:
            sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
        resource.setrlimit(resource.RLIMIT_CPU, (int(self.limit) + 1,) * 2)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        import hypothesis
        import pytest

        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("m", derandomize=True, database=None, phases=phases, deadline=None)
        hypothesis.settings.load_profile("m")
        return int(pytest.main(["-q", "-x", "--tb=line", "--assert=plain", "-p", "no:cacheprovider", *tests]))

    def poll(self) -> tuple[str, float] | None:
        """Outcome and processor seconds, or None while it runs."""
        pid, status, used = os.wait4(self.pid, os.WNOHANG)
        late = time.monotonic() - self.begin > 3 * self.limit
        if pid == 0 and not late:
            return None
        if pid == 0:
            os.killpg(self.pid, signal.SIGKILL)
            _, status, used = os.wait4(self.pid, 0)
        seconds = used.ru_utime + used.ru_stime
        shutil.copy2(source(self.module), self.path)
        if late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
            return "timeout", seconds
        code = os.waitstatus_to_exitcode(status)
        if code in (4, 5, 70):
            raise SystemExit(f"error: pytest could not run the tests:\n{self.log.read_text()[-2000:]}")
        return ("survived" if code == 0 else "killed"), seconds

    def killer(self) -> str:
        """The first test that failed."""
        lines = self.log.read_text(errors="replace").splitlines()
        found = [line.split(" - ")[0] for line in lines if line.startswith(("FAILED ", "ERROR "))]
        return found[0].partition(" ")[2].removeprefix("tests/") if found else ""


def run(mutants: list[Mutant], copies: list[Copy], rows: dict, out: Path) -> None:
    """Run the mutants of one module, and save after each."""
    if not mutants:
        return
    for copy in copies:  # twice, as the first run compiles
        for limit in (1000.0, 1000.0):
            copy.start(mutants[0].module, None, limit)
            while (result := copy.poll()) is None:
                time.sleep(0.05)
            if result[0] != "survived":
                raise SystemExit(f"error: the tests fail without any change:\n{copy.log.read_text()[-2000:]}")
    limit = 10 + 6 * result[1]
    waiting, busy = list(reversed(mutants)), {}
    while waiting or busy:
        for copy in copies:
            if copy not in busy and waiting:
                busy[copy] = waiting.pop()
                copy.start(busy[copy].module, busy[copy].code, limit)
            if copy in busy and (result := copy.poll()) is not None:
                one = busy.pop(copy)
                killer = "" if result[0] == "survived" else copy.killer()
                texts = changed_lines(one.module, one.code)
                values = (*one[:4], *texts, result[0], killer, f"{result[1]:.1f}")
                rows[one.key] = dict(zip(FIELDS, map(str, values), strict=True))
                save(rows, out)
        time.sleep(0.02)


def load(out: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    if not out.exists():
        return {}
    with open(out, encoding="utf-8", newline="") as stream:
        return {(row["module"], row["operator"], row["occurrence"]): row for row in csv.DictReader(stream)}


def save(rows: dict, out: Path) -> None:
    temporary = out.with_suffix(".part")
    with open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))
    temporary.replace(out)


def wilson(hits: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    middle, spread = hits + z * z / 2, z * (hits * (count - hits) / count + z * z / 4) ** 0.5
    return (middle - spread) / (count + z * z), (middle + spread) / (count + z * z)


def table(rows: dict, drawn: dict[str, tuple[list[Mutant], int]]) -> str:
    """Markdown; of each group and module those of the sample that were run."""
    totals = {module: count for module, (_, count) in drawn.items()}
    keys = {one.key for mutants, _ in drawn.values() for one in mutants}
    rows = {key: row for key, row in rows.items() if key in keys}
    lines = ["| | mutants | tried | killed | timeouts | survived | rate | 95 % |", "|---|---|---|---|---|---|---|---|"]
    for group, modules in GROUPS.items():
        parts = [(f"`{one}`", [one]) for one in modules] if len(modules) > 1 else []
        for name, wanted in [*parts, (f"**{group}**", list(modules))]:
            seen = Counter(row["outcome"] for row in rows.values() if row["module"] in wanted)
            count, dead = sum(seen.values()), seen["killed"] + seen["timeout"]
            if count:
                there = sum(totals.get(one, 0) for one in wanted)
                low, high = wilson(dead, count)
                interval = "all tried" if count == there else f"{100 * low:.1f}–{100 * high:.1f} %"
                cells = (there, count, seen["killed"], seen["timeout"], seen["survived"], f"{100 * dead / count:.1f} %")
                lines.append(f"| {name} | {' | '.join(map(str, cells))} | {interval} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="CSV of the results; those in it are not run again")
    parser.add_argument("--modules", nargs="+", choices=TESTS, default=list(TESTS), metavar="MODULE")
    parser.add_argument(
        "--sample", type=int, default=30, help="mutants of a module, at least 150 of a group; 0: all (default 30)"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the sample; default 7")
    parser.add_argument("--processes", type=int, default=2, help="default 2")
    parser.add_argument("--again", action="store_true", help="run those that survived once more")
    parser.add_argument("--table", action="store_true", help="run nothing")
    args = parser.parse_args()
    rows, begin = load(args.out), time.monotonic()
    drawn = {module: mutants_of(module, sample_size(module, args.sample), args.seed) for module in args.modules}
    if not args.table:
        os.environ["NUMBA_DISABLE_JIT"] = "1"
        for name in LIBRARIES:
            importlib.import_module(name)
        with tempfile.TemporaryDirectory(prefix="mutants") as folder:
            copies = [Copy(Path(folder, str(number))) for number in range(args.processes)]
            for mutants, _ in drawn.values():
                wanted = "survived" if args.again else None
                chosen = [one for one in mutants if rows.get(one.key, {}).get("outcome") == wanted]
                run(chosen, copies, rows, args.out)
    print(table(rows, drawn))
    print(f"{len(rows)} mutants in {args.out}, {(time.monotonic() - begin) / 60:.0f} min")


if __name__ == "__main__":
    main()
