"""Failing clips, dying workers, full shared memory: one message that names the clip, and no process that stays."""

import contextlib
import gc
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import time
import zipfile
from multiprocessing import resource_sharer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.tiny_runs import ROOT, train_command, write_run
from pyskl_semloss.cli.program import exit_on_error
from pyskl_semloss.errors import TRACEBACK, InputError
from pyskl_semloss.hosts import faults
from pyskl_semloss.hosts.faults import clip_in_hand, explain, watch

torch = pytest.importorskip("torch")


class Step:
    def __init__(self, how):
        self.how = how

    def __call__(self, idx):
        if idx == 7:
            self.how()
        return torch.tensor(idx)


class Clips(torch.utils.data.Dataset):
    """Twenty clips, of which the one with the index 7 fails."""

    ann_file = "clips.pkl"

    def __init__(self, *steps):
        self.pipeline = SimpleNamespace(transforms=steps)
        watch(self)

    def __len__(self):
        return 20

    def __getitem__(self, idx):
        with clip_in_hand(self, idx):
            for step in self.pipeline.transforms:
                result = step(idx)
            return result

    def clip_id(self, idx):
        return f"video{idx}"


def divides():
    return 1 // 0


def refuses():
    raise InputError("too short", field="keypoint", fix="Lengthen it.")


def refuses_another():
    raise InputError("it is cut off", file="points.npy", clip="video3")


def fails_in_a_function(idx):
    raise RuntimeError


def test_errors_name_clip_file_and_step():
    ending = f"{TRACEBACK}=1 shows the whole traceback."
    for step, message in (
        (Step(divides), f"clips.pkl: clip 'video7': Step failed (ZeroDivisionError: integer {DIVISION}). {ending}"),
        (fails_in_a_function, f"clips.pkl: clip 'video7': fails_in_a_function failed (RuntimeError). {ending}"),
        (Step(refuses), "clips.pkl: clip 'video7': field 'keypoint': too short. Lengthen it."),
        (Step(refuses_another), "points.npy: clip 'video3': it is cut off."),
    ):
        with pytest.raises(InputError) as error:
            Clips(Step(int), step)[7]
        assert str(error.value) == message
    with pytest.raises(InputError) as error:
        Clips(Step(divides))[7]
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(InputError, match=r"it cannot be read \(KeyError: 'keypoint'\)"), clip_in_hand(Clips(), 7):
        raise KeyError("keypoint")
    with pytest.raises(KeyboardInterrupt), clip_in_hand(Clips(), 7):
        raise KeyboardInterrupt


DIVISION = "division or modulo by zero" if sys.version_info < (3, 14) else "division by zero"


