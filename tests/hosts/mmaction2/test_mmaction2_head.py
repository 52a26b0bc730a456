"""The semantic head beside the host's own head, and against the release's stored outputs."""

import numpy as np
import pytest
import torch

from pyskl_semloss.errors import InputError

try:
    from mmaction.models import I3DHead
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field
except ImportError:
    pytest.importorskip("mmaction")
    raise

CLASSES, CHANNELS, DIMENSIONS = 6, 8, 5


def vectors(classes=CLASSES, seed=0):
    return np.random.default_rng(seed).normal(size=(classes, DIMENSIONS)).astype(np.float32)


def head(**options):
    options = {"num_classes": CLASSES, "in_channels": CHANNELS, "label_vectors": vectors(), **options}
    return MODELS.build(dict(type="SemanticEmbeddingHead", **options))


def samples(labels):
    result = []
    for label in labels:
        sample = ActionDataSample()
        (getattr(sample, "set_gt_label", None) or sample.set_gt_labels)(int(label))
        result.append(sample)
    return result


def features(clips, seed=0, channels=CHANNELS):
    return torch.randn(clips, channels, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


def test_is_the_hosts_head():
    assert isinstance(head(), I3DHead)


def test_the_number_of_classes_may_be_left_to_the_label_vectors(tmp_path):
    np.save(tmp_path / "v.npy", vectors())
    torch.manual_seed(3)
    stated = head()
    for given in (vectors(), tmp_path / "v.npy"):
        torch.manual_seed(3)
        left = head(num_classes=None, label_vectors=given)
        assert left.num_classes == left.fc_cls.out_features == CLASSES
        ours, theirs = left.state_dict(), stated.state_dict()
        assert list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(InputError, match=f"expected {CLASSES + 1} classes, got {CLASSES} rows"):
        head(num_classes=CLASSES + 1)


def test_an_argument_that_no_head_has_is_refused_with_the_nearest():
    words = "SemanticEmbeddingHead has no argument 'alhpa'; did you mean 'alpha'[?] It has .*alpha.*dropout_ratio"
    with pytest.raises(InputError, match=words):
        head(alhpa=20)
    assert head(dropout_ratio=0, loss_cls=dict(type="CrossEntropyLoss", loss_weight=2.0)).loss_cls.loss_weight == 2


def test_equals_the_release(shared_dir):
    golden = np.load(shared_dir / "golden" / "released_head.npz")
    built = head(
        num_classes=32,
        in_channels=512,
        label_vectors=shared_dir / "data" / "glove" / "imigue_label_vectors.npy",
        alpha=float(golden["alpha"]),
        dropout_ratio=0,
    )
    with torch.no_grad():
        for name, parameter in (("fc_cls", built.fc_cls), ("emb_fc", built.semantic_branch.fc)):
            parameter.weight.copy_(torch.tensor(golden[f"{name}_weight"]))
            parameter.bias.copy_(torch.tensor(golden[f"{name}_bias"]))
    feats = torch.tensor(golden["features"], requires_grad=True)
    losses = built.loss(feats, samples(golden["label"]))
    np.testing.assert_allclose(built(feats).detach().numpy(), golden["cls_score"], atol=1e-5)
    # The release adds the weighted semantic loss into loss_cls.
    assert float(losses["loss_cls"].detach()) == pytest.approx(float(golden["loss_class"]), abs=1e-5)
    assert float(losses["emb_mse"]) == pytest.approx(float(golden["loss_emb"]), abs=1e-5)
    total = losses["loss_cls"] + losses["loss_emb"]
    assert float(total.detach()) == pytest.approx(float(golden["loss_total"]), abs=1e-5)
    total.backward()
    np.testing.assert_allclose(feats.grad.numpy(), golden["grad_features"], atol=1e-5)
    np.testing.assert_allclose(built.semantic_branch.fc.weight.grad.numpy(), golden["grad_emb_fc_weight"], atol=1e-5)


def test_a_label_that_is_not_one_class_is_refused():
    (sample,) = samples([0])
    (getattr(sample, "set_gt_label", None) or sample.set_gt_labels)([0, 0, 1, 0, 0, 0])
    with pytest.raises(InputError, match="'gt_label': expected one class index, got 6 numbers"):
        head().loss(features(1), [sample])


def test_only_losses_are_added_by_the_host():
    losses = head(alpha=3.0).loss(features(4), samples([0, 1, 2, 3]))
    assert {key for key in losses if "loss" in key} == {"loss_cls", "loss_emb"}
    assert not losses["emb_mse"].requires_grad
    assert float(losses["loss_emb"].detach()) == pytest.approx(3 * float(losses["emb_mse"]), rel=1e-6)


@pytest.mark.parametrize("labels", [[4], list(range(CLASSES)), [5, 0, 1]])
def test_batch_of_one_and_batch_of_as_many_as_classes(labels):
    built = head(alpha=2.0)
    feats = features(len(labels))
    pooled = feats.mean((2, 3, 4))
    embedding = built.semantic_branch(pooled).detach().numpy()
    expected = np.mean((embedding - vectors()[labels]) ** 2)
    assert float(built.loss(feats, samples(labels))["emb_mse"]) == pytest.approx(expected, rel=1e-5)


def train(cls, steps=5, **options):
    torch.manual_seed(7)
    if cls == "SemanticEmbeddingHead":
        options["label_vectors"] = vectors()
    body = torch.nn.Conv3d(4, CHANNELS, 1)
    built = MODELS.build(dict(type=cls, num_classes=CLASSES, in_channels=CHANNELS, **options))
    built.init_weights()
    optimizer = torch.optim.SGD([*body.parameters(), *built.parameters()], lr=0.5, momentum=0.9, weight_decay=1e-2)
    for step in range(steps):
        losses = built.loss(body(features(4, seed=step, channels=4)), samples([step % CLASSES, 1, 2, 5]))
        optimizer.zero_grad()
        sum(value for key, value in losses.items() if "loss" in key).backward()
        optimizer.step()
    return [body.weight, body.bias, built.fc_cls.weight, built.fc_cls.bias]


def test_alpha_zero_trains_bit_for_bit_as_the_hosts_head():
    for ours, host in zip(train("SemanticEmbeddingHead", alpha=0.0), train("I3DHead"), strict=True):
        assert torch.equal(ours, host)
    changed = train("SemanticEmbeddingHead", alpha=20.0)
    assert not torch.equal(changed[0], train("I3DHead")[0])


@pytest.mark.parametrize("average", ["prob", "score", None])
def test_multi_clip_prediction_as_the_host_and_with_semantic_scores(average):
    built = head(average_clips=average)
    host = I3DHead(CLASSES, CHANNELS, average_clips=average)
    host.load_state_dict({key: value for key, value in built.state_dict().items() if key.startswith("fc_cls")})
    built.eval(), host.eval()
    feats = features(6)
    ours, theirs = built.predict(feats, samples([0, 1])), host.predict(feats, samples([0, 1]))
    pooled = feats.mean((2, 3, 4)).reshape(2, 3, CHANNELS)
    embedding = built.semantic_branch(pooled).detach()
    e, v = (
        torch.nn.functional.normalize(embedding, dim=-1),
        torch.nn.functional.normalize(torch.tensor(vectors()), dim=-1),
    )
    cosine = e @ v.T
    distance = (embedding[:, :, None] - torch.tensor(vectors())).norm(dim=-1)
    for n in range(2):
        assert torch.equal(get_sample_field(ours[n], "pred_score"), get_sample_field(theirs[n], "pred_score"))
        near, far = ours[n].pred_semantic.cosine, ours[n].pred_semantic.distance
        expected = (cosine[n], distance[n]) if average is None else (cosine[n].mean(0), distance[n].mean(0))
        torch.testing.assert_close(near, expected[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(far, expected[1], atol=1e-5, rtol=1e-5)


def test_the_branch_reads_the_feature_before_dropout():
    built = head(dropout_ratio=0.99)
    built.train()
    first, second = (built.loss(features(4), samples([0, 1, 2, 3])) for _ in range(2))
    assert torch.equal(first["emb_mse"], second["emb_mse"])
    assert not torch.equal(first["loss_cls"], second["loss_cls"])


def test_a_checkpoint_is_whole():
    state = head().state_dict()
    np.testing.assert_array_equal(state["semantic_branch.label_vectors"].numpy(), vectors())
    other = head(label_vectors=vectors(seed=1))
    with pytest.warns(UserWarning, match="label vectors differ from the config's"):
        other.load_state_dict(state)
    np.testing.assert_array_equal(other.semantic_branch.label_vectors.numpy(), vectors())


def test_wrong_label_vectors_are_refused_when_the_model_is_built():
    for wrong in (vectors(5), vectors()[0], np.full_like(vectors(), np.inf)):
        with pytest.raises(InputError):
            head(label_vectors=wrong)
    with pytest.raises(InputError, match="nowhere.npz"):
        head(label_vectors="nowhere.npz")


@pytest.mark.parametrize(("loss", "branch"), [("cosine", "linear"), ("contrastive", "mlp")])
def test_another_loss_and_branch_are_logged_by_name_and_trained(loss, branch):
    given = head(loss=loss, branch=branch, temperature=0.2, alpha=3.0)
    label = torch.tensor([1, 0, 2])
    losses = given.loss(features(3), samples(label.tolist()))
    assert {name for name in losses if "loss" in name} == {"loss_cls", "loss_emb"} and f"emb_{loss}" in losses
    assert float(losses["loss_emb"]) == pytest.approx(3 * float(losses[f"emb_{loss}"]))
    pooled = given.pooled(features(3))
    torch.testing.assert_close(losses["loss_emb"], given.semantic_branch.loss(pooled, label)[0])
    losses["loss_emb"].backward()
    assert all(parameter.grad is not None for parameter in given.semantic_branch.parameters())
