"""MMAction2's pose data set on the safe, validating reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.datasets import PoseDataset
from mmaction.registry import DATASETS
from mmengine.config import ConfigDict

from pyskl_semloss.annotations.dataset_clips import StoredClips, dataset_clips
from pyskl_semloss.errors import InputError
from pyskl_semloss.hosts.faults import clip_in_hand, watch
from pyskl_semloss.hosts.mmaction2.data.seeding import seed_generators
from pyskl_semloss.keypoint_ops import check_stream
from pyskl_semloss.skeletons import get_layout


@DATASETS.register_module()
class KeypointDataset(PoseDataset):
    """Checked clips of a PySKL annotation pickle, see docs/annotations.md.

    No code in the pickle runs. A keypoint store serves large sets without holding them in memory, see docs/scale.md.

    Args:
        ann_file: Annotation pickle, or folder of a keypoint store.
        pipeline: Transforms.
        split: Split to read; by default all clips.
        skeleton: Layout name or mapping; the clips must have its joints. ``FlipKeypoints`` mirrors by it.
        num_classes: Refuse labels that are not below it.
        off_image: ``"drop"`` makes points outside the image missing ones, ``"keep"`` leaves them.
        binary_score: Set the score of every known point to 1 and of every missing one, (0, 0), to 0.
        strict: Refuse clips that would otherwise be repaired with a warning.
        only_classes: Read only the clips of these classes; clips without a label are left out.
        stream: Input of ``KeypointStream``, for graph networks.
        **kwargs: The arguments of :class:`mmaction.datasets.PoseDataset`. With ``test_mode``, clips without points and
            clips without a label are kept, so that every id gets a score.

    Raises:
        InputError: The file or a clip in it violates docs/annotations.md.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: list,
        split: str | None = None,
        skeleton: str | Mapping | None = None,
        num_classes: int | None = None,
        off_image: str = "keep",
        binary_score: bool = False,
        strict: bool = False,
        only_classes: Sequence[int] | None = None,
        stream: str = "joint",
        **kwargs: Any,
    ) -> None:
        check_stream(stream)
        self.layout, self.stream = None if skeleton is None else get_layout(skeleton), stream
        self.off_image, self.binary_score, self.strict = off_image, binary_score, strict
        self.only_classes = only_classes
        self._seed_and_epoch: torch.Tensor | None = None
        super().__init__(ann_file, pipeline, split=split, num_classes=num_classes, **kwargs)
        watch(self)

    def load_data_list(self) -> Sequence[dict[str, Any]]:
        """Read and check the annotation file."""
        if any(self.data_prefix.values()):
            raise InputError(
                "expected no folder, the keypoints are in the annotation file",
                file=self.ann_file,
                field="data_prefix",
                fix="For skeletons in files of their own use the host's PoseDataset.",
            )
        clips = dataset_clips(
            self.ann_file,
            split=self.split,
            layout=self.layout,
            num_classes=self.num_classes,
            test_mode=self.test_mode,
            off_image=self.off_image,
            binary_score=self.binary_score,
            strict=self.strict,
        )
        if self.only_classes is not None:
            clips = self._of_classes(clips, self.only_classes)
        if isinstance(clips, StoredClips):
            # The host would read all clips now and keep their bytes in memory.
            self.serialize_data = False
            lengths = clips.store.sizes[clips.numbers, 1]
        else:
            lengths = np.array([clip["total_frames"] for clip in clips])
        # The host keeps it in the checkpoints, where prediction on long recordings finds it.
        self._metainfo["clip_frames"] = float(np.median(lengths))
        # A checkpoint may hold plain dicts only, not mmengine's ConfigDict.
        if isinstance(origin := self._metainfo.get("label_vectors"), ConfigDict):
            self._metainfo["label_vectors"] = origin.to_dict()
        return clips

    def _of_classes(self, clips: Sequence[dict[str, Any]], classes: Sequence[int]) -> Sequence[dict[str, Any]]:
        """Clips of some classes; refuses classes without clips, in testing only if all lack them."""
        if isinstance(clips, StoredClips):
            labels = clips.store.labels[clips.numbers]
        else:
            labels = np.array([clip["label"] for clip in clips], np.int64)
        indices = np.flatnonzero(np.isin(labels, classes))
        bare = sorted(set(classes) - set(labels.tolist()))
        if not len(indices) or (bare and not self.test_mode):
            problem = (
                f"the split {self.split!r} has no clip of {len(bare)} of the {len(classes)} classes asked for, {bare}"
            )
            fix = "Leave the classes without clips out."
            raise InputError(problem, file=self.ann_file, field="only_classes", fix=fix)
        return clips.take(indices) if isinstance(clips, StoredClips) else [clips[index] for index in indices]

    def filter_data(self) -> Sequence[dict[str, Any]]:
        """All clips that were read."""
        return self.data_list

    def seed_clips(self, seed: int, epoch: int) -> None:
        """Seed each clip's augmentation by (seed, epoch, clip), independent of workers.

        Args:
            seed: Seed of the data set in the run, below 2**63.
            epoch: The epoch, shared with workers that already run.
        """
        if self._seed_and_epoch is None:
            self._seed_and_epoch = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._seed_and_epoch[0], self._seed_and_epoch[1] = seed, epoch

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Annotation entry of a clip, with its layout."""
        info = super().get_data_info(idx)
        if self.layout is not None:
            info["skeleton"] = self.layout
        info["stream"] = self.stream
        return info

    def prepare_data(self, idx: int) -> Any:
        """Pipeline result of a clip; errors name the clip."""
        if self._seed_and_epoch is not None:
            seed_generators(*self._seed_and_epoch.tolist(), idx)
        with clip_in_hand(self, idx):
            return super().prepare_data(idx)

    def clip_id(self, idx: int) -> str:
        """Id (``frame_dir``) of a clip."""
        stored = isinstance(self.data_list, StoredClips)
        return (self.data_list.info(idx) if stored else super().get_data_info(idx))["frame_dir"]

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> Sequence[dict[str, Any]]:
        """Subset of the clips; clips of a store are not read for it."""
        if isinstance(self.data_list, StoredClips) and isinstance(indices, Sequence):
            return self.data_list.take(indices)
        return super()._get_unserialized_subset(indices)