@pytest.fixture
def read():
    """Read all clips with two workers; returns the error, and sees that no worker stays."""
    before = set(multiprocessing.active_children())

    def read(dataset):
        loader = torch.utils.data.DataLoader(dataset, batch_size=2, num_workers=2)
        with pytest.raises(Exception) as error:
            list(loader)
        return error.value

    yield read
    gc.collect()  # the error's traceback holds the loader
    deadline = time.monotonic() + 600
    while set(multiprocessing.active_children()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not set(multiprocessing.active_children()) - before


def test_what_a_worker_raises_comes_as_its_own_sentence(read):
    error = read(Clips(Step(refuses)))
    assert "Traceback" in str(error), "what the loader makes of it"
    assert explain(error) == "clips.pkl: clip 'video7': field 'keypoint': too short. Lengthen it."
    error = read(Clips(Step(divides)))
    assert explain(error).startswith("clips.pkl: clip 'video7': Step failed (ZeroDivisionError: integer")
    assert "\n" not in explain(error)


@pytest.mark.parametrize(
    ("how", "words", "fix"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was ended by the signal 'Killed'", "memory is short"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "was ended by the signal 'Segmentation fault'", "num_workers=0"),
        (lambda: os.kill(os.getpid(), signal.SIGBUS), "was ended by the signal 'Bus error'", "/dev/shm"),
        (lambda: os._exit(3), "ended with status 3", "num_workers=0"),
    ],
)
def test_a_worker_that_dies_names_the_clip_in_its_hand(read, how, words, fix, capfd):
    dataset = Clips(Step(how))
    message = explain(read(dataset))
    assert message.startswith("clips.pkl: clip 'video7': a worker of the data loader (process ")
    assert words in message and fix in message and "while it had this clip in hand" in message
    assert "\n" not in message and message.count("'video7'") == 1
    assert capfd.readouterr().err == ""


class CutsOff(Step):
    """The worker's connections end a second before the worker does, as where a system is slow to end a process."""

    def __call__(self, idx):
        if idx == 2:
            sharer = resource_sharer._resource_sharer
            sharer._start()
            sharer._listener.close()
        return super().__call__(idx)


def test_a_worker_that_dies_while_it_hands_in_a_batch(read):
    error = read(Clips(CutsOff(lambda: (time.sleep(1), os.kill(os.getpid(), signal.SIGKILL)))))
    assert isinstance(error, OSError)
    message = explain(error)
    assert message.startswith("clips.pkl: clip 'video7': a worker of the data loader (process ")
    assert "was ended by the signal 'Killed' while it had this clip in hand" in message


def test_a_connection_that_ends_without_a_death_stays_what_it_is(read, monkeypatch):
    monkeypatch.setattr(faults, "_DEATH_TIMEOUT", 0.2)
    error = read(Clips(CutsOff(lambda: time.sleep(3))))
    assert isinstance(error, OSError) and explain(error) is None
    start = time.monotonic()
    assert explain(ConnectionResetError("of a download")) is None and time.monotonic() - start < 0.1


def test_a_worker_that_dies_between_clips():
    message = explain(RuntimeError("DataLoader worker (pid(s) 999999, 999998) exited unexpectedly"))
    assert message.startswith("a worker of the data loader (process 999999, 999998) ended, no clip in hand. To see")
    message = explain(RuntimeError("DataLoader worker (pid 999999) exited unexpectedly with exit code 3. Details"))
    assert "(process 999999) ended with status 3, no clip in hand" in message
    dataset = Clips(Step(int))
    list(torch.utils.data.DataLoader(dataset, num_workers=2))
    pids = {pid for pid, idx in faults._SLOT.iter_unpack(faults._in_hand[dataset][:]) if pid}
    assert len(pids) == 2
    message = explain(RuntimeError(f"DataLoader worker (pid {pids.pop()}) is killed by signal: Killed. "))
    assert "no clip in hand" in message


def test_what_only_a_traceback_explains():
    for error in (ValueError("x"), RuntimeError("x"), OSError(2, "no such file", "x"), KeyError("x")):
        assert explain(error) is None


def test_a_full_disk_anywhere(monkeypatch):
    message = explain(OSError(28, "No space left on device", "work/20.log"))
    assert message.startswith("work/20.log: it cannot be written: the disk is full (No space left on device). Make")
    monkeypatch.setattr(faults, "free_space", lambda place: 0 if place == "/dev/shm" else 1 << 30)
    message = explain(OSError(28, "No space left on device"))
    assert message.startswith("/dev/shm: it cannot be written: the disk is full") and "--shm-size" in message
    monkeypatch.setattr(faults, "free_space", lambda place: 1 << 30)
    assert explain(OSError(28, "No space left on device")).startswith("it cannot be written: the disk is full")


def test_tools_show_one_line_or_on_demand_the_traceback(monkeypatch, capsys):
    def fail():
        Clips(Step(divides))[7]

    with pytest.raises(SystemExit) as end:
        exit_on_error(fail)()
    assert end.value.code == 2 and capsys.readouterr().err.startswith("error: clips.pkl: clip 'video7': Step failed")
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(InputError):
        exit_on_error(fail)()
    monkeypatch.delenv(TRACEBACK)
    with pytest.raises(ZeroDivisionError):
        exit_on_error(divides)()


def packed(name):
    from mmaction.structures import ActionDataSample

    sample = ActionDataSample()
    sample.set_field(name, "sample_id", field_type="metainfo")
    (getattr(sample, "set_gt_label", None) or sample.set_gt_labels)(np.asarray(1))
    return {"inputs": {"keypoint": torch.ones(2, 3), "keypoint_score": torch.ones(2)}, "data_samples": sample}


def test_a_worker_puts_its_batch_into_shared_memory_itself(monkeypatch):
    pytest.importorskip("mmaction")
    from pyskl_semloss.hosts.mmaction2.data import packing
    from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field

    batch = [packed("a"), packed("b")]
    assert not packing.stack_keypoints(batch)["inputs"]["keypoint"].is_shared()
    monkeypatch.setattr(packing, "get_worker_info", lambda: SimpleNamespace(id=0))
    found = packing.stack_keypoints(batch)
    assert found["inputs"]["keypoint"].is_shared() and found["inputs"]["keypoint_score"].is_shared()
    assert all(get_sample_field(sample, "gt_label").is_shared() for sample in found["data_samples"])
    batch[1]["inputs"]["keypoint"] = torch.ones(4, 3)
    assert all(tensor.is_shared() for tensor in packing.stack_keypoints(batch)["inputs"]["keypoint"])

    def full(tensor):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(InputError, match=r"^clip 'a': there is no room in shared memory .* the 2 clips .*--shm-size"):
        packing.stack_keypoints([packed("a"), packed("b")])


def test_the_dataset_names_broken_clips_of_pickles_and_stores(tmp_path):
    pytest.importorskip("mmaction")
    from mmaction.registry import DATASETS

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.annotations.store_writer import pickle_to_store

    write_run(tmp_path, steps=4)
    pickle_to_store(tmp_path / "clips.pkl", tmp_path / "store")
    settings = dict(type="KeypointDataset", split="train", skeleton="openpose22", pipeline=[divides_by_label])
    for source in ("clips.pkl", "store"):
        dataset = DATASETS.build(dict(settings, _scope_="mmaction", ann_file=str(tmp_path / source)))
        name = dataset.get_data_info(2)["frame_dir"]
        assert dataset.clip_id(2) == name
        with pytest.raises(InputError) as error:
            dataset[2]
        assert str(error.value).startswith(f"{tmp_path / source}: clip {name!r}: divides_by_label failed (ZeroDiv")
    points = tmp_path / "store" / "points.npy"
    os.truncate(points, 200)
    with pytest.raises(InputError) as error:
        dataset[2]
    assert str(error.value).startswith(f"{points}: clip {name!r}: the file has been cut off since")


def divides_by_label(results):
    return results["label"] // 0


def in_namespace(command):
    """The command with a shared memory of its own, of 2 MB, or None where that is not permitted."""
    mount = 'mount -t tmpfs -o size=2m tmpfs /dev/shm && exec "$@"'
    for options in (["-m"], ["-rm"]):
        wrapped = ["unshare", *options, "sh", "-c", mount, "sh"]
        try:
            if subprocess.run([*wrapped, "true"], capture_output=True).returncode == 0:
                return [*wrapped, *command]
        except FileNotFoundError:
            return None
    return None


def end_of_training(folder, how):
    """Train with a clip that fails; returns what was printed and the failing clip's name."""
    pids = folder / "pids"
    config = write_run(folder)
    from pyskl_semloss.annotations import read_annotations

    clip = read_annotations(folder / "clips.pkl")[0].splits["train"][11]
    step = f"dict(type='BreaksAt', frame_dir={clip!r}, how={how!r}, pids={str(pids)!r}), "
    config = write_run(folder, extra=step, imports=["helpers.breaking_steps"])
    command = train_command(config)
    if how == "fills_shared_memory":
        command = in_namespace(command)
        if command is None:
            pytest.skip("a small shared memory cannot be mounted: neither as root nor in a namespace")
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=600)
    assert done.returncode == 2, done.stdout[-2000:] + done.stderr[-2000:]
    for pid in {int(line) for line in pids.read_text().split()}:
        assert not os.path.exists(f"/proc/{pid}"), "a worker outlived the training"
    return done.stderr.strip().splitlines(), clip


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raises", "BreaksAt failed (ZeroDivisionError: a mean of nothing)"),
        ("is_killed", "while it had this clip in hand"),
        ("fills_shared_memory", "no room in shared memory (/dev/shm)"),
    ],
)
def test_training_ends_with_one_message(tmp_path, how, words):
    pytest.importorskip("mmaction")
    lines, clip = end_of_training(tmp_path, how)
    (line,) = (line for line in lines if line.startswith("error: "))
    assert words in line
    if how != "is_killed":  # a thread that feeds the dead worker may tell of it at any moment
        assert line == lines[-1] and not any("Traceback" in line for line in lines)
    if how == "fills_shared_memory":
        assert line.startswith("error: clip '"), "the other worker may meet it first, with another clip"
    else:
        assert line.startswith(f"error: {tmp_path / 'clips.pkl'}: clip {clip!r}: ")


