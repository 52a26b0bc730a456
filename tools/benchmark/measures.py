"""Measures of a side, taken in its own process."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import resource
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from cost import peaks, step_cost
from mmengine.config import Config
from mmengine.utils.dl_utils import set_multi_processing
from sides import Setup, build_model, build_optimizer, prepare_process, set_seed, side_config
from torch import Tensor, nn

from pyskl_semloss.skeletons import get_layout


def answer(setup: Setup, command: str, arguments: dict[str, Any]) -> Any:
    """Result of a method of the process' :class:`Measures`; the first call builds them."""
    return getattr(_measures(setup), command)(**arguments)


@functools.cache
def _measures(setup: Setup) -> Measures:
    return Measures(setup)


class Measures:
    """Measures of a side, with its config, data sets, model and batches.

    Model and batches are built when they are first needed. All times are in seconds for a clip. The first call of a
    method is the warm-up for the next. On a GPU the clock is read when all work is done. All sides start from the
    host's weights, which the host draws if there are none yet.

    Args:
        setup: The side.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup, self.process = setup, prepare_process(setup)
        self.config: Config = side_config(setup)
        # As the runner does, so that workers are started in the way that the config names.
        set_multi_processing(**self.config.env_cfg.mp_cfg)
        self.cuda = setup.device == "cuda"
        if self.cuda:
            torch.cuda.init()
            torch.backends.cudnn.benchmark = bool(self.config.env_cfg.get("cudnn_benchmark", False))
        if setup.side == "host" and not Path(setup.weights).is_file():
            torch.save(build_model(self.config, None, "cpu", setup.seed).state_dict(), setup.weights)

    def about(self) -> dict[str, Any]:
        """Settings of this process."""
        return self.process

    @cached_property
    def model(self) -> Any:
        """The recogniser, with the host's weights."""
        return build_model(self.config, self.setup.weights, self.setup.device, self.setup.seed)

    @cached_property
    def optimizer(self) -> Any:
        """Its optimizer's wrapper."""
        return build_optimizer(self.config, self.model)

    @cached_property
    def train_set(self) -> Any:
        """The data set that training reads."""
        return self._dataset("train")

    @cached_property
    def test_set(self) -> Any:
        """The data set that testing reads."""
        return self._dataset("test")

    def _dataset(self, name: str) -> Any:
        from mmaction.registry import DATASETS

        dataset = DATASETS.build(self.config[f"{name}_dataloader"].dataset)
        dataset.full_init()
        return dataset

    def now(self) -> float:
        """Seconds on a clock, after all work of the GPU is done."""
        if self.cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def batch(self, dataset: Any, first: int, clips: int) -> dict[str, Any]:
        """Batch of successive clips of a data set, as from a loader."""
        from mmengine.dataset import pseudo_collate

        return pseudo_collate([dataset[index % len(dataset)] for index in range(first, first + clips)])

    @cached_property
    def train_data(self) -> dict[str, Any]:
        """The batch of every timed training step."""
        set_seed(self.setup.seed)
        return self.on_device(self.batch(self.train_set, 0, self.setup.batch))

    @cached_property
    def test_data(self) -> dict[str, Any]:
        """The clip of every timed test step."""
        return self.on_device(self.batch(self.test_set, 0, 1))

    def on_device(self, data: dict[str, Any]) -> dict[str, Any]:
        """Batch for a step: the host's volumes are on the device, our keypoints are not."""
        return self.model.data_preprocessor.cast_data(data) if self.setup.side == "host" else data

    def release(self) -> None:
        """Release the GPU's cached memory for the next side."""
        if self.cuda:
            torch.cuda.empty_cache()

    def heatmaps(self, clips: int = 8) -> float:
        """Heat-map step of a pipeline alone, on prepared clips, on the CPU."""
        from mmaction.registry import TRANSFORMS

        preprocessor, layout = self._drawing()
        modality = preprocessor.get("modality", "joint")
        name = "GeneratePoseTarget" if self.setup.side == "host" else "GeneratePoseHeatmap"
        step = TRANSFORMS.build(
            dict(type=name, with_kp=modality == "joint", with_limb=modality == "limb", skeletons=layout.limbs)
        )
        samples = self._before_heatmaps(clips)
        start = time.perf_counter()
        for results in samples:
            step.transform({**results, "keypoint": results["keypoint"].copy()})
        return (time.perf_counter() - start) / clips

    def _drawing(self) -> tuple[Any, Any]:
        drawing = Config.fromfile(self.setup.config).model.data_preprocessor
        return drawing, get_layout(drawing.skeleton)

    def _before_heatmaps(self, clips: int) -> list[dict[str, Any]]:
        set_seed(self.setup.seed)
        steps = self.train_set.pipeline.transforms
        names = [type(step).__name__ for step in steps]
        until = next(number for number, name in enumerate(names) if name in ("GeneratePoseTarget", "PackKeypoints"))
        samples = []
        for index in range(clips):
            results = self.train_set.get_data_info(index)
            for step in steps[:until]:
                results = step(results)
            samples.append(results)
        return samples

    def train_sample(self, clips: int = 8) -> float:
        """From annotations to the volumes of training, in batches."""
        preprocessor, batch = self.model.data_preprocessor, self.setup.batch
        batches = max(1, clips // batch)
        set_seed(self.setup.seed)
        start = 0.0
        # The first one warms up: between two turns the kernel takes back memory that lies idle.
        for number in range(-1, batches):
            start = start if number else self.now()
            volume = preprocessor(self.batch(self.train_set, max(number, 0) * batch, batch), True)["inputs"]
            if not volume.is_floating_point():
                raise RuntimeError(f"expected a volume of floats, got {volume.dtype}")
            del volume
        return (self.now() - start) / (batches * batch)

    def test_sample(self, clips: int = 3) -> float:
        """From an annotation to the volumes of all views.

        On our sides this is a test step with :class:`NoBackbone`.
        """
        backbone = self.model.backbone
        draw = self.model.test_step
        if self.setup.side == "host":
            draw = self.model.data_preprocessor
        else:
            self.model.backbone = NoBackbone(self.model.cls_head.in_channels)
        start = 0.0
        with torch.no_grad():
            for number in range(-1, clips):
                start = start if number else self.now()
                draw(self.batch(self.test_set, max(number, 0), 1))
        taken = (self.now() - start) / clips
        self.model.backbone = backbone
        return taken

    def bytes_of_clip(self) -> float:
        """Pickled bytes from a worker to the trainer, for a clip."""
        set_seed(self.setup.seed)
        return float(len(pickle.dumps(self.train_set[0], protocol=pickle.HIGHEST_PROTOCOL)))

    def train_step(self, steps: int = 1, warm_up: int = 1) -> float:
        """Forward, backward, optimizer: from volumes on the host, from keypoints on ours."""
        self.model.train()
        for _ in range(warm_up):
            self.model.train_step(self.train_data, self.optimizer)
        start = self.now()
        for _ in range(steps):
            self.model.train_step(self.train_data, self.optimizer)
        seconds = (self.now() - start) / (steps * self.setup.batch)
        self.release()
        return seconds

    def rendering(self, steps: int = 1, transfer: bool = False) -> float:
        """Drawing of a step's volumes alone; ``transfer`` includes moving keypoints to the device."""
        preprocessor = self.model.data_preprocessor
        views = preprocessor.views(self.train_data)

        def draw() -> None:
            if transfer:
                preprocessor(self.train_data, True)
            else:
                preprocessor.render(views.keypoint, views.score, views.size)

        draw()
        start = self.now()
        for _ in range(steps):
            draw()
        return (self.now() - start) / (steps * self.setup.batch)

    def inference(self, steps: int = 1, warm_up: int = 0) -> float:
        """Test step of a clip with all views; predictions reach the CPU."""
        self.model.eval()
        # As the host's test loop does.
        with torch.no_grad():
            for _ in range(warm_up):
                self.model.test_step(self.test_data)
            start = self.now()
            for _ in range(steps):
                self.model.test_step(self.test_data)
        seconds = (self.now() - start) / steps
        self.release()
        return seconds

    def losses(self, steps: int = 20) -> list[float]:
        """``loss_cls`` of each training step from the host's weights, with alpha 0."""
        config = copy.deepcopy(self.config)
        if self.setup.side != "host":
            config.model.cls_head.alpha = 0.0
        model = build_model(config, self.setup.weights, self.setup.device, self.setup.seed).train()
        optimizer, losses = build_optimizer(config, model), []
        for step in range(steps):
            set_seed(self.setup.seed + step)
            data = self.batch(self.train_set, step * self.setup.batch, self.setup.batch)
            # Apart from what the pipeline drew: dropout begins at the same place on each side.
            set_seed(self.setup.seed + step)
            losses.append(float(model.train_step(data, optimizer)["loss_cls"]))
        return losses

    def _loader(self, workers: int) -> Any:
        from mmengine.runner import Runner

        config = copy.deepcopy(self.config.train_dataloader)
        config.update(sampler=dict(type="InfiniteSampler", shuffle=True), num_workers=workers)
        return Runner.build_dataloader(config, seed=self.setup.seed)

    def _flowing(self, loader: Any) -> Any:
        """Iterator with running workers; their first batches are dropped."""
        batches = iter(loader)
        for _ in range((loader.prefetch_factor or 1) * max(1, loader.num_workers)):
            next(batches)
        return batches

    def epoch(self, clips: int = 24, seconds: float = 0.0) -> float:
        """Training through the loader, for at least some clips and seconds."""
        self.model.train()
        batches = self._flowing(self._loader(self.setup.workers))
        # The first step after a fork copies every page that it writes: once in a training, not once a turn.
        self.model.train_step(next(batches), self.optimizer)
        done, start = 0, self.now()
        while done < clips or time.perf_counter() - start < seconds:
            self.model.train_step(next(batches), self.optimizer)
            done += self.setup.batch
        taken = (self.now() - start) / done
        del batches
        self.release()
        return taken

    def loading(self, workers: int, clips: int) -> dict[str, float]:
        """The loader alone: seconds for a clip, private bytes of a worker."""
        batches = self._flowing(self._loader(workers))
        done, start = 0, time.perf_counter()
        while done < clips:
            next(batches)
            done += self.setup.batch
        taken = (time.perf_counter() - start) / done
        pids = [worker.pid for worker in getattr(batches, "_workers", [])]
        return {"seconds": taken, "worker_bytes": max(map(private_bytes, pids), default=0)}

    def memory(self, step: str) -> dict[str, float]:
        """Peak bytes of ``"train_step"`` or ``"inference"``, called first in a new process."""
        work = self.train_step if step == "train_step" else self.inference
        if self.cuda:
            # What compiling and choosing kernels takes once is not the work's.
            work(steps=1)
        reset_peak(self.setup.device)
        before = peak_bytes(self.setup.device)
        work(steps=1)
        return {"before": before, "peak": peak_bytes(self.setup.device)}

    def cost(self) -> dict[str, Any]:
        """Operations and bytes of a training step by precision, and machine peaks."""
        shape = self.model.data_preprocessor(self.train_data, True)["inputs"].flatten(0, 1).shape
        counted: dict[str, Any] = {"shape": list(shape), "peaks": peaks(self.setup.device), "cost": {}}
        for name, element in (("float32", 4), ("bfloat16", 2)):
            for fused in (True, False):
                cost = step_cost(self.model, shape, element=element, fused=fused)
                counted["cost"][f"{name}, {'fused' if fused else 'each operation alone'}"] = dataclasses.asdict(cost)
        return counted

    def point(self, frames: int, size: int, skeleton: str, persons: int, batch: int, steps: int) -> dict[str, float]:
        """Training step on random points of another size, in a new process."""
        drawing = self.config.model.data_preprocessor
        drawing.skeleton = skeleton
        self.config.model.backbone.in_channels = get_layout(skeleton).num_channels(drawing.get("modality", "joint"))
        self.model = build_model(self.config, None, self.setup.device, self.setup.seed)
        self.setup = dataclasses.replace(self.setup, batch=batch)
        self.train_data = random_batch(batch, persons, frames, get_layout(skeleton).num_joints, size, self.setup.seed)
        reset_peak(self.setup.device)
        before = peak_bytes(self.setup.device)
        rendering = self.rendering(steps)
        step = self.train_step(steps)
        if self.cuda:
            reset_peak(self.setup.device)
            before = peak_bytes(self.setup.device)
            self.train_step()
        return {"rendering": rendering, "step": step, "memory": peak_bytes(self.setup.device) - before}


def peak_bytes(device: str) -> float:
    """Peak memory of this process: allocated on the GPU, or resident on the CPU."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    # Kilobytes on Linux.
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def reset_peak(device: str) -> None:
    """Reset the peak on a GPU; on a CPU it needs a new process."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def private_bytes(pid: int) -> float:
    """Private bytes of a process; 0 if the kernel does not report them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return float(sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024)


class NoBackbone(nn.Module):
    """Backbone that returns zeros of the right shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, volume: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, channels, 1, 1, 1), zeros."""
        return volume.new_zeros((len(volume), self.channels, 1, 1, 1))


def random_batch(clips: int, persons: int, frames: int, joints: int, size: int, seed: int) -> dict[str, Any]:
    """Batch as from :class:`PackKeypoints`: random walks in ``size`` x ``size`` px."""
    from mmaction.structures import ActionDataSample

    generator = torch.Generator().manual_seed(seed)
    shape = (1, persons, frames, joints)
    samples = []
    for number in range(clips):
        sample = ActionDataSample()
        # MMAction2 1.2 renamed the label's field.
        set_label = getattr(sample, "set_gt_label", None) or sample.set_gt_labels
        set_label(number % 2)
        for key, value in (("img_shape", (size, size)), ("sample_id", str(number))):
            sample.set_field(value, key, field_type="metainfo")
        samples.append(sample)
    points = [size * torch.rand((*shape, 2), generator=generator) for _ in range(clips)]
    scores = [torch.rand(shape, generator=generator) for _ in range(clips)]
    return {"inputs": {"keypoint": points, "keypoint_score": scores}, "data_samples": samples}
