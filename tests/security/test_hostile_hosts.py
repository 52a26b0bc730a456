"""What the hosts' loaders and our tools do with checkpoints that hold code: they are read by our reader alone."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import ROOT
from helpers.hostile_files import Call
from pyskl_semloss.annotations import AnnotationSet, Clip, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import read_checkpoint
from pyskl_semloss.synthetic.clips import generate

CONFIG = "configs/mmaction2/synthetic/joint.py"


def evil(path, canary):
    """A checkpoint that makes a folder when a reader trusts it."""
    torch.save({"state_dict": {"a": torch.zeros(3)}, "meta": {"evil": Call(os.mkdir, str(canary))}}, path)
    return path


def talking(path, canary, **meta):
    """A checkpoint of plain data, whose text both hosts run as Python when they go on from it."""
    meta = {"epoch": 9, "iter": 9, "config": f"made = __import__('os').mkdir({str(canary)!r})", **meta}
    hub = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}}
    torch.save({"state_dict": {}, "meta": meta, "message_hub": hub}, path)
    return path


def hosts():
    """The ``CheckpointLoader`` and the ``Config`` of the host that is here."""
    try:
        import mmaction  # noqa: F401
        from mmengine.config import Config
        from mmengine.runner.checkpoint import CheckpointLoader

        import pyskl_semloss.hosts.mmaction2  # noqa: F401
    except ImportError:
        pytest.importorskip("pyskl")
        from mmcv import Config
        from mmcv.runner import CheckpointLoader

        import pyskl_semloss.hosts.pyskl  # noqa: F401
    return CheckpointLoader, Config


def test_a_host_reads_checkpoints_with_our_reader_alone(tmp_path):
    loader, config = hosts()
    canary, path = tmp_path / "canary", tmp_path / "a.pth"
    with pytest.raises(InputError, match="a.pth.*posix.mkdir"):
        loader.load_checkpoint(str(evil(path, canary)), "cpu")
    for prefix in loader._schemes:
        assert loader._schemes[prefix].__module__ == "pyskl_semloss.hosts.checkpoint_loading"
    for address in ("openmmlab://a", "torchvision://resnet50", "s3://a/b", "pavi://a", "mmcls://a"):
        with pytest.raises(InputError, match="would open a checkpoint at this address"):
            loader.load_checkpoint(address, "cpu")
    talking(path, canary)
    assert loader.load_checkpoint(str(path), "cpu")["meta"]["config"] == "gpu_ids = None"
    assert not canary.exists()
    # What the host would have done with that text, and what it does with the line that stays.
    config.fromstring(read_checkpoint(path)["meta"]["config"], file_format=".py")
    assert canary.exists()
    assert config.fromstring("gpu_ids = None", file_format=".py").get("gpu_ids") is None
    assert len(config.fromstring("gpu_ids = range(0, 2)", file_format=".py").gpu_ids) == 2


def test_a_checkpoint_from_an_address_is_read_likewise(tmp_path, monkeypatch):
    loader, _ = hosts()
    canary = tmp_path / "canary"
    evil(tmp_path / "evil.pth", canary)
    torch.save({"state_dict": {"a": torch.zeros(3)}}, tmp_path / "good.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(InputError, match="evil.pth.*posix.mkdir"):
            loader.load_checkpoint(f"{address}/evil.pth", "cpu")
        assert "state_dict" in loader.load_checkpoint(f"{address}/good.pth", "cpu")
        with pytest.raises(InputError, match="nowhere.pth.*cannot be fetched"):
            loader.load_checkpoint(f"{address}/nowhere.pth", "cpu")
        (tmp_path / "other").mkdir()
        torch.save({"state_dict": {"b": torch.ones(1)}}, tmp_path / "other" / "good.pth")
        found = [loader.load_checkpoint(f"{address}/{name}", "cpu") for name in ("good.pth", "other/good.pth")]
        assert [list(content["state_dict"]) for content in found] == [["a"], ["b"]]
        server.shutdown()
        assert "state_dict" in loader.load_checkpoint(f"{address}/good.pth", "cpu"), "it was fetched before"
    assert not canary.exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four clips in every split of our configs, and label vectors."""
    folder = tmp_path_factory.mktemp("tools")
    clips = generate(32, seed=1, subjects=4).clips[:4]
    ids = [clip.frame_dir for clip in clips]
    write_annotations(folder / "a.pkl", AnnotationSet({"train": ids, "val": ids, "test": ids}, clips))
    np.save(folder / "v.npy", np.random.default_rng(0).normal(size=(32, 5)).astype(np.float32))
    return folder


