"""The semantic head under PySKL's own recogniser, beside PySKL's own head, and against the release's stored outputs."""

import copy
import json

import numpy as np
import pytest
import torch

from helpers import ROOT
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.checkpoints import convert_state_dict

try:
    from mmcv import Config
    from pyskl.models import build_model
    from pyskl.models.builder import HEADS
    from pyskl.models.heads import I3DHead
    from pyskl.models.recognizers import Recognizer3D

    import pyskl_semloss.hosts.pyskl  # noqa: F401
except ImportError:
    pytest.importorskip("pyskl")
    raise

CLASSES, CHANNELS, DIMENSIONS = 6, 32, 5


def vectors(classes=CLASSES, seed=0):
    return np.random.default_rng(seed).normal(size=(classes, DIMENSIONS)).astype(np.float32)


def head(**options):
    options = {"num_classes": CLASSES, "in_channels": CHANNELS, "label_vectors": vectors(), **options}
    return HEADS.build(dict(type="SemanticEmbeddingHead", **options))


def features(clips, seed=0):
    return torch.randn(clips, CHANNELS, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


def recogniser(kind="SemanticEmbeddingHead", test_cfg=None, seed=3, **options):
    """PySKL's own recogniser and backbone, small, and one of the two heads."""
    torch.manual_seed(seed)
    if kind == "SemanticEmbeddingHead":
        options = {"label_vectors": vectors(), **options}
    model = build_model(
        dict(
            type="Recognizer3D",
            backbone=dict(
                type="ResNet3dSlowOnly", depth=50, pretrained=None, in_channels=3, base_channels=4, num_stages=2,
                out_indices=(1,), stage_blocks=(1, 1), conv1_stride=(1, 1), pool1_stride=(1, 1), inflate=(0, 1),
                spatial_strides=(2, 2), temporal_strides=(1, 1),
            ),
            cls_head=dict(type=kind, num_classes=CLASSES, in_channels=CHANNELS, **options),
            test_cfg=test_cfg or {},
        )
    )  # fmt: skip
    assert type(model) is Recognizer3D and isinstance(model.cls_head, I3DHead)
    return model


def batch(clips=4, seed=0, views=1):
    generator = torch.Generator().manual_seed(seed)
    imgs = torch.rand(clips, views, 3, 4, 8, 8, generator=generator)
    return dict(imgs=imgs, label=torch.randint(CLASSES, (clips, 1), generator=generator))


def train(model, steps=4, clips=4):
    torch.manual_seed(11)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    logs = []
    for step in range(steps):
        out = model.train_step(batch(clips, seed=step), optimizer)
        optimizer.zero_grad()
        out["loss"].backward()
        optimizer.step()
        logs.append(out["log_vars"])
    return logs


def shared_weights(model):
    return {key: value for key, value in model.state_dict().items() if "semantic_branch" not in key}


def test_the_number_of_classes_may_be_left_to_the_label_vectors():
    torch.manual_seed(3)
    stated = head()
    torch.manual_seed(3)
    left = head(num_classes=None)
    assert left.num_classes == left.fc_cls.out_features == CLASSES
    ours, theirs = left.state_dict(), stated.state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(InputError, match=f"expected {CLASSES + 1} classes, got {CLASSES} rows"):
        head(num_classes=CLASSES + 1)


def test_a_label_without_a_vector_is_refused():
    built = head(num_classes=None)
    with pytest.raises(InputError, match=f"'label': expected labels from 0 to {CLASSES - 1}.*got {CLASSES}. Build"):
        built.loss(built(features(2)), torch.tensor([0, CLASSES]))


def test_an_argument_that_no_head_has_is_refused_with_the_nearest():
    words = "SemanticEmbeddingHead has no argument 'alhpa'; did you mean 'alpha'[?] It has .*alpha.*dropout"
    with pytest.raises(InputError, match=words):
        head(alhpa=20)
    assert head(dropout=0, loss_cls=dict(type="CrossEntropyLoss", loss_weight=2.0)).loss_cls.loss_weight == 2


def test_equals_the_release(shared_dir):
    golden = np.load(shared_dir / "golden" / "released_head.npz")
    built = head(
        num_classes=32,
        in_channels=512,
        label_vectors=shared_dir / "data" / "glove" / "imigue_label_vectors.npy",
        alpha=float(golden["alpha"]),
        dropout=0,
    )
    with torch.no_grad():
        for name, layer in (("fc_cls", built.fc_cls), ("emb_fc", built.semantic_branch.fc)):
            layer.weight.copy_(torch.tensor(golden[f"{name}_weight"]))
            layer.bias.copy_(torch.tensor(golden[f"{name}_bias"]))
    feats = torch.tensor(golden["features"], requires_grad=True)
    scores = built(feats)
    losses = built.loss(scores, torch.tensor(golden["label"]))
    np.testing.assert_allclose(scores.detach().numpy(), golden["cls_score"], atol=1e-5)
    # The release adds the weighted semantic loss into loss_cls.
    assert float(losses["loss_cls"].detach()) == pytest.approx(float(golden["loss_class"]), abs=1e-5)
    assert float(losses["emb_mse"]) == pytest.approx(float(golden["loss_emb"]), abs=1e-5)
    total = losses["loss_cls"] + losses["loss_emb"]
    assert float(total.detach()) == pytest.approx(float(golden["loss_total"]), abs=1e-5)
    total.backward()
    np.testing.assert_allclose(feats.grad.numpy(), golden["grad_features"], atol=1e-5)
    np.testing.assert_allclose(built.semantic_branch.fc.weight.grad.numpy(), golden["grad_emb_fc_weight"], atol=1e-5)


def test_alpha_zero_trains_bit_for_bit_as_the_hosts_head():
    ours, host = recogniser(alpha=0.0), recogniser("I3DHead")
    for mine, theirs in zip(train(ours), train(host), strict=True):
        assert {key: mine[key] for key in theirs} == theirs
        assert mine["loss_emb"] == 0 and mine["emb_mse"] > 0
    mine, theirs = shared_weights(ours), shared_weights(host)
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    changed = recogniser(alpha=20.0)
    train(changed)
    assert not torch.equal(changed.backbone.conv1.conv.weight, host.backbone.conv1.conv.weight)


def test_the_recogniser_adds_the_two_losses_alone():
    model = recogniser(alpha=3.0)
    losses = model(**batch())
    assert {key for key in losses if "loss" in key} == {"loss_cls", "loss_emb"}
    assert not losses["emb_mse"].requires_grad
    assert float(losses["loss_emb"].detach()) == pytest.approx(3 * float(losses["emb_mse"]), rel=1e-6)
    torch.manual_seed(0)
    log = model.train_step(batch(), None)["log_vars"]
    assert log["loss"] == pytest.approx(log["loss_cls"] + log["loss_emb"], rel=1e-6)
    assert {"top1_acc", "top5_acc", "emb_mse"} <= set(log)


@pytest.mark.parametrize("clips", [1, CLASSES, 3])
def test_batch_of_one_and_batch_of_as_many_as_classes(clips):
    """The recogniser squeezes the label (N, 1): of one clip nothing is left of its shape."""
    model = recogniser(alpha=2.0, dropout=0)
    model.eval()
    data = batch(clips, seed=5)
    losses = model(**data)
    with torch.no_grad():
        pooled = model.extract_feat(data["imgs"].flatten(0, 1)).mean((2, 3, 4))
        embedding, scores = model.cls_head.semantic_branch(pooled), model.cls_head.fc_cls(pooled)
    label = data["label"][:, 0]
    expected = np.mean((embedding.numpy() - vectors()[label.numpy()]) ** 2)
    assert float(losses["emb_mse"]) == pytest.approx(expected, rel=1e-5)
    own = -scores.log_softmax(1)[range(clips), label].mean()
    assert float(losses["loss_cls"].detach()) == pytest.approx(float(own), rel=1e-5)
    assert "top1_acc" in losses


def test_the_branch_reads_the_feature_before_dropout():
    built, label = head(dropout=0.99), torch.tensor([0, 1, 2, 3])
    built.train()
    first, second = (built.loss(built(features(4)), label) for _ in range(2))
    assert torch.equal(first["emb_mse"], second["emb_mse"])
    assert not torch.equal(first["loss_cls"], second["loss_cls"])


@pytest.mark.parametrize("label", [torch.full((4, CLASSES), 1 / CLASSES), torch.zeros(CLASSES), torch.zeros(5).long()])
def test_labels_that_are_not_one_class_for_each_clip_are_refused(label):
    built = head()
    scores = built(features(1 if label.shape == (CLASSES,) else 4))
    with pytest.raises(InputError, match=r"'label': expected one class index for each of \d clips"):
        built.loss(scores, label)


def test_loss_of_other_scores_is_refused():
    built, label = head(), torch.tensor([0, 1, 2, 3])
    with pytest.raises(InputError, match="'cls_score'"):
        built.loss(torch.zeros(4, CLASSES), label)
    scores = built(features(4))
    with pytest.raises(InputError, match="'cls_score'"):
        built.loss(scores[:3], label[:3])
    built.loss(built(features(4)), label)
    with pytest.raises(InputError, match="'cls_score'"):  # the feature serves once
        built.loss(scores, label)


def with_weights_of(model, **options):
    other = recogniser("I3DHead", seed=99, **options)
    other.load_state_dict(shared_weights(model))
    return other.eval()


@pytest.mark.parametrize("average", ["prob", "score", None])
def test_multi_clip_scores_are_the_hosts(average):
    test_cfg = dict(average_clips=average)
    model = recogniser(test_cfg=test_cfg)
    train(model, steps=2)
    model.eval()
    host = with_weights_of(model, test_cfg=test_cfg)
    imgs = batch(2, views=5)["imgs"]
    with torch.no_grad():
        ours, theirs = model(imgs, return_loss=False), host(imgs, return_loss=False)
    assert ours.shape == ((2, 5, CLASSES) if average is None else (2, CLASSES))
    np.testing.assert_array_equal(ours, theirs)


def test_few_views_at_a_time_give_the_same_scores():
    full = recogniser().eval()
    few = recogniser(test_cfg=dict(max_testing_views=2)).eval()
    imgs = batch(1, views=5)["imgs"]
    with torch.no_grad():
        np.testing.assert_allclose(few(imgs, return_loss=False), full(imgs, return_loss=False), atol=1e-6)


def test_feature_extraction_is_the_hosts():
    test_cfg = dict(feat_ext=True)
    model = recogniser(test_cfg=test_cfg).eval()
    host = with_weights_of(model, test_cfg=test_cfg)
    imgs = batch(2, views=3)["imgs"]
    with torch.no_grad():
        ours, theirs = model(imgs, return_loss=False), host(imgs, return_loss=False)
    assert ours.shape == (2, CHANNELS)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["pooled", "views"])
