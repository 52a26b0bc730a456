"""The semantic objective against the release's stored outputs and against autograd-free arithmetic."""

import warnings

import numpy as np
import pytest
import torch

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.loss import SemanticBranch, semantic_mse, semantic_scores


def test_mse_is_the_mean_over_batch_and_dimensions():
    rng = np.random.default_rng(0)
    embedding, vectors, label = rng.normal(size=(6, 5)), rng.normal(size=(4, 5)), np.array([3, 0, 0, 1, 2, 3])
    expected = np.mean([(embedding[n, d] - vectors[label[n], d]) ** 2 for n in range(6) for d in range(5)])
    result = semantic_mse(torch.tensor(embedding), torch.tensor(label), torch.tensor(vectors))
    assert float(result) == pytest.approx(expected, rel=1e-6)


def test_shapes_that_would_broadcast_are_refused():
    vectors = torch.zeros(4, 5)
    for embedding, label in (((1, 5), 3), ((4, 1), 4), ((4, 4), 4), ((5, 5), 4), ((4, 6), 4)):
        with pytest.raises(InputError, match=r"of shape \(N, 5\) and labels \(N,\), got"):
            semantic_mse(torch.zeros(embedding), torch.zeros(label, dtype=torch.long), vectors)
    for label in (torch.zeros(4, 1, dtype=torch.long), torch.tensor(1)):
        with pytest.raises(InputError, match="expected embeddings"):
            semantic_mse(torch.zeros(4, 5), label, vectors)


@pytest.mark.parametrize("dimensions", [5, 300])
def test_scores_are_cosine_and_distance(dimensions):
    rng = np.random.default_rng(1)
    embedding, vectors = rng.normal(size=(3, dimensions)).astype("f"), rng.normal(size=(4, dimensions)).astype("f")
    cosine, distance = semantic_scores(torch.tensor(embedding), torch.tensor(vectors))
    for n in range(3):
        for c in range(4):
            e, v = embedding[n], vectors[c]
            assert float(cosine[n, c]) == pytest.approx(e @ v / np.linalg.norm(e) / np.linalg.norm(v), abs=1e-5)
            assert float(distance[n, c]) == pytest.approx(np.linalg.norm(e - v), rel=1e-5)


def test_scores_of_other_shapes_are_refused():
    wrong = [((3, 4), (4, 5)), ((3, 6), (4, 5)), ((5,), (4, 5)), ((2, 3, 5), (4, 5)), ((2, 5, 3), (4, 5))]
    for embedding, vectors in (*wrong, ((3, 5), (5,)), ((3, 5), (4, 5, 2))):
        with pytest.raises(InputError, match=r"'embedding': expected embeddings \(N, D\) and label vectors \(C, D\)"):
            semantic_scores(torch.zeros(embedding), torch.zeros(vectors))


def test_branch_draws_nothing_from_the_global_generator():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    branch = SemanticBranch(8, 4, np.ones((4, 5), np.float32))
    assert torch.equal(torch.get_rng_state(), before)
    other = SemanticBranch(8, 4, np.ones((4, 5), np.float32))
    assert torch.equal(branch.fc.weight, other.fc.weight)
    torch.manual_seed(4)
    other.init_weights()
    assert not torch.equal(branch.fc.weight, other.fc.weight)
    assert 0.005 < float(branch.fc.weight.std()) < 0.015 and not branch.fc.bias.any()


@pytest.mark.parametrize("seed", [3, 2**62 + 5, 2**63 + 5])
def test_the_weights_follow_the_global_seed(seed):
    torch.manual_seed(seed)
    branch = SemanticBranch(8, 4, np.ones((4, 5), np.float32), init_std=0.5)
    expected = torch.randn((5, 8), generator=torch.Generator().manual_seed(seed % 2**63)) * 0.5
    assert torch.equal(branch.fc.weight, expected) and not branch.fc.bias.any()


def test_alpha_weighs_the_loss_and_not_the_error_that_is_logged():
    pooled, label = torch.ones(2, 8), torch.tensor([1, 3])
    assert SemanticBranch(8, 4, np.ones((4, 5), np.float32)).alpha == 20
    for alpha in (0, 0.5):
        branch = SemanticBranch(8, 4, np.ones((4, 5), np.float32), alpha)
        loss, mse = branch.loss(pooled, label)
        assert float(mse) > 0.5 and float(loss) == alpha * float(mse)
        assert loss.requires_grad and not mse.requires_grad


def test_other_label_vectors_of_a_checkpoint_replace_the_configs_with_a_warning():
    ones, twos = (SemanticBranch(8, 4, np.full((4, 5), value, np.float32)) for value in (1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ones.load_state_dict(ones.state_dict())
        old = {name: value for name, value in twos.state_dict().items() if name != "label_vectors"}
        assert ones.load_state_dict(old, strict=False).missing_keys == ["label_vectors"]
    with pytest.warns(UserWarning, match="label vectors differ from the config's and replace them") as caught:
        ones.load_state_dict(twos.state_dict())
    assert len(caught) == 1 and torch.equal(ones.label_vectors, torch.full((4, 5), 2.0))


@pytest.mark.parametrize(
    ("vectors", "alpha", "message"),
    [
        (np.ones((5, 3)), 20.0, "4"),
        (np.ones(4), 20.0, "label"),
        (np.full((4, 3), np.nan), 20.0, "NaN|finite"),
        (np.ones((4, 3)), -1.0, "'alpha'"),
        (np.ones((4, 3)), float("nan"), "'alpha'"),
    ],
)
def test_wrong_arguments_are_refused_at_construction(vectors, alpha, message):
    with pytest.raises(InputError, match=message):
        SemanticBranch(8, 4, vectors, alpha)


def test_equals_the_release(shared_dir):
    golden = np.load(shared_dir / "golden" / "released_head.npz")
    vectors = np.load(shared_dir / "data" / "glove" / "imigue_label_vectors.npy")
    branch = SemanticBranch(512, 32, vectors, float(golden["alpha"]))
    branch.fc.weight.data.copy_(torch.tensor(golden["emb_fc_weight"]))
    branch.fc.bias.data.copy_(torch.tensor(golden["emb_fc_bias"]))
    pooled = torch.tensor(golden["features"]).mean((2, 3, 4))
    loss, mse = branch.loss(pooled, torch.tensor(golden["label"]))
    np.testing.assert_allclose(branch(pooled).detach().numpy(), golden["emb_score"], atol=1e-5)
    assert float(mse) == pytest.approx(float(golden["loss_emb"]), abs=1e-5)
    assert float(loss) == pytest.approx(20 * float(golden["loss_emb"]), abs=1e-4)
    loss.backward()
    np.testing.assert_allclose(branch.fc.weight.grad.numpy(), golden["grad_emb_fc_weight"], atol=1e-5)
