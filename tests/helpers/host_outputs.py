"""Outputs of a host for given clips and weights: ``host_outputs.py HOST DATA OUT [CASE CHECKPOINT]``.

No environment holds both hosts; test_host_parity.py runs this file in the environment of each and compares.
DATA holds ``<set>.pkl`` and ``<set>.npy`` for each set of CASES. OUT is an npz; beside it the host saves the models of
SAVED. With CHECKPOINT, the host loads it into the model of CASE and gives the scores alone.
"""

import random
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = ("msr_action3d/stgcnpp", "msr_action3d/aagcn", "msr_action3d/ctrgcn")
SAVED = ("msr_action3d/joint", "msr_action3d/stgcnpp", "msr_action3d/ctrgcn")
CASES = ("imigue/joint", "imigue/limb", "msr_action3d/joint", *GRAPHS)
CLIPS = (0, 1)


def seed():
    """The same random numbers for augmentation and dropout."""
    random.seed(5), np.random.seed(5), torch.manual_seed(5)


def fill(model):
    """Weights that depend on their names alone, of a usual size."""
    state = model.state_dict()
    for name, value in state.items():
        # The classifier of graph networks has another name on each host.
        rng = np.random.default_rng(zlib.crc32(name.replace("fc_cls", "fc").encode()))
        if name.endswith("label_vectors") or not value.is_floating_point():
            continue
        if name.endswith("running_var") or name.endswith("bn.weight"):
            drawn = rng.uniform(0.5, 1.5, value.shape)
        else:
            # Small in the head, so that no class has all the probability.
            scale = 1e-3 if "head" in name else 2
            drawn = rng.normal(size=value.shape) * (scale / max(value[0].numel(), 8)) ** 0.5
        state[name] = torch.from_numpy(drawn).to(value)
    model.load_state_dict(state)


def mmaction2(name, data):
    """Model, the batches of a training step and of a test, losses, scores, by MMAction2."""
    from mmaction.registry import DATASETS, MODELS
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope

    config = Config.fromfile(ROOT / "configs" / "mmaction2" / f"{name}.py")
    init_default_scope("mmaction")
    for key in ("train_dataloader", "test_dataloader"):
        config[key].dataset.ann_file = f"{data}.pkl"
    config.model.cls_head.label_vectors = f"{data}.npy"
    if name in GRAPHS:
        config.model.cls_head.type = "SemanticGCNHead"
    else:
        config.model.data_preprocessor.score_threshold = 1e-3  # PySKL's
        config.model.type = "Recognizer3D"
        config.model.pop("fast")  # PoseRecognizer3D's
    model = MODELS.build(config.model)
    train, test = (DATASETS.build(config[f"{key}_dataloader"].dataset) for key in ("train", "test"))

    def batches():
        seed()
        trained = model.data_preprocessor(pseudo_collate([train[i] for i in CLIPS]), True)
        tested = model.data_preprocessor(pseudo_collate([test[0]]), False)
        return trained, tested

    def losses(batch):
        return model(batch["inputs"].contiguous(), batch["data_samples"], mode="loss")

    def scores(batch):
        from pyskl_semloss.hosts.mmaction2.data.packing import get_sample_field

        return get_sample_field(
            model(batch["inputs"].contiguous(), batch["data_samples"], mode="predict")[0], "pred_score"
        )

    return model, batches, losses, scores, lambda batch: batch["inputs"]


def pyskl(name, data):
    """The same by PySKL."""
    from mmcv import Config
    from mmcv.parallel import collate
    from pyskl.datasets import build_dataset
    from pyskl.models import build_model

    config = Config.fromfile(str(ROOT / "configs" / "pyskl" / f"{name}.py"))
    for split in ("train", "test"):
        config.data[split].ann_file = f"{data}.pkl"
    config.model.cls_head.label_vectors = f"{data}.npy"
    if name in GRAPHS:
        config.model.cls_head.type = "SemanticGCNHead"
    field = "keypoint" if name in GRAPHS else "imgs"
    model = build_model(config.model)
    train, test = build_dataset(config.data.train), build_dataset(config.data.test, dict(test_mode=True))

    def batches():
        seed()
        return collate([train[i] for i in CLIPS], len(CLIPS)), collate([test[0]], 1)

    def losses(batch):
        return model(**batch, return_loss=True)

    def scores(batch):
        return torch.from_numpy(model(batch[field], return_loss=False)[0])

    return model, batches, losses, scores, lambda batch: batch[field]


def save(host, model, path):
    """Save a checkpoint as the host's runner does."""
    if host == "mmaction2":
        from mmengine.logging import HistoryBuffer
        from mmengine.runner import save_checkpoint

        history = HistoryBuffer([0.5], [1])
        save_checkpoint({"state_dict": model.state_dict(), "message_hub": {"log_scalars": {"loss": history}}}, path)
    else:
        from mmcv.runner import save_checkpoint

        save_checkpoint(model, path, meta=dict(hook_msgs=dict(best_score=np.float64(0.5))))


def load(host, model, path):
    """Load a checkpoint as the host's test tool does, without tolerance."""
    if host == "mmaction2":
        from mmengine.runner import load_checkpoint
    else:
        from mmcv.runner import load_checkpoint
    load_checkpoint(model, path, map_location="cpu", strict=True)


def outputs(host, name, data, saved=None, checkpoint=None):
    """Every number to compare, by name."""
    model, batches, losses, scores, volume = {"mmaction2": mmaction2, "pyskl": pyskl}[host](name, data)
    if checkpoint is not None:
        load(host, model, checkpoint)
        model.eval()
        with torch.no_grad():
            return {"scores": scores(batches()[1]).numpy()}
    fill(model)
    if saved is not None:
        save(host, model, saved)
    trained, tested = batches()
    found = {"train_maps": volume(trained), "test_maps": volume(tested)[:, :4]}
    model.eval()
    with torch.no_grad():
        found["scores"] = scores(tested)
    model.train()
    seed()
    values = losses(trained)
    found |= {key: values[key] for key in ("loss_cls", "loss_emb", "emb_mse")}
    (values["loss_cls"] + values["loss_emb"]).backward()
    found |= {f"grad/{key.replace('fc_cls', 'fc')}": value.grad for key, value in model.named_parameters()}
    # A parameter that the loss does not reach has no gradient.
    found = {key: value for key, value in found.items() if value is not None}
    return {f"{name}/{key}": value.detach().numpy() for key, value in found.items()}


def main():
    """Write the outputs."""
    host, data, out, *loaded = sys.argv[1:]
    torch.set_num_threads(2)
    where = {name: f"{data}/{name.split('/')[0]}" for name in CASES}
    if loaded:
        name, checkpoint = loaded
        found = outputs(host, name, where[name], checkpoint=checkpoint)
    else:
        found = {}
        for name in CASES:
            found |= outputs(host, name, where[name], f"{out}.{Path(name).name}.pth" if name in SAVED else None)
    np.savez(out, **found)


if __name__ == "__main__":
    main()
