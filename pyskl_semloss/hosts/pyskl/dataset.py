"""PySKL's pose data set on the safe, validating reader."""

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
from pyskl_semloss.heatmap.channels import MODALITIES
from pyskl_semloss.hosts.faults import clip_in_hand, watch
from pyskl_semloss.hosts.pyskl.keypoint_cache import KeypointCache
from pyskl_semloss.io.files import sha256
from pyskl_semloss.keypoint_ops import check_stream
from pyskl_semloss.skeletons import get_layout


class StoredInfos(Sequence[dict[str, Any]]):
    """List of a keypoint store's clips for the host, without keypoints.

    Entries are created on access, because the host iterates over all of them for paths and labels.

    Args:
        clips: Clips of the store.
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
    """Checked clips of a PySKL annotation pickle, see docs/annotations.md.

    No code in the pickle runs. A keypoint store serves large sets without holding them in memory, see docs/scale.md.

    Args:
        ann_file: Annotation pickle, or folder of a keypoint store.
        pipeline: Transforms.
        split: Split to read; by default all clips.
        skeleton: Layout name or mapping; the clips must have its joints. ``FlipKeypoints`` and ``GeneratePoseHeatmap``
            use it.
        modality: Modality of ``GeneratePoseHeatmap``, ``"joint"`` or ``"limb"``.
        stream: Input of ``KeypointStream``, for graph networks.
        num_classes: Refuse labels that are not below it.
        off_image: ``"drop"`` makes points outside the image missing ones, ``"keep"`` leaves them.
        binary_score: Set the score of every known point to 1 and of every missing one, (0, 0), to 0.
        strict: Refuse clips that would otherwise be repaired with a warning.
        memcached: Keep the keypoints in memcached, shared by all processes; not for a store, which is shared anyway.
        mc_cfg: Host and port of memcached.
        **kwargs: The arguments of PySKL's ``PoseDataset``. With ``test_mode``, clips without points and clips without a
            label are kept, so that every id gets a score.

    Raises:
        InputError: The file or a clip in it violates docs/annotations.md, or an argument does not apply here.
        HostError: memcached is wanted, but pymemcache is not installed.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: list,
        split: str | None = None,
        skeleton: str | Mapping | None = None,
        modality: str = "joint",
        stream: str = "joint",
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
        check_stream(stream)
        for name in ("data_prefix", "valid_ratio", "multi_class"):
            if kwargs.get(name):
                raise InputError(
                    "an annotation file of keypoints does not support it",
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
        # The host's own cache unpickles data of any server on the port, so it stays off.
        super().__init__(ann_file, pipeline, split=split, num_classes=num_classes, memcached=False, **kwargs)
        self.modality, self.stream = modality, stream
        watch(self)

    def load_annotations(self) -> Sequence[dict[str, Any]]:
        """Read and check the annotation file."""
        entries = self._read()
        if isinstance(entries, StoredClips):
            if self.cached_at is not None:
                raise InputError(
                    "all processes share a keypoint store already, memcached would only be a second copy",
                    file=self.ann_file,
                    field="memcached",
                    fix="Set memcached = False.",
                )
            return StoredInfos(entries)
        if self.cached_at is not None:
            self.cache = KeypointCache(self.cached_at, self._content())
            # The host starts memcached after it creates the data sets: the first cache miss fills it.
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
        """Identity of the keypoints: the file's checksum and the rules of reading."""
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
        cached = self.cache.get(entry["frame_dir"])
        if cached is not None:
            return cached
        entries = self._read()
        if self._content() != self.cache.content:
            raise InputError("the file has changed since this data set was created", file=self.ann_file)
        self.cache.fill(entries)
        if not self.full and self.cache.get(entry["frame_dir"]) is None:
            self.full = True
            warnings.warn(
                f"memcached does not keep all keypoints of {self.ann_file}, such as those of clip "
                f"{entry['frame_dir']!r}; the file is read again each time. Start memcached with more memory (-m) and "
                "larger items (-I 64m).",
                stacklevel=2,
            )
        (same,) = (clip for clip in entries if clip["frame_dir"] == entry["frame_dir"])
        return same["keypoint"], same["keypoint_score"]

    def prepare_train_frames(self, idx: int) -> dict[str, Any]:
        """Pipeline result of a clip; errors name the clip."""
        with clip_in_hand(self, idx):
            results = self._clip(idx)
            results |= {"modality": self.modality, "stream": self.stream}
            results |= {"start_index": self.start_index, "test_mode": self.test_mode}
            if self.layout is not None:
                results["skeleton"] = self.layout
            return self.pipeline(results)

    def clip_id(self, idx: int) -> str:
        """Id (``frame_dir``) of a clip."""
        return self.video_infos[idx]["frame_dir"]

    prepare_test_frames = prepare_train_frames
