"""PySKL's own tools, unmodified, from annotation file to fused scores; on CPUs by tests/helpers/pyskl_on_cpu.py."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, read_annotations, write_annotations

try:
    import pyskl
    import torch

    import pyskl_semloss.hosts.pyskl  # noqa: F401
    from pyskl_semloss.hosts.checkpoints import read_state_dict
except ImportError:
    pytest.importorskip("pyskl")
    raise

TOOLS = Path(pyskl.__file__).resolve().parents[1] / "tools"
ON_CPU = ROOT / "tests" / "helpers" / "pyskl_on_cpu.py"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="needs PySKL's tools/ beside its package")


def run(*command, processes=0, cwd=None, code=0):
    """Run one of PySKL's tools on CPUs, or (processes=0) any other command; returns its output."""
    port = 20000 + os.getpid() % 20000
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
    env["PYTHONPATH"] = os.pathsep.join([str(TOOLS.parent), str(ROOT), env.get("PYTHONPATH", "")])
    if processes:
        launch = ["-m", "torch.distributed.launch", f"--nproc_per_node={processes}", f"--master_port={port}"]
        command = [sys.executable, *launch, ON_CPU, *command, "--launcher", "pytorch"]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=env, timeout=600, cwd=cwd
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory, shared_dir):
    """A few real clips, label vectors, and configs that inherit from ours."""
    folder = tmp_path_factory.mktemp("pyskl")
    full, _ = read_annotations(shared_dir / "data" / "msr_action3d" / "msr_action3d.pkl", off_image="drop")
    train, test = full.splits["xsub_train"][::9], full.splits["xsub_test"][::12]
    clips = [clip for clip in full.clips if clip.frame_dir in {*train, *test}]
    write_annotations(folder / "a.pkl", AnnotationSet({"xsub_train": train, "xsub_test": test}, clips))
    np.save(folder / "v.npy", np.random.default_rng(0).normal(size=(20, 12)).astype(np.float32))
    return folder


def config(folder, name, epochs=1, extra="", modality="joint"):
    """Write a config as a user would who has few clips; returns its path."""
    path = folder / f"{name}.py"
    path.write_text(f"""
_base_ = "{ROOT}/configs/pyskl/msr_action3d/{modality}.py"
work_dir = "work_dirs/{name}"
total_epochs = {epochs}
model = dict(cls_head=dict(label_vectors="v.npy"))
evaluation = dict(interval=1, save_best="top1_acc", tmpdir="tmp_{name}")
log_config = dict(interval=1)
data = dict(
    workers_per_gpu=1,
    train=dict(ann_file="a.pkl"), val=dict(ann_file="a.pkl"), test=dict(ann_file="a.pkl"),
)
{extra}
""")
    return path.name


def train(folder, name, *flags, processes=1):
    return run(TOOLS / "train.py", name, "--validate", "--seed", 0, *flags, processes=processes, cwd=folder)


def test_(folder, name, checkpoint, *flags, processes=1):
    return run(
        TOOLS / "test.py", name, "-C", checkpoint, "--tmpdir", "tmp_test", *flags, processes=processes, cwd=folder
    )


test_.__test__ = False


@pytest.fixture(scope="module")
def trained(folder):
    """Joint and limb models of one epoch, and what training the first printed."""
    out = train(folder, config(folder, "joint"))
    train(folder, config(folder, "limb", modality="limb"))
    return out


def test_training_logs_both_terms_and_validates(trained, folder):
    assert "loss_cls:" in trained and "loss_emb:" in trained and "emb_mse:" in trained and "top1_acc:" in trained
    state = read_state_dict(folder / "work_dirs" / "joint" / "latest.pth")
    np.testing.assert_array_equal(state["cls_head.semantic_branch.label_vectors"].numpy(), np.load(folder / "v.npy"))


def test_result_pkl_goes_straight_into_the_fusion(trained, folder):
    scores = {}
    for name in ("joint", "limb"):
        out = test_(folder, f"{name}.py", f"work_dirs/{name}/latest.pth")
        printed = [float(line.split()[1]) for line in out.splitlines() if line.startswith("top1_acc:")]
        with open(folder / "work_dirs" / name / "result.pkl", "rb") as stream:
            scores[name] = np.stack(pickle.load(stream))
        labels = [clip.label for clip in read_annotations(folder / "a.pkl", split="xsub_test")[0].clips]
        assert printed == [pytest.approx(np.mean(scores[name].argmax(1) == labels), abs=1e-4)]
    table = run(
        sys.executable, ROOT / "tools" / "fuse_scores.py", "work_dirs/joint/result.pkl", "work_dirs/limb/result.pkl",
        "--weights", 2, 3, "--ann-file", "a.pkl", "--split", "xsub_test", "--out", "fused.npz", cwd=folder,
    )  # fmt: skip
    fused = np.mean((0.4 * scores["joint"] + 0.6 * scores["limb"]).argmax(1) == labels)
    line = next(line for line in table.splitlines() if line.startswith("fusion"))
    assert float(line.split()[1]) == pytest.approx(100 * fused, abs=0.01)
    with np.load(folder / "fused.npz", allow_pickle=False) as written:
        assert [str(name) for name in written["sample_id"]] == [
            clip.frame_dir for clip in read_annotations(folder / "a.pkl", split="xsub_test")[0].clips
        ]


