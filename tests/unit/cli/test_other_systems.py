"""Windows and macOS as far as Linux can play them: a process from which the parts are taken that they lack."""

import json
import subprocess
import sys

import numpy as np
import pytest

from helpers import ROOT
from helpers.raw_formats import imigue_clips, same_clips, write_imigue_raw
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.evaluation.scores import Scores

BEGIN = """
import ctypes, errno, fcntl, importlib, multiprocessing.resource_tracker, os, pkgutil, signal
import sys, types
system = {system!r}
# Packages of others have their own ways on Windows; those that are there are imported whole.
for name in {others!r}:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
assert not any(name.startswith("pyskl_semloss") for name in sys.modules)
flags_of, open_there, replace_there = fcntl.fcntl, os.open, os.replace
ABSENT = ["resource", "pwd", "grp", "termios", "fcntl"]
ABSENT = ABSENT if system == "windows" else []
# Processes are started by what Linux needs for it.
multiprocessing.resource_tracker.signal = types.SimpleNamespace(**vars(signal))

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
for name in ABSENT:
    sys.modules.pop(name, None)
multiprocessing.context._concrete_contexts.pop("fork", None)

def take(module, *names):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

class Library(ctypes.CDLL):
    def __init__(self, name, *args, **options):
        if name is None and system == "windows":
            raise TypeError("LoadLibrary() argument 1 must be str, not None")
        if str(name).startswith("libc.so"):
            raise OSError(f"{{name}}: not there")
        super().__init__(name, *args, **options)

    def __getattr__(self, name):
        if name in ("renameat2", "mallopt"):
            raise AttributeError(name)
        return super().__getattr__(name)

ctypes.CDLL = Library
take(os, "posix_fadvise", "sched_getaffinity", "memfd_create")
if system == "windows":
    take(signal, "SIGHUP", "SIGALRM", "SIGCHLD", "SIGKILL", "SIGBUS", "SIGUSR1", "SIGPIPE", "setitimer", "alarm",
         "pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "strsignal")
    take(os, "fork", "register_at_fork", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "SEEK_DATA", "SEEK_HOLE", "getuid",
         "geteuid", "killpg", "setsid", "getpgid", "mkfifo", "uname", "statvfs", "fchmod", "getloadavg")

    def open_no_folder(path, flags, *args, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return open_there(path, flags, *args, **options)

    def replace_no_open_file(old, new, **options):
        for handle in os.listdir("/proc/self/fd"):
            if os.path.exists(f"/proc/self/fd/{{handle}}") and os.path.samefile(f"/proc/self/fd/{{handle}}", old):
                raise PermissionError(errno.EACCES, "Another process has it open", os.fspath(old), None, os.fspath(new))
        return replace_there(old, new, **options)

    def rename(old, new, **options):
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, "File exists", os.fspath(old), None, os.fspath(new))
        return replace_no_open_file(old, new, **options)

    def fsync(handle, flush=os.fsync):
        if flags_of(handle, 3) & 3 == os.O_RDONLY:  # F_GETFL, O_ACCMODE
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)

    os.open, os.replace, os.rename, os.fsync = open_no_folder, replace_no_open_file, rename, fsync
"""
OTHERS = ("asyncio", "torch", "torch.utils.data", "numba", "scipy.special", "cv2", "mediapipe", "matplotlib.pyplot")
OTHERS += ("plotly.graph_objects", "nicegui", "gensim", "pympi", "PIL.Image", "yaml", "sklearn", "onnx")
HOSTS = ("mmengine", "mmaction", "mmcv")
SYSTEMS = pytest.mark.parametrize("system", ["windows", "macos"])


def run(system, code, *args, others=OTHERS):
    script = BEGIN.format(system=system, others=others) + code
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_what_is_taken_away_is_missed():
    code = """
for name in ("fcntl", "resource"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(error.name)
print([hasattr(signal, "SIGHUP"), hasattr(os, "fork")])
open("/dev/null").close()
import tempfile
with tempfile.TemporaryDirectory() as folder, open(f"{folder}/a", "w") as stream:
    try:
        os.replace(f"{folder}/a", f"{folder}/b")
    except PermissionError:
        print("refused")
"""
    assert run("windows", code, others=()).split("\n")[:4] == ["fcntl", "resource", "[False, False]", "refused"]


@SYSTEMS
def test_every_module_without_a_host_is_imported(system):
    code = """
import pyskl_semloss
done, lacking = [], {}
prefixes = ("pyskl_semloss.hosts.mmaction2", "pyskl_semloss.hosts.pyskl")
for module in pkgutil.walk_packages(pyskl_semloss.__path__, "pyskl_semloss.", onerror=lambda name: None):
    if module.name.startswith(prefixes):
        continue
    try:
        importlib.import_module(module.name)
        done.append(module.name)
    except ImportError as error:
        lacking[module.name] = (error.name or str(error)).partition(".")[0]
import json
print(json.dumps([done, lacking]))
"""
    done, lacking = json.loads(run(system, code))
    # What optional packages lack is no matter of the system.
    assert all(name in ("torch", "cv2", "mediapipe", "plotly", "nicegui", "pympi") for name in lacking.values()), (
        lacking
    )
    for name in ("io.files", "cpu.workers", "cpu.allocator", "cli.program", "hosts.faults", "datasets.raw"):
        assert f"pyskl_semloss.{name}" in done
    assert len(done) > 100


WORK = """
import runpy

def tool(name, *words):
    sys.argv = [f"tools/{name}.py", *map(str, words)]
    runpy.run_path(sys.argv[0], run_name="__main__")

folder = sys.argv[1]
for workers in (1, 2):
    tool("prepare_data", "imigue", f"{folder}/raw", f"{folder}/set{workers}.pkl", "--workers", workers)
# A second time in the place of the first, which Windows does in two steps.
for _ in range(2):
    tool("prepare_data", "store", f"{folder}/set1.pkl", f"{folder}/store")
tool("prepare_data", "pickle", f"{folder}/store", f"{folder}/again.pkl")
parts = (f"{folder}/joint.npz", f"{folder}/limb.npz", "--weights", 2, 3)
tool("fuse_scores", *parts, "--out", f"{folder}/fused.npz", "--submission", f"{folder}/submission.zip")
if "plotly" in sys.modules:
    tool("report", *parts, "--out", f"{folder}/report")
"""


@SYSTEMS
def test_conversion_fusion_and_report_give_the_same(system, tmp_path):
    clips = imigue_clips(12, frames=10)
    expected = write_imigue_raw(tmp_path / "raw", {f"00{number:02}": clips[number::4] for number in range(4)})
    rng = np.random.default_rng(0)
    scores = {name: rng.dirichlet(np.ones(4), 6) for name in ("joint", "limb")}
    label = np.arange(6) % 4
    for name, score in scores.items():
        Scores(np.array([f"c{at}" for at in range(6)]), score, label).save(tmp_path / f"{name}.npz")
    run(system, WORK, tmp_path, others=("scipy.special", "plotly.graph_objects"))
    for name in ("set1", "set2", "again"):
        same_clips(list(read_annotations(tmp_path / f"{name}.pkl")[0].clips), expected)
    fused = Scores.load(tmp_path / "fused.npz")
    assert np.allclose(fused.score, 0.4 * scores["joint"] + 0.6 * scores["limb"], atol=1e-6)
    assert (tmp_path / "submission.zip").is_file()
    page = tmp_path / "report" / "index.html"
    if not page.is_file():
        pytest.skip("needs plotly for the report; all else was looked at")
    assert page.stat().st_size > 10_000
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]
