"""The paper's comparison of methods: its runs, and the table with the published figures beside ours."""

import json

import numpy as np
import pytest
import torch

from pyskl_semloss.errors import InputError
from pyskl_semloss.io.records import write_record
from pyskl_semloss.sweep.methods import INPUTS, METHODS, MethodDescriber, plan_methods, write_methods
from pyskl_semloss.sweep.plan import run_options

SKELETONS = [
    f"{key}=release22_with_mistakes"
    for key in (
        "model.data_preprocessor.skeleton",
        *(f"{use}_dataloader.dataset.skeleton" for use in ("train", "val", "test")),
    )
]


def test_every_method_has_a_shipped_config_for_every_set():
    for data in ("imigue", "smg", "msr_action3d", "utd_mhad"):
        runs = plan_methods(f"mmaction2/{data}", inputs=INPUTS)
        assert {(run.model, run.setting.label) for run in runs} == {
            (key, name) for key, method in METHODS.items() for name in method.config
        }
        assert len(runs) == 6 * 4 + 2 * 2 and all(run.config.parent.name == data for run in runs)
        assert {run.config.stem for run in runs if run.model == "posec3d"} == {"joint_baseline", "limb_baseline"}
        assert {run.config.stem for run in runs if run.model == "semantic"} == {"joint", "limb"}


def test_a_stream_is_an_option_and_posec3d_has_none():
    runs = plan_methods("mmaction2/smg", methods=["ctrgcn", "posec3d"], inputs=["joint", "bone_motion"], seeds=[4, 2])
    assert [run.name for run in runs] == [
        f"{name}_seed{seed}_{model}"
        for seed in (4, 2)
        for model, name in (("ctrgcn", "joint"), ("ctrgcn", "bone_motion"), ("posec3d", "joint"))
    ]
    assert [run_options(run, ["a=1"]) for run in runs[:3]] == [
        ["a=1", "stream=joint"], ["a=1", "stream=bone_motion"], ["a=1"],
    ]  # fmt: skip


def test_the_published_graph_is_for_graph_networks_alone():
    runs = plan_methods("mmaction2/imigue", release_graph=True)
    assert {run.model for run in runs} == {f"{key}_published_graph" for key in METHODS if METHODS[key].is_graph_network}
    assert [run_options(run, [])[1:] for run in runs] == [SKELETONS] * 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(methods=["stgcn++"]), "--methods.*no method 'stgcn..'.*stgcnpp"),
        (dict(inputs=["bones"]), "--inputs.*no input 'bones'; did you mean 'bone'"),
        (dict(seeds=[-1]), "seeds"),
        (dict(methods=["posec3d"], inputs=["bone"]), "nothing to run"),
        (dict(methods=["posec3d"], release_graph=True), "nothing to run"),
        (dict(folder="mmaction2/imigu"), "stgcn.py.*no such config"),
    ],
)
def test_a_wrong_plan_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        plan_methods(**{"folder": "mmaction2/imigue", **change})


def finished(out, name, model, setting, seed, top1, top5, epochs=80, frames=100):
    (out / name).mkdir(parents=True)
    steps = [{"type": "KeypointStream"}, {"type": "SampleKeypointFrames", "clip_len": frames}]
    config = {"epochs": epochs, "test_dataloader": {"dataset": {"pipeline": steps}}}
    write_record(out / name / "settings.json", {"config": config})
    metrics = {"top1": top1, "top5": top5, "mean_class": top1 / 2}
    done = dict(model=model, setting=setting, vectors="baseline", alpha=None, seed=seed, metrics=metrics)
    write_record(out / name / "done.json", {**done, "checkpoint": "epoch_1.pth"})


def test_the_table_has_our_means_and_the_published_figures(tmp_path):
    finished(tmp_path, "a", "posec3d", "joint", 0, 0.5, 0.75, epochs=100, frames=48)
    finished(tmp_path, "b", "stgcn", "bone", 0, 0.25, 0.5)
    finished(tmp_path, "c", "stgcn", "joint", 0, 0.4, 0.8)
    finished(tmp_path, "d", "stgcn", "joint", 1, 0.6, 0.9)
    finished(tmp_path, "e", "stgcn_published_graph", "joint", 0, 0.125, 0.5)
    state = {
        "backbone.A": torch.zeros(3, 22, 22), "backbone.data_bn.running_mean": torch.zeros(66),
        "cls_head.fc.weight": torch.zeros(30, 1000),
    }  # fmt: skip
    torch.save({"state_dict": state}, tmp_path / "c" / "epoch_1.pth")
    write_methods(tmp_path, "imigue")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[2:7] == [
        "| ST-GCN | joint | 2 | 50.00 ± 14.14 | 85.00 ± 7.07 | 25.00 ± 7.07 | 80 | 100 | - | 46.38 / 85.47 |",
        "| ST-GCN | bone | 1 | 25.00 | 50.00 | 12.50 | 80 | 100 | - | - |",
        "| ST-GCN, published graph | joint | 1 | 12.50 | 50.00 | 6.25 | 80 | 100 | - | 46.38 / 85.47 |",
        "| PoseC3D | joint | 1 | 50.00 | 75.00 | 25.00 | 100 | 48 | - | 59.54 / 89.59 |",
        "",
    ]
    assert "probably copied" in lines[7]
    (tmp_path / "d" / "epoch_1.pth").write_bytes((tmp_path / "c" / "epoch_1.pth").read_bytes())
    write_methods(tmp_path, "smg")
    assert "| 80 | 100 | 0.03 M | 58.03 / 93.61 |" in (tmp_path / "table.md").read_text()
    (first, *_) = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert first["metrics"]["top1"] == [0.4, 0.6] and first["published"] == [58.03, 93.61] and first["seeds"] == [0, 1]
    with pytest.raises(InputError, match="no finished run"):
        write_methods(tmp_path / "c", "smg")


def test_what_a_run_depends_on(tmp_path):
    """Its epochs, stream and label vectors; methods of different epochs stand in one table."""
    np.save(tmp_path / "v.npy", np.ones((2, 3), np.float32))
    (tmp_path / "clips.pkl").write_bytes(b"clips")
    loader = {"dataset": {"ann_file": str(tmp_path / "clips.pkl")}}
    read = {f"{use}_dataloader": loader for use in ("train", "val", "test")}
    read |= {
        "train_cfg": {"max_epochs": 150},
        "model": {"cls_head": {"label_vectors": str(tmp_path / "v.npy"), "alpha": 2}},
    }
    (run, *_) = plan_methods("mmaction2/smg", methods=["dgstgcn"], inputs=["bone"])
    found = MethodDescriber(tmp_path, lambda path, options: read).describe(run)
    assert found["epochs"] is None
    config = found["config"]
    assert (config["epochs"], config["stream"], config["alpha"]) == (150, "bone", 2) and len(
        config["label_vectors"]
    ) == 64
    assert MethodDescriber(tmp_path, lambda path, options: read, epochs=3).describe(run)["config"]["epochs"] == 3
