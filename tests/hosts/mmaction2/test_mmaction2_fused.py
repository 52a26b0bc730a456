"""The backbone for recordings against the one that was trained."""

import warnings

import numpy as np
import pytest
import torch

from pyskl_semloss.synthetic.recording import generate_recording

pytest.importorskip("mmaction")

from mmaction.registry import MODELS  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from prediction import PARTS, parts_of, table  # noqa: E402

from helpers.onnx_models import ROOT, predictor_of  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model import folding as module  # noqa: E402
from pyskl_semloss.hosts.mmaction2.model.folding import FusedSlowOnly, fold_batch_norm  # noqa: E402
from pyskl_semloss.segments.windows import WindowRules  # noqa: E402

SMALL, RELEASED = "synthetic", "imigue"


def built(folder=SMALL, fast=False, **backbone):
    """A narrow model of a config whose every weight and statistic counts."""
    init_default_scope("mmaction")
    config = Config.fromfile(str(ROOT / f"configs/mmaction2/{folder}/joint.py")).model
    config.fast = fast
    config.backbone.update(base_channels=8, **backbone)
    config.cls_head.update(in_channels=32 if folder == SMALL else 128, label_vectors=np.eye(32, dtype=np.float32))
    torch.manual_seed(3)
    model = MODELS.build(config)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm3d):
                part.running_mean.uniform_(-0.3, 0.3)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.3, 0.3)
    model.eval()
    return model


def maps(dense):
    """A volume of noise, or one that is zero nearly everywhere, as heat maps are."""
    volume = torch.rand((2, 22, 6, 32, 24), generator=torch.Generator().manual_seed(1))
    volume = volume if dense else volume * (volume > 0.98)
    return volume.to(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("folder", [SMALL, RELEASED])
@pytest.mark.parametrize("dense", [True, False])
@torch.inference_mode()
def test_features_are_those_of_the_trained_backbone(folder, dense):
    model = built(folder)
    ours = fold_batch_norm(model)
    assert isinstance(ours.backbone, FusedSlowOnly) and ours.cls_head is model.cls_head
    wanted, given = model.backbone(maps(dense)), ours.backbone(maps(dense))
    assert given.shape == wanted.shape and given.dtype == torch.float32
    torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("folder", [SMALL, RELEASED])
@torch.inference_mode()
def test_fast_is_bfloat16_throughout(folder):
    model = built(folder, fast=True)
    ours = fold_batch_norm(model)
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        # With AVX2 only, torch's fused operators refuse bfloat16: the model stays as it is.
        assert ours is model
        return
    assert {value.dtype for value in ours.backbone.parameters()} == {torch.bfloat16}
    with torch.autocast("cpu", torch.bfloat16):
        given = ours.backbone(maps(False).bfloat16())
    wanted = model.backbone(maps(False))
    assert given.dtype == torch.float32
    assert float((given - wanted).abs().mean() / wanted.abs().mean()) < 0.03


@torch.inference_mode()
def test_the_model_itself_stays_as_it_was():
    model = built()
    before, state = model.backbone(maps(True)), {name: value.clone() for name, value in model.state_dict().items()}
    fold_batch_norm(model)
    assert torch.equal(model.backbone(maps(True)), before) and not isinstance(model.backbone, FusedSlowOnly)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "other",
    [
        dict(act_cfg=dict(type="LeakyReLU", negative_slope=0.5)),
        dict(norm_cfg=dict(type="GN", num_groups=4)),
        dict(non_local=((1,), (0,), (0,)), non_local_cfg=dict(sub_sample=False)),
    ],
)
def test_what_is_not_known_is_left_as_it_is(other):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = built(**other)
    assert fold_batch_norm(model) is model


def test_a_backbone_of_several_outputs_is_left_as_it_is():
    model = built()
    model.backbone.out_indices = (1, 2)
    assert fold_batch_norm(model) is model


def test_a_backbone_that_comes_out_otherwise_is_not_used(monkeypatch):
    model = built()
    right = module._folded
    monkeypatch.setattr(module, "_folded", lambda part: (right(part)[0], right(part)[1] + 0.01))
    assert fold_batch_norm(model) is model


def test_a_build_of_torch_without_the_operations_is_served(monkeypatch):
    def absent(*_):
        raise AttributeError("_convolution_pointwise")

    model = built()
    monkeypatch.setattr(module._Convolution, "forward", absent)
    assert fold_batch_norm(model) is model


def test_recordings_are_scored_with_it_and_clips_are_not(tmp_path, monkeypatch):
    predictor = predictor_of(tmp_path)
    recording = generate_recording(1, 3)[0]
    used = []
    right = FusedSlowOnly.forward
    monkeypatch.setattr(FusedSlowOnly, "forward", lambda self, x: used.append(1) or right(self, x))
    whole = predictor.predict(recording.clip(0, 50), one_view=True)
    assert not used
    (timeline,) = predictor.timelines(recording, predictor.window_rules(window=2.0, still=0.0))
    assert used
    np.testing.assert_allclose(timeline.probability[0], whole.probability[0], atol=1e-5)


def test_the_benchmark_tells_what_each_part_costs(tmp_path):
    rules = WindowRules(2.0, 1.0)
    recording = generate_recording(2, 3)[0]
    parts = parts_of(predictor_of(tmp_path), recording, rules, count=2, rounds=1)
    assert tuple(part.name for part in parts) == PARTS
    *steps, whole = parts
    assert whole.cpu == pytest.approx(sum(part.cpu for part in steps)) and whole.wall > 0
    text = table(predictor_of(tmp_path), recording, rules, (1.0, 2.0), count=1, rounds=1).splitlines()
    assert len(text) == 2 + len(PARTS) and "stride 2 s" in text[0] and text[-1].startswith("| all |")
