"""Graph networks without a host: the papers' sums written out, shapes, the start of training, what is refused."""

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.gcn import CTRGCN, DGSTGCN  # noqa: E402
from pyskl_semloss.gcn.ctrgcn import RefinedGraphConv  # noqa: E402
from pyskl_semloss.gcn.dgstgcn import DynamicGraphConv  # noqa: E402
from pyskl_semloss.gcn.layers import TemporalConv, pointwise  # noqa: E402
from pyskl_semloss.skeletons import SkeletonGraph, adjacency, get_layout, skeleton_graph  # noqa: E402

STAR = SkeletonGraph(4, ((1, 0), (2, 0), (3, 0)), 0)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def randomised(module):
    """The module in float64 and eval mode, with weights that are nowhere 0."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0.3, 0.5)
    return module.double().eval()


def linear(conv, vector):
    return conv.weight[:, :, 0, 0] @ vector + conv.bias


def test_refined_graph_convolution_written_out():
    """y_v = sum over subsets and joints u of (A + alpha * M(tanh(phi_u - psi_v))) * T(x_u), batch norm, shortcut."""
    layer = randomised(RefinedGraphConv(8, 12, torch.as_tensor(adjacency(STAR))))
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    expected = torch.zeros(2, 12, 4, 5, dtype=torch.float64)
    for n in range(2):
        mean = x[n].mean(-1)
        for part, shared in zip(layer.convs, layer.A, strict=True):
            for v in range(4):
                for u in range(4):
                    relation = torch.tanh(linear(part.conv1, mean[:, u]) - linear(part.conv2, mean[:, v]))
                    graph = shared[u, v] + layer.alpha * linear(part.conv4, relation)
                    for t in range(5):
                        expected[n, :, v, t] += graph * linear(part.conv3, x[n, :, u, t])
    expected = torch.relu(
        layer.bn(expected) + layer.down[1](torch.nn.functional.conv2d(x, *layer.down[0].parameters()))
    )
    assert expected.abs().max() > 1
    torch.testing.assert_close(layer(x), expected)


def test_dynamic_graph_convolution_written_out():
    """y_v = P sum over u of (A_k + alpha * tanh(phi_u - psi_v) + beta * softmax_u(phi_u . psi_v)) * Q(x)_u."""
    layer = randomised(DynamicGraphConv(8, 8, torch.randn(2, 4, 4), ratio=0.5))
    x = torch.randn(2, 8, 4, 5, dtype=torch.float64)
    mapped = torch.relu(layer.pre[1](torch.nn.functional.conv2d(x, *layer.pre[0].parameters())))
    gathered = torch.zeros_like(mapped)
    for n in range(2):
        mean = x[n].mean(-1)
        start, end = (
            torch.stack([linear(conv, mean[:, v]) for v in range(4)], 1) for conv in (layer.conv1, layer.conv2)
        )
        for k in range(2):
            group = slice(4 * k, 4 * k + 4)
            attention = torch.softmax(start[group].T @ end[group], dim=0)
            for channel in range(4 * k, 4 * k + 4):
                for v in range(4):
                    graph = layer.A[k, :, v] + layer.beta[0] * attention[:, v]
                    graph = graph + layer.alpha[0] * torch.tanh(start[channel] - end[channel, v])
                    gathered[n, channel, v] = graph @ mapped[n, channel]
    expected = torch.relu(layer.bn(torch.nn.functional.conv2d(gathered, *layer.post.parameters())) + x)
    torch.testing.assert_close(layer(x), expected)


def test_a_temporal_convolution_is_torchs():
    x = torch.randn(2, 3, 4, 11)
    for kernel, stride, dilation in ((1, 1, 1), (1, 2, 1), (3, 1, 2), (5, 2, 1)):
        layer = TemporalConv(3, 6, kernel, stride, dilation, norm=False)
        assert layer.conv.weight.shape == (6, 3, kernel, 1)
        padding = dilation * (kernel // 2)
        frames_first = torch.nn.functional.conv2d(
            x.transpose(2, 3), layer.conv.weight, layer.conv.bias, (stride, 1), (padding, 0), (dilation, 1)
        )
        torch.testing.assert_close(layer(x), frames_first.transpose(2, 3))
    convs = [torch.nn.Conv2d(3, size, 1) for size in (2, 5)]
    torch.testing.assert_close(pointwise(x, convs), torch.cat([conv(x) for conv in convs], dim=1))


def make(name, joints=22, **options):
    graph = skeleton_graph(get_layout({22: "openpose22", 133: "wholebody133"}[joints]))
    if name == "CTR-GCN":
        return CTRGCN(adjacency(graph), base_channels=8, **options)
    return DGSTGCN(adjacency(graph, "random", num_filter=4), base_channels=8, ratio=0.25, **options)


@pytest.mark.parametrize("name", ["CTR-GCN", "DG-STGCN"])
@pytest.mark.parametrize(("joints", "frames", "left"), [(22, 32, 8), (22, 17, 5), (133, 9, 3)])
def test_shapes(name, joints, frames, left):
    network = make(name, joints)
    features = network(torch.randn(2, 1, frames, joints, 3))
    assert features.shape == (2, 1, 32, left, joints) and features.is_contiguous() and (features >= 0).all()


@pytest.mark.parametrize("name", ["CTR-GCN", "DG-STGCN"])
def test_a_person_repeated_has_the_same_features(name):
    network = make(name, num_stages=3, **({"num_person": 2} if name == "CTR-GCN" else {})).eval()
    clips = torch.randn(2, 1, 8, 22, 3)
    features = network(clips.repeat(1, 2, 1, 1, 1))
    torch.testing.assert_close(features[:, 0], features[:, 1])


@pytest.mark.parametrize("name", ["CTR-GCN", "DG-STGCN"])
def test_clips_do_not_mix_and_every_weight_learns(name):
    network = make(name, num_stages=4, inflate_stages=[3], down_stages=[3])
    clips = torch.randn(3, 1, 12, 22, 3)
    network.eval()
    torch.testing.assert_close(network(clips)[1:2], network(clips[1:2]), rtol=1e-4, atol=1e-5)
    network.train()(clips).square().mean().backward()
    learning = {key for key, value in network.named_parameters() if value.grad is not None and value.grad.any()}
    silent = {key for key, _ in network.named_parameters()} - learning
    # alpha and beta start at 0: the maps behind them learn from the second step on.
    behind = ("conv1.", "conv2.", "conv4.")
    assert all(any(name in key for name in behind) for key in silent if "bias" not in key), silent
    assert any(key.endswith("alpha") for key in learning)


def test_a_small_network_learns():
    """Two kinds of clips that differ in the movement of one joint."""
    torch.manual_seed(1)
    clips = torch.randn(16, 1, 12, 22, 3) * 0.1
    label = torch.arange(16) % 2
    clips[label == 1, 0, :, 4, 0] += torch.linspace(-1, 1, 12)
    for name in ("CTR-GCN", "DG-STGCN"):
        network, head = make(name, num_stages=3), torch.nn.Linear(8, 2)
        optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
        for _ in range(60):
            loss = torch.nn.functional.cross_entropy(head(network(clips).mean((1, 3, 4))), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss < 0.1, name


def test_refused():
    with pytest.raises(InputError, match=r"'adjacency': expected the shape \(K, V, V\), got \(3, 3\)"):
        CTRGCN(np.eye(3))
    with pytest.raises(InputError, match="'keypoint': expected 66 persons x joints x coordinates, got 132"):
        make("CTR-GCN")(torch.zeros(1, 2, 8, 22, 3))
    with pytest.raises(InputError, match="expected 66 .* got 75 of"):
        make("DG-STGCN")(torch.zeros(1, 1, 8, 25, 3))