def train(config, *options, files=None, timeout=600):
    """Run a training, with a soft and a hard limit of open files; a hang fails."""
    limit = None if files is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, files)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(train_command(config, *options), capture_output=True, text=True, env=env, cwd=ROOT,
                          timeout=timeout, preexec_fn=limit)  # fmt: skip


@pytest.mark.parametrize("files", [16, 26, 28, 30, 32])
def test_too_few_open_files_are_one_line(tmp_path, files):
    pytest.importorskip("mmaction")
    done = train(write_run(tmp_path, steps=3, epochs=3), files=(files, files))
    assert done.returncode == 2, done.stdout[-1000:] + done.stderr[-2000:]
    assert re.fullmatch(
        rf"error: too few open files are allowed( in a worker of the data loader)?: {files} at a time\. Allow more "
        r"before the start \(ulimit -n 4096\), or take fewer workers, such as --cfg-options "
        r"train_dataloader.num_workers=1\.\n",
        done.stderr,
    )


def test_the_number_of_open_files_is_raised_where_the_system_lets_it(tmp_path):
    pytest.importorskip("mmaction")
    done = train(write_run(tmp_path, steps=3, epochs=2), files=(30, 4096))
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(24, "Too many open files"), "too few open files are allowed"),
        (RuntimeError("Too many open files. Communication with the workers is no longer possible."), "too few open"),
        (
            RuntimeError("Caught RuntimeError in DataLoader worker process 0.\n... Too many open files (24)"),
            "too few open",
        ),
    ],
)
def test_too_many_open_files_wherever_they_are_met(error, words):
    assert words in explain(error) and "ulimit -n" in explain(error)


