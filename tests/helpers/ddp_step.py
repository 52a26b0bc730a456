"""One training step, alone or as one of several processes: ``python tests/helpers/ddp_step.py DATA OUT``.

DATA is a pickle of clips; its label vectors lie beside it. Batch norm is frozen: its statistics are of a process's own
clips, so gradients of several processes are those of one only without it (or with statistics shared, ``sync_bn``).
"""

import os
import random
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

import pyskl_semloss.hosts.mmaction2  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
CLIPS = 8


def main():
    """Write the loss and every parameter's gradient, from the first process."""
    from mmaction.registry import DATASETS, MODELS
    from mmengine.model import MMDistributedDataParallel

    data, out = sys.argv[1:]
    torch.set_num_threads(1)
    config = Config.fromfile(ROOT / "configs" / "mmaction2" / "synthetic" / "joint.py")
    init_default_scope("mmaction")
    config.model.cls_head.update(label_vectors=data.replace(".pkl", ".npy"), dropout_ratio=0)
    config.model.backbone.norm_eval = True
    config.train_dataloader.dataset.ann_file = data
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model.train()
    random.seed(0), np.random.seed(0)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    clips = [dataset[index] for index in range(CLIPS)]
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    step = model
    if processes > 1:
        torch.distributed.init_process_group("gloo")
        step = MMDistributedDataParallel(model, device_ids=None, broadcast_buffers=False)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0))
    optimizer.zero_grad = lambda **options: None  # the gradients are what is wanted
    logs = step.train_step(pseudo_collate(clips[rank::processes]), optimizer)
    if rank == 0:
        gradients = {
            f"grad/{name}": parameter.grad.numpy()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        np.savez(out, loss=float(logs["loss"]), **gradients)


if __name__ == "__main__":
    main()
