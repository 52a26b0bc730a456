"""PoseRecognizer3D: chunks of views change no score, bfloat16 and compiling change what they may and no more."""

import copy
import random

import numpy as np
import pytest

from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.synthetic.clips import generate

try:
    import torch
    from mmaction.models import Recognizer3D
    from mmaction.registry import DATASETS, MODELS
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.optim import OptimWrapper
    from mmengine.registry import DefaultScope

    import pyskl_semloss.hosts.mmaction2  # noqa: F401
    from pyskl_semloss.heatmap import sparse_convolution
    from pyskl_semloss.heatmap.sparse_convolution import HeatmapConv3d
    from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field
except ImportError:
    pytest.importorskip("mmaction")
    raise


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The synthetic limb config on a few clips; the scope that MMAction2's registries need."""
    DefaultScope.get_instance("pyskl_semloss_recognizer", scope_name="mmaction")
    folder = tmp_path_factory.mktemp("recognizer")
    full = generate(32, seed=1, subjects=4)
    ids = [clip.frame_dir for clip in full.clips]
    write_annotations(folder / "a.pkl", AnnotationSet({"train": ids, "test": ids}, full.clips))
    config = Config.fromfile(ROOT / "configs" / "mmaction2" / "synthetic" / "limb.py")
    config.model.cls_head.label_vectors = str(folder / "v.npy")
    np.save(folder / "v.npy", np.random.default_rng(0).normal(size=(32, 9)).astype(np.float32))
    for key in ("train_dataloader", "test_dataloader"):
        config[key].dataset.ann_file = str(folder / "a.pkl")
    return config


@pytest.fixture
def batch(config):
    """Packed samples of the first clips: ``batch("test", 3)``."""

    def make(kind, clips):
        random.seed(0), np.random.seed(0)
        dataset = DATASETS.build(config[f"{kind}_dataloader"].dataset)
        return pseudo_collate([dataset[index] for index in range(clips)])

    return make


def build(config, **options):
    torch.manual_seed(0)
    model = MODELS.build({**config.model, **options})
    model.init_weights()
    return model


def train(model, data, steps=8):
    torch.manual_seed(1)
    model.train()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9))
    return [float(model.train_step(data, wrapper)["loss"]) for _ in range(steps)]


@pytest.mark.parametrize("average", ["prob", "score", None])
def test_chunks_of_views_change_no_score(config, batch, average):
    model = build(config).eval()
    model.cls_head.average_clips = average
    for parameter in model.cls_head.parameters():
        parameter.data.mul_(20)  # scores that differ
    data = batch("test", 3)
    with torch.no_grad():
        all_at_once = Recognizer3D.test_step(model, data)
        # MB that hold 1, 5 (which does not divide 12) and all of the 12 views of 16 x 32 x 32 x 21.
        for memory, views in ((1, 1), (33, 5), (1000, 152)):
            model.test_memory = memory
            assert model._views_at_a_time(model.data_preprocessor.views(data)) == views
            for one, other in zip(model.test_step(data), all_at_once, strict=True):
                torch.testing.assert_close(
                    get_sample_field(one, "pred_score"), get_sample_field(other, "pred_score"), atol=1e-6, rtol=1e-5
                )
                torch.testing.assert_close(one.pred_semantic.cosine, other.pred_semantic.cosine, atol=1e-5, rtol=1e-5)
                assert one.sample_id == other.sample_id
    assert float(get_sample_field(all_at_once[0], "pred_score").std()) > 0.003
    assert get_sample_field(all_at_once[0], "pred_score").shape == ((32,) if average else (8, 32))


def test_validation_goes_in_chunks_too(config, batch):
    model = build(config, test_memory=1).eval()
    seen = []
    model.backbone.register_forward_hook(lambda module, inputs, out: seen.append(len(inputs[0])))
    with torch.no_grad():
        model.val_step(batch("test", 1))
    assert seen == [1] * 8


def test_the_first_convolution_skips_zeros_and_its_weight_is_the_hosts(config, batch, monkeypatch):
    config = copy.deepcopy(config)
    config.model.data_preprocessor.modality = "joint"
    config.model.backbone.update(in_channels=22, conv1_kernel=(1, 7, 7), conv1_stride_s=1)  # as in the released size
    model = build(config).eval()
    first = model.backbone.conv1.conv
    assert type(first) is HeatmapConv3d
    usual = torch.nn.Conv3d(
        first.in_channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False
    )
    usual.load_state_dict(first.state_dict())
    seen, taken = [], []
    first.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0], out)))
    convolve = sparse_convolution._convolve
    monkeypatch.setattr(sparse_convolution, "_convolve", lambda *args: taken.append(0) or convolve(*args))
    with torch.no_grad():
        model.test_step(batch("test", 1))
        assert len(taken) == len(seen) > 0
        for volume, found in seen:
            torch.testing.assert_close(found, usual(volume), atol=1e-5, rtol=1e-5)
    assert "backbone.conv1.conv.weight" in model.state_dict()


def test_fast_computes_in_bfloat16_and_keeps_weights_and_losses_in_float32(config, batch):
    model = build(config, fast=True)
    seen = []
    model.backbone.layer1[0].conv1.conv.register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    data = batch("train", 8)
    losses = train(model, data)
    plain = train(build(config), data)
    assert set(seen) == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    np.testing.assert_allclose(losses, plain, rtol=0.05)
    assert losses != plain and losses[-1] < losses[0]
    with torch.no_grad():
        model.eval()
        (sample,) = model.test_step(batch("test", 1))
    assert get_sample_field(sample, "pred_score").dtype == torch.float32


def test_fast_trains_and_tests_the_head_of_the_host(config, batch):
    inside = config.model.cls_head
    head = dict(type="I3DHead", in_channels=inside.in_channels, num_classes=inside.num_classes, average_clips="prob")
    fast, exact = (build(config, cls_head=head, fast=fast) for fast in (True, False))
    for training, other in zip(train(fast, batch("train", 4)), train(exact, batch("train", 4)), strict=True):
        assert training == pytest.approx(other, rel=0.05)
    with torch.no_grad():
        fast.eval()
        tested = fast.test_step(batch("test", 2))
    scores = np.stack([np.asarray(get_sample_field(sample, "pred_score")) for sample in tested])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("fast", [False, True])
def test_compiled_trains_as_the_plain_model(config, batch, fast):
    """Backbone and renderer compiled, as on a GPU; here for the CPU."""
    data = batch("train", 4)
    torch_engine = {**config.model.data_preprocessor, "engine": "torch"}
    plain = build(config, fast=fast, data_preprocessor=torch_engine)
    compiled = build(config, fast=fast, compile=True, data_preprocessor=torch_engine)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    np.testing.assert_allclose(train(compiled, data, 3), train(plain, data, 3), rtol=5e-3 if fast else 1e-4)


def test_wrong_memory_is_refused(config):
    with pytest.raises(InputError, match="test_memory.*positive"):
        build(config, test_memory=0)
