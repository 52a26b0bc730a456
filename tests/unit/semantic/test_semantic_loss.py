"""The semantic objective against the release's stored outputs and against autograd-free arithmetic."""

import warnings

import numpy as np
import pytest
import torch

from pyskl_semloss.errors import InputError
from pyskl_semloss.semantic.loss import (
    LOSSES,
    SemanticBranch,
    name_probabilities,
    register_loss,
    semantic_contrastive,
    semantic_cosine,
    semantic_mse,
    semantic_scores,
)


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


def some(seed=0, count=6, classes=4, dimensions=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dimensions)), rng.integers(0, classes, count), rng.normal(size=(classes, dimensions))


def test_cosine_and_contrastive_are_what_their_formulas_say():
    embedding, label, vectors = some()
    cosine = np.array([[e @ v / np.linalg.norm(e) / np.linalg.norm(v) for v in vectors] for e in embedding])
    own = cosine[np.arange(6), label]
    given = torch.tensor(embedding), torch.tensor(label), torch.tensor(vectors)
    assert float(semantic_cosine(*given)) == pytest.approx(np.mean(1 - own), rel=1e-5)
    for temperature in (0.05, 0.1, 2.0):
        expected = np.mean(np.log(np.exp(cosine / temperature).sum(1)) - own / temperature)
        assert float(semantic_contrastive(*given, temperature)) == pytest.approx(expected, rel=1e-4)
    probabilities = name_probabilities(torch.tensor(cosine), 0.5).numpy()
    np.testing.assert_allclose(probabilities, np.exp(cosine * 2) / np.exp(cosine * 2).sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_every_loss_is_least_at_the_vectors_of_the_classes_and_refuses_what_would_broadcast(loss):
    embedding, label, vectors = (torch.tensor(value) for value in some())
    best = float(loss(vectors[label], label, vectors))
    for step in (0.1, 1.0, 10.0):
        assert float(loss(vectors[label] + step * embedding, label, vectors)) > best
    with pytest.raises(InputError, match="expected embeddings"):
        loss(embedding[:1], label, vectors)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(embedding.bfloat16(), label, vectors.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("loss", "log_name"), [("mse", "emb_mse"), ("cosine", "emb_cosine"), ("contrastive", "emb_contrastive")]
)
def test_a_branch_with_another_loss_trains_and_is_logged_by_its_name(loss, log_name):
    embedding, label, vectors = some(count=8)
    branch = SemanticBranch(5, 4, vectors, alpha=3.0, loss=loss, temperature=0.3)
    assert branch.log_name == f"emb_{loss}" and "loss" not in branch.log_name
    pooled, label = torch.tensor(embedding, dtype=torch.float32), torch.tensor(label)
    optimizer = torch.optim.SGD(branch.parameters(), lr=0.05)
    errors = []
    for _ in range(60):
        weighted, error = branch.loss(pooled, label)
        assert float(weighted) == pytest.approx(3 * float(error)) and not error.requires_grad
        optimizer.zero_grad()
        weighted.backward()
        optimizer.step()
        errors.append(float(error))
    assert errors[-1] < 0.8 * errors[0]
    if loss == "contrastive":
        expected = semantic_contrastive(branch(pooled), label, branch.label_vectors, 0.3)
        assert float(branch.loss(pooled, label)[1]) == pytest.approx(float(expected))


def test_a_loss_of_ones_own():
    def huber_loss(embedding, label, label_vectors):
        return torch.nn.functional.huber_loss(embedding, label_vectors[label])

    embedding, label, vectors = some()
    branch = SemanticBranch(5, 4, vectors, loss=huber_loss)
    pooled = torch.tensor(embedding, dtype=torch.float32)
    expected = huber_loss(branch(pooled), torch.tensor(label), branch.label_vectors)
    assert branch.log_name == "emb_huber"
    assert float(branch.loss(pooled, torch.tensor(label))[1]) == pytest.approx(float(expected))
    with pytest.raises(InputError, match="without 'loss'"):
        register_loss("huber_loss", huber_loss)
    try:
        register_loss("huber", huber_loss)
        register_loss("huber", huber_loss)  # a config that is read twice registers it twice
        assert SemanticBranch(5, 4, vectors, loss="huber").log_name == "emb_huber"
        with pytest.raises(InputError, match="there is another loss of the name 'huber'"):
            register_loss("huber", semantic_mse)
    finally:
        LOSSES.pop("huber", None)


@pytest.mark.parametrize(("loss", "alike"), [("cosine", 1.5), ("contrastive", 0.44)])
def test_the_papers_alpha_with_another_loss_is_warned_of_with_one_that_weighs_alike(loss, alike):
    vectors = np.random.default_rng(0).normal(size=(32, 300))
    words = f"alpha 20 was tuned for the mean squared error; .*alpha={alike:g} weighs"
    with pytest.warns(UserWarning, match=words) as caught:
        SemanticBranch(8, 32, vectors, loss=loss)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        branch = SemanticBranch(8, 32, vectors, alpha=alike, loss=loss, rescale=True)
        paper = SemanticBranch(8, 32, vectors, rescale=True)
    pooled, label = torch.randn(64, 8), torch.arange(32).repeat(2)
    ratio = float(branch.loss(pooled, label)[0]) / float(paper.loss(pooled, label)[0])
    assert 0.8 < ratio < 1.25


def test_what_cannot_be_chosen_is_refused():
    vectors = np.ones((4, 5), np.float32)
    for arguments, words in (
        ({"loss": "cosin"}, "there is no loss 'cosin'; did you mean 'cosine'"),
        ({"loss": 3}, "expected the name of a loss or a function, got 3"),
        ({"branch": "conv"}, "expected 'linear' or 'mlp', got 'conv'"),
        ({"temperature": 0}, "expected a finite number above 0, got 0"),
        ({"temperature": float("nan")}, "expected a finite number above 0, got nan"),
    ):
        with pytest.raises(InputError, match=words):
            SemanticBranch(8, 4, vectors, **arguments)


def test_the_mlp_is_linear_tanh_linear_and_starts_in_the_tanhs_range():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    branch = SemanticBranch(64, 4, np.ones((4, 5), np.float32), branch="mlp")
    assert torch.equal(torch.get_rng_state(), before)
    first, last = branch.fc[0], branch.fc[2]
    pooled = torch.randn(7, 64)
    hidden = torch.tanh(pooled @ first.weight.T + first.bias)
    torch.testing.assert_close(branch(pooled), hidden @ last.weight.T + last.bias)
    assert first.weight.shape == (64, 64) and 0.3 < float(hidden.std()) < 0.9
    assert float(last.weight.std()) < 0.02
    again = SemanticBranch(64, 4, np.ones((4, 5), np.float32), branch="mlp")
    assert not torch.equal(first.weight, last.weight[:1].expand_as(first.weight))
    torch.manual_seed(5)
    again.init_weights()
    assert torch.equal(again.fc[0].weight, first.weight)


def test_rescaled_vectors_have_the_papers_mean_square_and_by_default_stay_to_the_bit():
    vectors = some()[2].astype(np.float32) * 7
    assert torch.equal(SemanticBranch(8, 4, vectors).label_vectors, torch.tensor(vectors))
    scaled = SemanticBranch(8, 4, vectors, rescale=True).label_vectors
    assert float(scaled.double().square().mean()) == pytest.approx(0.0769, rel=1e-5)
    torch.testing.assert_close(scaled / torch.tensor(vectors), (scaled / torch.tensor(vectors))[:1, :1].expand(4, 5))


def test_the_loss_sees_the_vectors_of_the_seen_classes_alone():
    """A contrastive loss with classes left out is that of a model which never had them."""
    rng = np.random.default_rng(0)
    vectors, seen = rng.normal(size=(6, 5)).astype(np.float32), [0, 2, 3, 5]
    options = dict(alpha=1.0, loss="contrastive")
    whole = SemanticBranch(8, 6, vectors, seen_classes=[5, 3, 0, 2], **options)
    small = SemanticBranch(8, 4, vectors[seen], **options)
    small.fc.load_state_dict(whole.fc.state_dict())
    pooled = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    place = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 3, 3])
    ours, theirs = whole.loss(pooled, torch.tensor(seen)[place])[0], small.loss(pooled, place)[0]
    torch.testing.assert_close(ours, theirs)
    assert not torch.isclose(ours, SemanticBranch(8, 6, vectors, **options).loss(pooled, torch.tensor(seen)[place])[0])
    assert whole.scores(pooled)[0].shape == (10, 6)
    assert whole.state_dict().keys() == SemanticBranch(8, 6, vectors).state_dict().keys()
    with pytest.raises(InputError, match="a clip of class 4, which is none of the seen classes.*only_classes"):
        whole.loss(pooled, torch.full((10,), 4))
    for wrong in ([], [0, 0], [6], [-1]):
        with pytest.raises(InputError, match="expected some of the classes 0 to 5, each once"):
            SemanticBranch(8, 6, vectors, seen_classes=wrong)


def test_further_vectors_are_scored_behind_the_classes():
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    branch = SemanticBranch(8, 3, vectors[:3])
    whole = SemanticBranch(8, 5, vectors)
    whole.fc.load_state_dict(branch.fc.state_dict())
    branch.further_vectors = torch.from_numpy(vectors[3:])
    pooled = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    for ours, theirs in zip(branch.scores(pooled), whole.scores(pooled), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert "further_vectors" not in branch.state_dict()