def test_features_that_are_pooled_already_are_taken_as_the_host_takes_them(kind):
    built = head(dropout=0)
    host = I3DHead(CLASSES, CHANNELS, dropout=0)
    host.load_state_dict(built.fc_cls.state_dict(prefix="fc_cls."))
    views = [torch.randn(count, CHANNELS) for count in (2, 3, 1)]
    x = views if kind == "views" else torch.randn(3, CHANNELS)
    pooled = torch.stack([item.mean(0) for item in views]) if kind == "views" else x
    scores = built(x)
    assert torch.equal(scores, host(x))
    label = torch.tensor([2, 0, 5])
    embedding = built.semantic_branch(pooled).detach().numpy()
    expected = np.mean((embedding - vectors()[label.numpy()]) ** 2)
    assert float(built.loss(scores, label)["emb_mse"]) == pytest.approx(expected, rel=1e-5)


def test_the_published_checkpoints_names_and_shapes(shared_dir):
    shapes = json.loads((shared_dir / "golden" / "released_joint_state_dict_shapes.json").read_text())
    label_vectors = shared_dir / "data" / "glove" / "imigue_label_vectors.npy"
    released = convert_state_dict({name: torch.zeros(shape) for name, shape in shapes.items()}, label_vectors)
    config = Config.fromfile(str(ROOT / "configs" / "pyskl" / "imigue" / "joint_paper.py"))
    config.model.cls_head.label_vectors = str(label_vectors)
    state = build_model(config.model).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        name: tuple(value.shape) for name, value in released.items()
    }


