"""Packing and collation of clips for models that take keypoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmaction.structures import ActionDataSample
from mmcv.transforms import BaseTransform
from mmengine.registry import FUNCTIONS
from torch import Tensor
from torch.utils.data import get_worker_info

from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.faults import no_shared_memory


def get_sample_field(sample: Any, name: str) -> Tensor:
    """Tensor ``"gt_label"`` or ``"pred_score"`` of a data sample or of its dictionary.

    MMAction2 1.1 wraps it as ``gt_labels.item``, 1.2 holds it as ``gt_label``.
    """

    def get(key: str) -> Any:
        return sample.get(key) if isinstance(sample, Mapping) else getattr(sample, key, None)

    value = get(name)
    if value is not None:
        return value
    wrapped = get(name + "s")
    return wrapped["item"] if isinstance(wrapped, Mapping) else wrapped.item


@TRANSFORMS.register_module()
class PackKeypoints(BaseTransform):
    """Pack a clip's keypoints for a preprocessor that draws the heat maps, or for a graph network.

    ``inputs`` holds the float32 tensors ``keypoint`` (S views, M persons, T frames, V joints, 2), px, and
    ``keypoint_score`` (S, M, T, V); S is ``num_clips``. After ``FormatGraphInput`` it holds ``keypoint`` alone, as that
    made it. ``data_samples`` holds the label, and as metainfo ``sample_id`` (``frame_dir``), ``img_shape``, the (h, w)
    of the heat maps in px, ``skeleton``, the name of the data set's layout, and the given keys.

    Args:
        meta_keys: Further results to copy into the metainfo, if a clip has them.
        mirrored_views: Let the preprocessor add the mirror image of each view (testing with flips).
    """

    def __init__(self, meta_keys: Sequence[str] = ("frame_dir", "img_shape"), mirrored_views: bool = False) -> None:
        self.meta_keys, self.mirrored_views = tuple(meta_keys), mirrored_views

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack a clip.

        Raises:
            InputError: The clip has no id.
        """
        if "frame_dir" not in results:
            raise InputError("expected the clip's id, which identifies its scores", field="frame_dir")
        sample = ActionDataSample()
        if "label" in results:
            # MMAction2 1.2 renamed the label's field.
            set_label = getattr(sample, "set_gt_label", None) or sample.set_gt_labels
            set_label(np.asarray(results["label"]))
        meta = {key: results[key] for key in self.meta_keys if key in results}
        meta |= {"sample_id": results["frame_dir"], "img_shape": tuple(map(int, results["img_shape"]))}
        if "skeleton" in results:
            meta["skeleton"] = results["skeleton"].name
        if self.mirrored_views:
            meta["mirrored_views"] = True
        # Not set_metainfo(), which copies deeply.
        for key, value in meta.items():
            sample.set_field(value, key, field_type="metainfo")
        if "keypoint_score" not in results:
            return {"inputs": {"keypoint": torch.from_numpy(results["keypoint"])}, "data_samples": sample}
        inputs = {}
        for key in ("keypoint", "keypoint_score"):
            persons, _, *rest = results[key].shape
            clips = results[key].reshape(persons, results.get("num_clips", 1), -1, *rest).swapaxes(0, 1)
            inputs[key] = torch.from_numpy(np.array(clips, dtype=np.float32, order="C"))
        return {"inputs": inputs, "data_samples": sample}


@FUNCTIONS.register_module()
def stack_keypoints(batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Collate packed clips into two tensors per batch, in the loader's worker.

    Args:
        batch: N clips packed by :class:`PackKeypoints`.

    Returns:
        ``inputs`` with ``keypoint`` (N, S, M, T, V, 2) and ``keypoint_score`` (N, S, M, T, V), or lists of N tensors if
        the clips differ in shape, and the list ``data_samples``. A worker returns tensors in shared memory. Inputs of
        graph networks are ``keypoint`` (N, S, P, T, V, 3) alone.

    Raises:
        InputError: Shared memory is full.
    """
    inputs: dict[str, Any] = {}
    for key in batch[0]["inputs"]:
        values = [item["inputs"][key] for item in batch]
        inputs[key] = torch.stack(values) if len({value.shape for value in values}) == 1 else values
    samples = [item["data_samples"] for item in batch]
    if get_worker_info() is not None:
        labels = [
            get_sample_field(sample, "gt_label") for sample in samples if {"gt_label", "gt_labels"} & set(sample.keys())
        ]
        _share([*inputs.values(), *labels], samples)
    return {"inputs": inputs, "data_samples": samples}


def _share(tensors: Sequence[Any], samples: Sequence[Any]) -> None:
    """Move tensors to shared memory here; the queue's thread would drop the error and the trainer would hang."""
    try:
        for value in tensors:
            for tensor in value if isinstance(value, list) else [value]:
                tensor.share_memory_()
    except RuntimeError as error:
        if "shared memory" not in str(error):
            raise
        raise no_shared_memory(samples[0].sample_id, len(samples)) from error