def lambdas(batch):
    return lambda: batch


def test_a_batch_that_cannot_be_passed_on_ends_the_loading():
    loader = torch.utils.data.DataLoader(Clips(Step(int)), num_workers=1, collate_fn=lambdas, timeout=60)
    with pytest.raises(RuntimeError) as error:
        list(loader)
    assert "ended with status 1, no clip in hand" in explain(error.value)


def test_a_death_behind_an_error_that_a_library_made_of_it_is_found():
    try:
        try:
            raise RuntimeError("DataLoader worker (pid 999999) is killed by signal: Killed. ")
        except RuntimeError:
            raise SyntaxError("Failed to format the config file")  # noqa: B904
    except SyntaxError as error:
        assert "was ended by the signal 'Killed'" in explain(error)


def kill_a_worker_while_a_checkpoint_is_written(config, work, after):
    """Train, and kill a worker once some checkpoints have been begun; returns status and stderr."""
    process = subprocess.Popen(
        train_command(config, "--work-dir", work), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}, cwd=ROOT,
    )  # fmt: skip
    begun = set()
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            begun |= {entry.name for entry in os.scandir(work) if entry.name.endswith(".tmp") and ".pth" in entry.name}
        if len(begun) >= after:
            workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(workers[0]), signal.SIGKILL)
            break
        time.sleep(0.0002)
    return process.communicate(timeout=600)[1], process.returncode


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_worker_is_killed_while_a_checkpoint_is_written(tmp_path, after):
    pytest.importorskip("mmaction")
    config, work = write_run(tmp_path / "data", steps=3, epochs=6), tmp_path / "run"
    error, status = kill_a_worker_while_a_checkpoint_is_written(config, work, after)
    assert status == 2, error[-2000:]
    assert re.fullmatch(
        r"error: a worker of the data loader \(process \d+\) was ended by the signal 'Killed', .*\n", error
    )
    assert not [entry.name for entry in os.scandir(work) if entry.name.endswith(".tmp")]
    for path in work.glob("*.pth"):
        assert zipfile.ZipFile(path).testzip() is None
    done = train(config, "--work-dir", work, "--resume")
    assert done.returncode == 0 and (work / "epoch_6.pth").exists(), done.stderr[-2000:]