def run(command, **options):
    """Run a tool, in the setting of a user who has told torch to trust every file."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=600, **options)


@pytest.mark.parametrize("way", ["test", "load_from", "resume"])
def test_our_tools_run_nothing_from_a_checkpoint(folder, tmp_path, way):
    pytest.importorskip("mmaction")
    canary, checkpoint = tmp_path / "canary", tmp_path / "evil.pth"
    options = [f"{key}_dataloader.dataset.ann_file={folder}/a.pkl" for key in ("train", "val", "test")]
    options += [f"model.cls_head.label_vectors={folder}/v.npy", *([f"load_from={checkpoint}"] * (way == "load_from"))]
    common = ["--work-dir", tmp_path, "--cfg-options", *options]
    if way == "resume":
        assert run(["tools/train.py", CONFIG, "--epochs", "1", *common], cwd=ROOT).returncode == 0
        content = read_checkpoint(tmp_path / "epoch_1.pth")
        content["meta"]["config"] = f"made = __import__('os').mkdir({str(canary)!r})"
        torch.save(content, tmp_path / "epoch_1.pth")
    else:
        evil(checkpoint, canary)
    command = ["tools/test.py", CONFIG, checkpoint] if way == "test" else ["tools/train.py", CONFIG, "--epochs", "2"]
    done = run([*command, *(["--resume"] * (way == "resume")), *common], cwd=ROOT)
    said = done.stdout[-2000:] + done.stderr[-2000:]
    assert not canary.exists(), said
    if way == "resume":
        assert done.returncode == 0 and "resumed epoch: 1" in done.stdout + done.stderr, said
    else:
        assert done.returncode == 2 and "posix.mkdir" in done.stderr, said
        assert done.stderr.splitlines()[-1].startswith(f"error: {checkpoint}: expected a checkpoint")


@pytest.mark.parametrize("way", ["test", "resume"])
def test_the_tools_of_pyskl_run_nothing_from_a_checkpoint(tmp_path, way):
    pyskl = pytest.importorskip("pyskl")
    tools = Path(pyskl.__file__).resolve().parents[1] / "tools"
    if not tools.is_dir():
        pytest.skip("needs PySKL's tools/ beside its package")
    rng = np.random.default_rng(0)
    clips = [Clip(f"c{n}", n, (100, 100), (100, 100), rng.uniform(1, 99, (1, 9, 20, 2)), np.ones((1, 9, 20)))
             for n in range(4)]  # fmt: skip
    ids = [clip.frame_dir for clip in clips]
    write_annotations(tmp_path / "a.pkl", AnnotationSet({"xsub_train": ids, "xsub_test": ids}, clips))
    np.save(tmp_path / "v.npy", rng.normal(size=(20, 5)).astype(np.float32))
    (tmp_path / "config.py").write_text(
        f"_base_ = '{ROOT}/configs/pyskl/msr_action3d/joint.py'\nwork_dir = 'work'\ntotal_epochs = 1\n"
        "model = dict(cls_head=dict(label_vectors='v.npy'))\n"
        "data = dict(workers_per_gpu=1, train=dict(ann_file='a.pkl'), val=dict(ann_file='a.pkl'), "
        "test=dict(ann_file='a.pkl'))\n"
    )
    (tmp_path / "work").mkdir()
    canary, checkpoint = tmp_path / "canary", tmp_path / "work" / "latest.pth"
    (talking if way == "resume" else evil)(checkpoint, canary)
    port = 20000 + os.getpid() % 20000
    launch = ["-m", "torch.distributed.launch", "--nproc_per_node=1", f"--master_port={port}"]
    command = [tools / "test.py", "config.py", "-C", checkpoint] if way == "test" else [tools / "train.py", "config.py"]
    command = [*launch, ROOT / "tests" / "helpers" / "pyskl_on_cpu.py", *command]
    done = run([*command, "--launcher", "pytorch"], cwd=tmp_path)
    said = done.stdout[-2000:] + done.stderr[-4000:]
    assert not canary.exists(), said
    assert ("resumed epoch 9" if way == "resume" else "InputError") in done.stdout + done.stderr, said
