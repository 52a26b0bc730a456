"""Checkpoints: the release's names, ours, both directions, and files that hold more than data."""

import json
import os
import pickle

import numpy as np
import pytest
import torch

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import convert_checkpoint, convert_state_dict, read_state_dict
from pyskl_semloss.semantic.loss import SemanticBranch

VECTORS = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def release_state():
    return {
        "backbone.conv1.conv.weight": torch.randn(2, 3, 1, 1, 1),
        "cls_head.fc_cls.weight": torch.randn(4, 8),
        "cls_head.fc_cls.bias": torch.randn(4),
        "cls_head.emb_fc.weight": torch.randn(5, 8),
        "cls_head.emb_fc.bias": torch.randn(5),
    }


def test_there_and_back_is_the_same(tmp_path):
    state = release_state()
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in state.items()}, "meta": {}}, tmp_path / "r.pth"
    )
    np.save(tmp_path / "v.npy", VECTORS)
    ours = convert_checkpoint(tmp_path / "r.pth", tmp_path / "o.pth", tmp_path / "v.npy")
    assert set(ours) == {
        "backbone.conv1.conv.weight", "cls_head.fc_cls.weight", "cls_head.fc_cls.bias",
        "cls_head.semantic_branch.fc.weight", "cls_head.semantic_branch.fc.bias",
        "cls_head.semantic_branch.label_vectors",
    }  # fmt: skip
    np.testing.assert_array_equal(ours["cls_head.semantic_branch.label_vectors"].numpy(), VECTORS)
    convert_checkpoint(tmp_path / "o.pth", tmp_path / "b.pth", to="release")
    back = read_state_dict(tmp_path / "b.pth")
    assert set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize(
    ("change", "vectors", "message"),
    [
        (lambda state: state.pop("cls_head.emb_fc.bias"), VECTORS, "no semantic branch.*fc.bias"),
        (
            lambda state: state.pop("cls_head.fc_cls.weight"),
            VECTORS,
            "expected a matrix cls_head.fc_cls.weight, got none",
        ),
        (
            lambda state: state.update({"cls_head.fc_cls.weight": torch.tensor(1.0)}),
            VECTORS,
            r"expected a matrix cls_head.fc_cls.weight, got the shape \(\)",
        ),
        (
            lambda state: state.update({"cls_head.semantic_branch.label_vectors": torch.ones(4)}),
            None,
            r"expected a matrix cls_head.semantic_branch.label_vectors, got the shape \(4,\)",
        ),
        (
            lambda state: state.update({"cls_head.semantic_branch.fc.bias": torch.ones(5)}),
            VECTORS,
            "the semantic branch under two names .cls_head.emb_fc.bias, cls_head.semantic_branch.fc.bias",
        ),
        (lambda state: None, None, "lacks the label vectors.*semloss label-vectors"),
        (lambda state: None, VECTORS[:3], "4"),
        (lambda state: None, VECTORS[:, :3], "5 dimensions, the label vectors have 3"),
    ],
)
def test_what_does_not_fit_is_refused(change, vectors, message):
    state = release_state()
    change(state)
    with pytest.raises(InputError, match=message):
        convert_state_dict(state, vectors)


def test_a_branch_that_is_an_mlp_keeps_its_weights_and_is_not_called_absent(tmp_path):
    branch = SemanticBranch(8, 4, VECTORS, branch="mlp")
    state = {f"cls_head.semantic_branch.{name}": value for name, value in branch.state_dict().items()}
    state["cls_head.fc_cls.weight"] = torch.randn(4, 8)
    torch.save({"state_dict": state}, tmp_path / "mlp.pth")
    ours = convert_checkpoint(tmp_path / "mlp.pth", tmp_path / "out.pth")
    assert list(ours) == list(state) and all(torch.equal(ours[name], state[name]) for name in state)
    other = convert_state_dict(state, VECTORS + 1)
    np.testing.assert_array_equal(other["cls_head.semantic_branch.label_vectors"].numpy(), VECTORS + 1)
    with pytest.raises(InputError, match="mlp.pth.*an MLP, and the release supports only a linear one"):
        convert_checkpoint(tmp_path / "mlp.pth", tmp_path / "back.pth", to="release")
    with pytest.raises(InputError, match="predicts 5 dimensions, the label vectors have 3"):
        convert_state_dict(state, VECTORS[:, :3])
    del state["cls_head.semantic_branch.fc.2.bias"]
    with pytest.raises(InputError, match="no semantic branch .*fc.2.bias are missing"):
        convert_state_dict(state)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil_was_here",)


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": release_state(), "meta": Evil()}, "evil.pth")
    with open("legacy.pth", "wb") as stream:
        pickle.dump({"state_dict": {"a": Evil()}}, stream)
    for name in ("evil.pth", "legacy.pth"):
        with pytest.raises(InputError, match=name):
            convert_checkpoint(name, "out.pth", VECTORS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pth", "legacy.pth"]


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04broken"])
def test_broken_files_are_named(tmp_path, content):
    (tmp_path / "broken.pth").write_bytes(content)
    with pytest.raises(InputError, match="broken.pth"):
        read_state_dict(tmp_path / "broken.pth")
    with pytest.raises(InputError, match="nowhere.pth.*no such file"):
        read_state_dict(tmp_path / "nowhere.pth")


def test_the_published_checkpoints_names_and_shapes(shared_dir):
    shapes = json.loads((shared_dir / "golden" / "released_joint_state_dict_shapes.json").read_text())
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    vectors = shared_dir / "data" / "glove" / "imigue_label_vectors.npy"
    ours = convert_state_dict(state, vectors)
    pytest.importorskip("mmaction")
    from mmaction.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401

    DefaultScope.get_instance("pyskl_semloss_tests", scope_name="mmaction")
    config = Config.fromfile(ROOT / "configs" / "mmaction2" / "imigue" / "joint_paper.py")
    config.model.cls_head.label_vectors = str(vectors)
    model = MODELS.build(config.model)
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == {
        name: tuple(value.shape) for name, value in ours.items()
    }
