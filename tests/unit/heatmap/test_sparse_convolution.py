"""The sparse first convolution against the usual one, forward and backward, and when it steps aside."""

import numpy as np
import pytest
import torch

from pyskl_semloss.heatmap import Channels, render_heatmaps
from pyskl_semloss.heatmap import sparse_convolution as sparse
from pyskl_semloss.heatmap.sparse_convolution import HeatmapConv3d


def maps(clips=2, frames=5, size=(20, 23), modality="joint", seed=0):
    """(N, C, T, H, W), channels last: heat maps, one point in each corner."""
    rng = np.random.default_rng(seed)
    channels = Channels.of_layout("openpose22", modality)
    volumes = []
    for _ in range(clips):
        keypoint = rng.uniform(0, size[::-1], (1, frames, 22, 2)).astype(np.float32)
        keypoint[:, :, :4] = [(0, 0), (size[1] - 1, 0), (0, size[0] - 1), (size[1] - 1, size[0] - 1)]
        # Few joints are known, so that small maps are as empty as large ones.
        score = np.zeros((1, frames, 22), np.float32)
        score[:, :, [0, 1, 2, 3, 5]] = rng.uniform(0.3, 1, (1, frames, 5))
        volumes.append(render_heatmaps(keypoint, score, channels, size))
    return torch.from_numpy(np.stack(volumes)).permute(0, 1, 3, 4, 2).contiguous().permute(0, 4, 1, 2, 3)


def convolution(kernel, stride, channels, outputs=8, padding=None, **options):
    torch.manual_seed(0)
    padding = kernel // 2 if padding is None else padding
    return torch.nn.Conv3d(
        channels, outputs, (1, kernel, kernel), (1, stride, stride), (0, padding, padding), bias=False, **options
    )


@pytest.fixture
def taken(monkeypatch):
    """How often the sparse way was taken."""
    calls = []
    way = sparse._convolve
    monkeypatch.setattr(sparse, "_convolve", lambda *arguments: calls.append(1) or way(*arguments))
    return calls


@pytest.fixture
def small_too(monkeypatch):
    """The sparse way is taken for kernels that are faster in the usual one."""
    monkeypatch.setattr(sparse, "_LEAST_PRODUCTS", 0)


@pytest.mark.usefixtures("small_too")
@pytest.mark.parametrize("modality", ["joint", "limb"])
@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(7, 1, 3), (5, 2, 2), (3, 2, 1), (5, 3, 2), (1, 1, 0), (1, 2, 0), (3, 1, 0), (4, 2, 5)],
)
def test_equals_the_usual_convolution(modality, threads, kernel, stride, padding, taken):
    x = maps(size=(40, 46) if modality == "limb" else (20, 23), modality=modality)
    usual = convolution(kernel, stride, x.shape[1], padding=padding)
    ours = HeatmapConv3d.of(usual)
    assert isinstance(ours, HeatmapConv3d) and ours.weight is usual.weight
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        expected, found = usual(x), ours(x)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
        assert found.is_contiguous(memory_format=torch.channels_last_3d) and len(taken) == 1
        gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
        (theirs,), (mine,) = (torch.autograd.grad(y, usual.weight, gradient) for y in (expected, found))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(mine, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)
    assert float(found.detach().abs().max()) > 0.01


def test_numerical_gradient():
    x, usual = maps(clips=1, frames=2, size=(9, 9)), convolution(3, 2, 22, outputs=2)
    weight = usual.weight.detach().clone().requires_grad_()
    gradient = torch.randn(1, 2, 2, 5, 5)
    loss = (sparse._SparseConvolution.apply(x, weight, 2, 1) * gradient).sum()
    loss.backward()
    for index in [(0, 0, 0, 1, 1), (1, 5, 0, 0, 2), (0, 3, 0, 2, 0)]:
        moved = weight.detach().clone()
        moved[index] += 1  # the result is linear in the weight
        change = (sparse._SparseConvolution.apply(x, moved, 2, 1) * gradient).sum() - loss.detach()
        assert float(weight.grad[index]) == pytest.approx(float(change), abs=1e-4)


@pytest.mark.usefixtures("small_too")
@pytest.mark.parametrize(
    "case",
    ["dense", "not channels last", "needs a gradient", "double", "autocast"],
)
def test_steps_aside(case, taken):
    x = maps()
    usual = convolution(3, 1, 22)
    if case == "dense":
        x = torch.rand(x.shape).to(memory_format=torch.channels_last_3d)
    elif case == "not channels last":
        x = x.contiguous()
    elif case == "needs a gradient":
        x = x.requires_grad_()
    elif case == "double":
        x, usual = x.double(), usual.double()
    with torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
        found, expected = HeatmapConv3d.of(usual)(x), usual(x)
    assert not taken and torch.equal(found, expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "outputs", "expected"),
    [(7, 1, 32, 1), (5, 1, 32, 1), (7, 2, 64, 1), (5, 2, 32, 0), (7, 1, 8, 0)],
)
def test_small_kernels_are_left_to_the_usual_convolution(kernel, stride, outputs, expected, taken):
    HeatmapConv3d.of(convolution(kernel, stride, 22, outputs))(maps())
    assert len(taken) == expected


def test_what_is_not_supported_stays_as_it_is():
    for options in ({"groups": 2}, {"dilation": (1, 2, 2)}, {"padding_mode": "circular"}):
        usual = convolution(3, 1, 22, outputs=4, **options)
        assert HeatmapConv3d.of(usual) is usual
    for usual in (
        torch.nn.Conv3d(4, 4, 3),
        torch.nn.Conv3d(4, 4, (1, 3, 3)),
        torch.nn.Conv3d(4, 4, (1, 3, 5), bias=False),
    ):
        assert HeatmapConv3d.of(usual) is usual


@pytest.mark.usefixtures("small_too")
def test_empty_maps_give_zeros():
    x = torch.zeros(1, 22, 3, 8, 8).to(memory_format=torch.channels_last_3d)
    usual = convolution(3, 1, 22)
    y = HeatmapConv3d.of(usual)(x)
    assert not y.any() and not torch.autograd.grad(y.sum(), usual.weight)[0].any()