def test_two_processes_give_the_scores_of_one(trained, folder):
    test_(folder, "joint.py", "work_dirs/joint/latest.pth", "--out", "one.pkl")
    test_(folder, "joint.py", "work_dirs/joint/latest.pth", "--out", "two.pkl", processes=2)
    one, two = (pickle.loads((folder / name).read_bytes()) for name in ("one.pkl", "two.pkl"))
    np.testing.assert_allclose(np.stack(one), np.stack(two), atol=1e-6)


def test_two_processes_train_and_keep_one_model(folder):
    out = train(folder, config(folder, "two"), processes=2)
    assert "loss_emb:" in out and (folder / "work_dirs" / "two" / "epoch_1.pth").is_file()


def test_training_goes_on_from_its_own_checkpoint(trained, folder):
    """The checkpoint notes the best accuracy, a numpy number, which torch from 2.6 on refuses on its own."""
    config(folder, "joint", epochs=2)
    out = train(folder, "joint.py")
    assert "resumed epoch 1" in out and "Epoch [2]" in out and "Epoch [1]" not in out
    assert torch.load(folder / "work_dirs" / "joint" / "epoch_2.pth", weights_only=True)["meta"]["epoch"] == 2


def test_repeated_data_set(folder):
    extra = """
clips = dict(
    ann_file="a.pkl", split="xsub_train", skeleton="kinect20", modality="joint", num_classes=20, off_image="drop",
    binary_score=True, pipeline={{_base_.train_pipeline}}, type="KeypointDataset",
)
data = dict(
    workers_per_gpu=1, train=dict(_delete_=True, type="RepeatDataset", times=2, dataset=clips),
    val=dict(ann_file="a.pkl"), test=dict(ann_file="a.pkl"),
)
"""
    out = train(folder, config(folder, "repeated", extra=extra))
    assert "Epoch [1][5/5]" in out  # 33 clips twice, in batches of 16


def test_compiled_training_and_testing(folder):
    name = config(folder, "compiled")
    out = train(folder, name, "--compile")
    assert "loss_emb:" in out
    test_(folder, name, "work_dirs/compiled/latest.pth", "--compile", "--out", "compiled.pkl")
    # The host saves a compiled model under other names, which it finds in a compiled model alone; the tool mends that.
    run(sys.executable, ROOT / "tools" / "convert_checkpoint.py", "work_dirs/compiled/latest.pth", "c.pth", cwd=folder)
    test_(folder, name, "c.pth", "--out", "plain.pkl")
    compiled, plain = (pickle.loads((folder / name).read_bytes()) for name in ("compiled.pkl", "plain.pkl"))
    np.testing.assert_allclose(np.stack(compiled), np.stack(plain), atol=1e-5)


def test_a_graph_network_on_a_stream_chosen_by_the_environment(folder, monkeypatch):
    """PySKL's own network and tools, our layout; the stream is in the file of scores' folder and in the clips."""
    (folder / "graph.py").write_text(f"""
_base_ = "{ROOT}/configs/pyskl/msr_action3d/stgcnpp.py"
total_epochs = 1
evaluation = dict(interval=1, save_best="top1_acc", tmpdir="tmp_graph")
log_config = dict(interval=1)
data = dict(
    workers_per_gpu=1,
    train=dict(ann_file="a.pkl"), val=dict(ann_file="a.pkl"), test=dict(ann_file="a.pkl"),
)
""")
    losses = {}
    for stream in ("joint", "bone_motion"):
        monkeypatch.setenv("STREAM", stream)
        out = train(folder, "graph.py")
        losses[stream] = [
            line.split("loss_cls: ")[1].split(",")[0] for line in out.splitlines() if "loss_cls: " in line
        ]
        assert "loss_emb" not in out and "top1_acc:" in out
        work_dir = folder / "work_dirs" / "msr_action3d" / "stgcnpp" / stream
        test_(folder, "graph.py", work_dir / "latest.pth")
        with open(work_dir / "result.pkl", "rb") as stream_:
            scores = np.stack(pickle.load(stream_))
        assert scores.shape[1] == 20 and np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert len(losses["joint"]) >= 1 and losses["joint"] != losses["bone_motion"]


def test_a_gpu_given_by_its_number_is_understood():
    """What mmcv hands to torch for each batch on a GPU; here there is none, so there is no stream, either."""
    from mmcv.parallel import _functions

    assert _functions._get_stream(0) is None
