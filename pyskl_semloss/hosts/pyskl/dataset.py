"""PySKL's pose dataset over the safe, validating reader."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pyskl.datasets import PoseDataset
from pyskl.datasets.builder import DATASETS

from pyskl_semloss.annotations.dataset_clips import StoredClips, dataset_clips
from pyskl_semloss.errors import HostError, InputError
from pyskl_semloss.hosts.faults import clip_in_hand, watch
from pyskl_semloss.hosts.pyskl.keypoint_cache import KeypointCache
from pyskl_semloss.io.files import sha256
from pyskl_semloss.skeletons import get_layout

MODALITIES = ("joint", "limb")


class StoredInfos(Sequence[dict[str, Any]]):
    """The host's list of clips over a keypoint store: entries without keypoints, made when they are asked for.

    The host goes through all entries to tidy them, and again for the labels.

    Args:
        clips: The clips.
    """

    def __init__(self, clips: StoredClips) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return StoredInfos(self.clips[index])
        return self.clips.info(index)


@DATASETS.register_module()
class KeypointDataset(PoseDataset):
    """Clips of a PySKL annotation pickle, read without running code from it and checked; see docs/annotations.md.

    Large sets come from a keypoint store, of which nothing is held in memory; see docs/scale.md.

    Args:
        ann_file: The annotation pickle, or the folder of a keypoint store.
        pipeline: The transforms.
        split: Read only this split.
        skeleton: Layout name or mapping; the clips must have its joints. ``FlipKeypoints`` and ``GeneratePoseHeatmap``
            go by it.
        modality: What ``GeneratePoseHeatmap`` draws: ``"joint"`` or ``"limb"``.
        num_classes: Refuse labels that are not below it.
        off_image: ``"drop"`` makes points outside the image missing ones, ``"keep"`` leaves them.
        binary_score: Every known point scores 1 and every missing one, (0, 0), scores 0.
        strict: Refuse whatever would be mended with a warning.
        memcached: Keep the keypoints in memcached, where all processes share them; not for a store, which they share.
        mc_cfg: Host and port of memcached.
        **kwargs: The arguments of PySKL's ``PoseDataset``. With ``test_mode``, clips without a single point and clips
            without a label are kept, so that every id gets a score.

    Raises:
        InputError: The file or a clip in it is not as docs/annotations.md says.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: list,
        split: str | None = None,
        skeleton: str | Mapping | None = None,
        modality: str = "joint",
        num_classes: int | None = None,
        off_image: str = "keep",
        binary_score: bool = False,
        strict: bool = False,
        memcached: bool = False,
        mc_cfg: tuple[str, int] = ("localhost", 22077),
        **kwargs: Any,
    ) -> None:
        if modality not in MODALITIES:
            raise InputError(f"expected 'joint' or 'limb', got {modality!r}", field="modality")
        for name in ("data_prefix", "valid_ratio", "multi_class"):
            if kwargs.get(name):
                raise InputError(
                    "the annotation file of keypoints knows no such thing",
                    file=ann_file,
                    field=name,
                    fix="Leave it out, or use the host's PoseDataset.",
                )
        self.layout = None if skeleton is None else get_layout(skeleton)
        self.off_image, self.binary_score, self.strict = off_image, binary_score, strict
        self.cached_at: Any = tuple(mc_cfg) if memcached else None
        self.cache: KeypointCache | None = None
        self.full = False
        if memcached and importlib.util.find_spec("pymemcache") is None:
            raise HostError("memcached=True needs pymemcache; run: pip install pymemcache")
        # The host's own cache unpickles whatever listens on the port: it stays off.
        super().__init__(ann_file, pipeline, split=split, num_classes=num_classes, memcached=False, **kwargs)
        self.modality = modality
        watch(self)

    def load_annotations(self) -> Sequence[dict[str, Any]]:
        """Read and check the annotation file."""
        entries = self._read()
        if isinstance(entries, StoredClips):
            if self.cached_at is not None:
                raise InputError(
                    "all processes share a keypoint store as it is, memcached would only be a second copy",
                    file=self.ann_file,
                    field="memcached",
                    fix="Set memcached = False.",
                )
            return StoredInfos(entries)
        if self.cached_at is not None:
            self.cache = KeypointCache(self.cached_at, self._content())
            # The host starts memcached after it has made the data sets: the first clip that is missed fills it.
            for entry in entries:
                del entry["keypoint"], entry["keypoint_score"]
        return entries

    def _read(self) -> Sequence[dict[str, Any]]:
        return dataset_clips(
            self.ann_file,
            split=self.split,
            layout=self.layout,
            num_classes=self.num_classes,
            test_mode=self.test_mode,
            off_image=self.off_image,
            binary_score=self.binary_score,
            strict=self.strict,
        )

    def _content(self) -> str:
        """What the keypoints depend on."""
        return f"{sha256(self.ann_file)} {self.off_image} {self.binary_score}"

    def _clip(self, idx: int) -> dict[str, Any]:
        if isinstance(self.video_infos, StoredInfos):
            return self.video_infos.clips[idx]
        entry = dict(self.video_infos[idx])
        entry["keypoint"], entry["keypoint_score"] = self._keypoints(entry)
        return entry

    def _keypoints(self, entry: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        if self.cache is None:
            return entry["keypoint"].copy(), entry["keypoint_score"].copy()
        found = self.cache.get(entry["frame_dir"])
        if found is not None:
            return found
        entries = self._read()
        if self._content() != self.cache.content:
            raise InputError("the file is not the one any more that this data set was made from", file=self.ann_file)
        self.cache.fill(entries)
        if not self.full and self.cache.get(entry["frame_dir"]) is None:
            self.full = True
            warnings.warn(
                f"memcached keeps not all keypoints of {self.ann_file}, such as those of clip {entry['frame_dir']!r}; "
                "the file is read again each time. Start memcached with more memory (-m) and larger items (-I 64m).",
                stacklevel=2,
            )
        (same,) = (one for one in entries if one["frame_dir"] == entry["frame_dir"])
        return same["keypoint"], same["keypoint_score"]

    def prepare_train_frames(self, idx: int) -> dict[str, Any]:
        """One clip through the pipeline, with its layout and modality; what fails names the clip."""
        with clip_in_hand(self, idx):
            results = self._clip(idx)
            results |= {"modality": self.modality, "start_index": self.start_index, "test_mode": self.test_mode}
            if self.layout is not None:
                results["skeleton"] = self.layout
            return self.pipeline(results)

    def clip_id(self, idx: int) -> str:
        """The id (``frame_dir``) of a clip."""
        return self.video_infos[idx]["frame_dir"]

    prepare_test_frames = prepare_train_frames