def test_a_model_can_be_copied_after_a_step_and_after_scores():
    model = recogniser()
    train(model, steps=1)
    with torch.no_grad():
        model.eval()(batch()["imgs"], return_loss=False)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        imgs = batch(seed=9)["imgs"]
        np.testing.assert_array_equal(twin(imgs, return_loss=False), model(imgs, return_loss=False))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("average", ["prob", "score", None])
def test_autocast_trains_and_tests_with_losses_in_float32(dtype, average):
    model = recogniser(test_cfg=dict(average_clips=average), dropout=0)
    full = model.eval()(**batch())
    with torch.autocast("cpu", dtype):
        losses = model(**batch())
        assert losses["loss_emb"].dtype == losses["emb_mse"].dtype == losses["loss_cls"].dtype == torch.float32
        sum(value for key, value in losses.items() if "loss" in key).backward()
        with torch.no_grad():
            scores = model(batch()["imgs"], return_loss=False)
    assert float(losses["loss_emb"].detach()) == pytest.approx(float(full["loss_emb"].detach()), rel=0.02)
    assert np.isfinite(scores).all() and torch.isfinite(model.cls_head.semantic_branch.fc.weight.grad).all()


def test_a_compiled_model_trains_as_the_plain_one():
    """What ``--compile`` does, without the compiler's back end: the feature is kept across two calls of the head."""
    plain, compiled = recogniser(dropout=0), recogniser(dropout=0)
    inner = compiled
    compiled = torch.compile(compiled, backend="eager")
    for step in range(2):
        expected, losses = plain(**batch(seed=step)), compiled(**batch(seed=step))
        for key in ("loss_cls", "loss_emb"):
            assert float(losses[key].detach()) == pytest.approx(float(expected[key].detach()), rel=1e-5)
    (losses["loss_cls"] + losses["loss_emb"]).backward()
    assert inner.backbone.conv1.conv.weight.grad.abs().sum() > 0


def test_a_checkpoint_is_whole():
    state = head().state_dict()
    np.testing.assert_array_equal(state["semantic_branch.label_vectors"].numpy(), vectors())
    with pytest.raises(InputError, match="label_vectors"):
        head(label_vectors=vectors(5))
    other = head(label_vectors=vectors(seed=1))
    with pytest.warns(UserWarning, match="label vectors differ from the config's"):
        other.load_state_dict(state)
    np.testing.assert_array_equal(other.semantic_branch.label_vectors.numpy(), vectors())
