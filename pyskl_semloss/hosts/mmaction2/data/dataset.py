"""MMAction2's pose dataset over the safe, validating reader."""

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
from pyskl_semloss.skeletons import get_layout


@DATASETS.register_module()
class KeypointDataset(PoseDataset):
    """Clips of a PySKL annotation pickle, read without running code from it and checked; see docs/annotations.md.

    Large sets come from a keypoint store, of which nothing is held in memory; see docs/scale.md.

    Args:
        ann_file: The annotation pickle, or the folder of a keypoint store.
        pipeline: The transforms.
        split: Read only this split.
        skeleton: Layout name or mapping; the clips must have its joints. ``FlipKeypoints`` mirrors by it.
        num_classes: Refuse labels that are not below it.
        off_image: ``"drop"`` makes points outside the image missing ones, ``"keep"`` leaves them.
        binary_score: Every known point scores 1 and every missing one, (0, 0), scores 0.
        strict: Refuse whatever would be mended with a warning.
        only_classes: Leave out the clips of all other classes, and clips without a label.
        **kwargs: The arguments of :class:`mmaction.datasets.PoseDataset`. With ``test_mode``, clips without a single
            point and clips without a label are kept, so that every id gets a score.

    Raises:
        InputError: The file or a clip in it is not as docs/annotations.md says.
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
        **kwargs: Any,
    ) -> None:
        self.layout = None if skeleton is None else get_layout(skeleton)
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
            # The host would read all of them now, and hold their bytes.
            self.serialize_data = False
            lengths = clips.store.sizes[clips.numbers, 1]
        else:
            lengths = np.array([clip["total_frames"] for clip in clips])
        # The host keeps it in the checkpoints, where prediction on long recordings finds it.
        self._metainfo["clip_frames"] = float(np.median(lengths))
        # A checkpoint is read as plain data, and a dict of a config is none.
        if isinstance(origin := self._metainfo.get("label_vectors"), ConfigDict):
            self._metainfo["label_vectors"] = origin.to_dict()
        return clips

    def _of_classes(self, clips: Sequence[dict[str, Any]], classes: Sequence[int]) -> Sequence[dict[str, Any]]:
        """The clips of some classes; in training each of these has some."""
        if isinstance(clips, StoredClips):
            labels = clips.store.labels[clips.numbers]
        else:
            labels = np.array([clip["label"] for clip in clips], np.int64)
        places = np.flatnonzero(np.isin(labels, classes))
        bare = sorted(set(classes) - set(labels.tolist()))
        if not len(places) or (bare and not self.test_mode):
            problem = (
                f"the split {self.split!r} has no clip of {len(bare)} of the {len(classes)} classes asked for, {bare}"
            )
            fix = "Leave the classes without clips out."
            raise InputError(problem, file=self.ann_file, field="only_classes", fix=fix)
        return clips.take(places) if isinstance(clips, StoredClips) else [clips[place] for place in places]

    def filter_data(self) -> Sequence[dict[str, Any]]:
        """Every clip that was read stays."""
        return self.data_list

    def seed_clips(self, seed: int, epoch: int) -> None:
        """From now on a clip's augmentation depends on these two and the clip, not on the worker that draws it.

        Args:
            seed: Of the data set in the run, below 2**63.
            epoch: Workers that live through several epochs see a new one too.
        """
        if self._seed_and_epoch is None:
            self._seed_and_epoch = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._seed_and_epoch[0], self._seed_and_epoch[1] = seed, epoch

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """One clip, with its layout."""
        info = super().get_data_info(idx)
        if self.layout is not None:
            info["skeleton"] = self.layout
        return info

    def prepare_data(self, idx: int) -> Any:
        """One clip through the pipeline; what fails names the clip."""
        if self._seed_and_epoch is not None:
            seed_generators(*self._seed_and_epoch.tolist(), idx)
        with clip_in_hand(self, idx):
            return super().prepare_data(idx)

    def clip_id(self, idx: int) -> str:
        """The id (``frame_dir``) of a clip."""
        stored = isinstance(self.data_list, StoredClips)
        return (self.data_list.info(idx) if stored else super().get_data_info(idx))["frame_dir"]

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> Sequence[dict[str, Any]]:
        """Some of the clips; of a store, none of them is read for it."""
        if isinstance(self.data_list, StoredClips) and isinstance(indices, Sequence):
            return self.data_list.take(indices)
        return super()._get_unserialized_subset(indices)
