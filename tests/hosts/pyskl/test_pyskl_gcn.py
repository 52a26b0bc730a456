"""CTR-GCN and DG-STGCN against PySKL's own: the same state dicts, outputs, gradients and statistics."""

import numpy as np
import pytest

pytest.importorskip("pyskl")

import torch
from pyskl.models.gcns import CTRGCN as HostCTRGCN
from pyskl.models.gcns import DGSTGCN as HostDGSTGCN
from torch import nn

from pyskl_semloss.gcn import CTRGCN, DGSTGCN
from pyskl_semloss.skeletons import adjacency, get_layout, skeleton_graph

GRAPH = skeleton_graph(get_layout("coco17"))
DG = dict(
    gcn_ratio=0.125, gcn_ctr="T", gcn_ada="T",
    tcn_ms_cfg=[(3, 1), (3, 2), (3, 3), (3, 4), ("max", 3), "1x1"],
)  # fmt: skip
RANDOM = dict(layout="coco", mode="random", num_filter=8, init_off=0.04, init_std=0.02)
SIZES = {  # few blocks, with every kind of them
    "small": dict(base_channels=16, num_stages=4, inflate_stages=[3], down_stages=[3]),
    "whole": dict(base_channels=24),
}


def make_pair(name, num_person, size):
    """PySKL's network and ours, with the same random weights, also where both start from zeros."""
    torch.manual_seed(0)
    np.random.seed(0)
    options = SIZES[size]
    if name == "CTR-GCN":
        host = HostCTRGCN(graph_cfg=dict(layout="coco", mode="spatial"), num_person=num_person, **options)
        ours = CTRGCN(adjacency(GRAPH), num_person=num_person, **options)
    else:
        host = HostDGSTGCN(graph_cfg=RANDOM, **DG, **options)
        ours = DGSTGCN(adjacency(GRAPH, "random", num_filter=8), **options)
    for module in host.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    for key, value in host.named_parameters():
        if key.rpartition(".")[2] in ("alpha", "beta", "add_coeff"):
            nn.init.normal_(value, 0.5, 0.3)
    ours.load_state_dict(host.state_dict())
    return host.double(), ours.double()


def assert_near(ours, host, name, at_least=0.0):
    """Equal to 1e-9 of the largest value; in float32, whose rounding adds up over the blocks, to 1e-5."""
    tolerance = 1e-9 if host.dtype == torch.float64 else 1e-5
    difference, size = float((ours - host).abs().max()), max(float(host.abs().max()), at_least)
    assert difference <= tolerance * size, f"{name}: {difference:g} of {size:g}"


def assert_near_gradient(ours, host, name, largest):
    """As above; in float32 by length, since rounding puts single activations on the other side of a ReLU.

    In most cases float32 agrees to 1e-5, too; one such activation moves a gradient by up to 5e-3 of its length.
    """
    if host.dtype == torch.float64:
        # The bias of a convolution before batch norm has the gradient 0, and only rounding to compare.
        assert_near(ours, host, name, at_least=1e-2 * largest)
    else:
        difference, length = float((ours - host).norm()), float(host.norm())
        assert difference <= 2e-2 * length + 1e-5 * largest, f"{name}: {difference:g} of {length:g}"


CASES = [("CTR-GCN", 1, "small"), ("CTR-GCN", 2, "small"), ("CTR-GCN", 1, "whole")]
CASES += [("DG-STGCN", 1, "small"), ("DG-STGCN", 2, "small"), ("DG-STGCN", 1, "whole")]


@pytest.mark.parametrize(("name", "num_person", "size"), CASES)
def test_state_dicts_have_the_same_keys_shapes_and_order(name, num_person, size):
    host, ours = make_pair(name, num_person, size)
    theirs = [(key, tuple(value.shape)) for key, value in host.state_dict().items()]
    assert [(key, tuple(value.shape)) for key, value in ours.state_dict().items()] == theirs
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in host.named_parameters()]


@pytest.mark.parametrize(("name", "num_person", "size"), CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_outputs_gradients_and_statistics(name, num_person, size, dtype):
    host, ours = (network.to(dtype) for network in make_pair(name, num_person, size))
    generator = torch.Generator().manual_seed(1)
    clips = torch.randn(3, num_person, 21, 17, 3, generator=generator, dtype=dtype)
    results = []
    for network in (host, ours):
        network.train()
        inputs = clips.clone().requires_grad_()
        outputs = network(inputs)
        weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
        (outputs * weights).mean().backward()
        gradients = {key: value.grad for key, value in network.named_parameters()}
        network.eval()
        results.append(
            (outputs.detach(), inputs.grad, gradients, dict(network.named_buffers()), network(clips).detach())
        )
    (out, grad, grads, buffers, eval_out), (own_out, own_grad, own_grads, own_buffers, own_eval_out) = results
    assert own_out.shape == out.shape and own_out.is_contiguous() and own_out.dtype == dtype
    assert_near(own_out, out, "output")
    assert_near(own_eval_out, eval_out, "output of eval()")
    assert grad.abs().max() > 1e-5 and sorted(own_grads) == sorted(grads)
    assert_near_gradient(own_grad, grad, "gradient of the input", grad.abs().max())
    largest = max(value.abs().max() for value in grads.values() if value is not None)
    for key, value in grads.items():
        # A weight that neither network uses has none.
        assert (value is None) == (own_grads[key] is None), key
        if value is not None:
            assert_near_gradient(own_grads[key], value, key, largest)
    for key, value in buffers.items():
        assert_near(own_buffers[key], value, key)
