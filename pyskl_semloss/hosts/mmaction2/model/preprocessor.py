"""Preprocessor that draws the heat maps on the model's device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels, render_batch
from pyskl_semloss.heatmap.numba_engine import check_points, draw
from pyskl_semloss.skeletons import get_layout

ENGINES = ("auto", "numba", "torch")


class Views(NamedTuple):
    """Views of a batch before rendering.

    Attributes:
        keypoint: (N clips, S views, M, T, V, 2) x, y in px of the maps.
        score: (N, S, M, T, V); missing persons have score 0.
        size: Height and width of the maps in px.
        mirrored: Whether each clip's views are followed by their mirror images.
        samples: The N data samples.
    """

    keypoint: Tensor
    score: Tensor
    size: tuple[int, int]
    mirrored: bool
    samples: Sequence


@MODELS.register_module()
class PoseHeatmapPreprocessor(BaseDataPreprocessor):
    """Render the packed keypoints of ``PackKeypoints`` into heat-map volumes.

    Clips of a batch may have different numbers of persons; padded persons draw nothing. For a sample packed with
    ``mirrored_views`` the mirror images follow its views, for testing with flips.

    Args:
        skeleton: Layout name or mapping, see :func:`pyskl_semloss.skeletons.get_layout`.
        modality: ``"joint"`` or ``"limb"``.
        sigma: Standard deviation of the maps in px.
        use_score: Whether the peak is the point's score; otherwise it is 1 for each point, unknown ones included.
        score_threshold: A score below it draws nothing (MMAction2 1e-4, PySKL 1e-3).
        engine: ``"numba"`` (CPU only), ``"torch"``, or ``"auto"``: Numba on a CPU, torch elsewhere.
        non_blocking: As in mmengine.
    """

    def __init__(
        self,
        skeleton: str | Mapping,
        modality: str = "joint",
        sigma: float = 0.6,
        use_score: bool = True,
        score_threshold: float = 1e-4,
        engine: str = "auto",
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if engine not in ENGINES:
            raise InputError(f"expected one of {', '.join(ENGINES)}, got {engine!r}", field="engine")
        if not sigma > 0:
            raise InputError(f"expected a positive number of px, got {sigma!r}", field="sigma")
        self.layout = get_layout(skeleton)
        self.channels = Channels.of_layout(self.layout, modality)
        self.sigma, self.threshold, self.use_score, self.engine = sigma, score_threshold, use_score, engine
        # Set by PoseRecognizer3D: the maps' type (None: autocast's), and whether to fuse the torch engine.
        self.dtype: torch.dtype | None = None
        self.fuse = False

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Heat maps ``inputs`` (N, S views, C, T, H, W) of packed samples.

        Args:
            data: ``inputs`` with ``keypoint``, N times (S, M, T, V, 2), and ``keypoint_score``, N times (S, M, T, V),
                and ``data_samples`` with ``img_shape`` (h, w), the size of the maps in px, equal for the batch.
            training: Unused: augmentation is done on the keypoints.

        Returns:
            ``inputs``, channels last in memory, and the ``data_samples``.

        Raises:
            InputError: The clips are of another layout, or differ in views, frames, joints or size.
        """
        views = self.views(data)
        kinds = (False, True) if views.mirrored else (False,)
        volume = self.render(views.keypoint, views.score, views.size, kinds).flatten(1, 2)
        return {"inputs": volume.permute(0, 1, 5, 2, 3, 4), "data_samples": views.samples}

    def views(self, data: dict[str, Any]) -> Views:
        """Checked views of a batch on the model's device, before rendering.

        Raises:
            InputError: As :meth:`forward`.
        """
        samples = data["data_samples"]
        points, scores = data["inputs"]["keypoint"], data["inputs"]["keypoint_score"]
        self._check_layout(points[0].shape[3], samples[0])
        # Two copies to the device per batch, not per clip.
        keypoint, score = self.cast_data(self._stack(points, scores, samples))
        samples = self.cast_data(samples)
        size = _common({tuple(sample.img_shape) for sample in samples}, "img_shape", samples)
        mirrored = _common({bool(sample.get("mirrored_views", False)) for sample in samples}, "mirrored_views", samples)
        return Views(keypoint, score, size, mirrored, samples)

    def _check_layout(self, joints: int, sample: Any) -> None:
        """Refuse clips whose data set names another layout, or with another number of joints."""
        of_data = sample.get("skeleton", self.layout.name)
        if of_data != self.layout.name or joints != self.layout.num_joints:
            raise InputError(
                f"the model draws {self.layout.name!r} ({self.layout.num_joints} joints), "
                f"the data set holds {of_data!r} ({joints} joints)",
                clip=sample.get("sample_id"),
                field="skeleton",
                fix="Name one layout in the config's data_preprocessor and its data sets.",
            )

    def _stack(
        self, points: Tensor | Sequence[Tensor], scores: Tensor | Sequence[Tensor], samples: Sequence
    ) -> tuple[Tensor, Tensor]:
        """Keypoints (N, S, M, T, V, 2) and scores (N, S, M, T, V); padded persons have score 0."""
        if isinstance(points, Tensor) and isinstance(scores, Tensor):
            return points, scores if self.use_score else torch.ones_like(scores)
        persons = max(point.shape[1] for point in points)
        shapes = {(*point.shape[:1], *point.shape[2:]) for point in points}
        if len(shapes) != 1:
            raise InputError(
                f"clips of one batch must have the same views, frames and joints, got (S, T, V, 2) in {sorted(shapes)}",
                clip=samples[0].get("sample_id"),
                field="keypoint",
            )
        if not self.use_score:
            scores = [torch.ones_like(score) for score in scores]
        pad = torch.nn.functional.pad
        keypoint = torch.stack([pad(p, (0, 0, 0, 0, 0, 0, 0, persons - p.shape[1])) for p in points])
        score = torch.stack([pad(s, (0, 0, 0, 0, 0, persons - s.shape[1])) for s in scores])
        return keypoint, score

    def render(
        self, keypoint: Tensor, score: Tensor, size: tuple[int, int], mirrored: Sequence[bool] = (False,)
    ) -> Tensor:
        """Render clips of S views each, as they are or mirrored.

        Args:
            keypoint: (N, S, M, T, V, 2) x, y in px of the maps.
            score: (N, S, M, T, V).
            size: Height and width of the maps in px.
            mirrored: For each of the K images of a view, whether it is mirrored.

        Returns:
            (N, K, S, T, H, W, C), contiguous.
        """
        device, (clips, views, _, frames) = keypoint.device.type, keypoint.shape[:4]
        dtype = self.dtype or (torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32)
        options: dict[str, Any] = dict(sigma=self.sigma, threshold=self.threshold)
        if self.engine == "torch" or (self.engine == "auto" and device != "cpu"):
            images = []
            for mirror in mirrored:
                channels = self.channels.mirrored() if mirror else self.channels
                image = render_batch(
                    keypoint.flatten(0, 1), score.flatten(0, 1), channels, size, dtype=dtype, fuse=self.fuse, **options
                ).permute(0, 2, 3, 4, 1)
                images.append((image.flip(-2) if mirror else image).unflatten(0, (clips, views)))
            return torch.stack(images, dim=1) if images[1:] else images[0].unsqueeze(1)
        # torch.zeros uses calloc, twice as fast as clearing memory in a loop.
        volume = torch.zeros((clips, len(mirrored), views, frames, *size, len(self.channels)))
        for clip, kind, view in np.ndindex(clips, len(mirrored), views):
            points, peaks = check_points(keypoint[clip, view].numpy(), score[clip, view].numpy(), self.channels)
            drawn = volume[clip, kind, view].numpy().transpose(0, 3, 1, 2)
            draw(points, peaks, self.channels, drawn, mirror=mirrored[kind], **options)
        return volume.to(dtype)


def _common(values: set, field: str, samples: Sequence) -> Any:
    """Value that all samples of a batch share."""
    if len(values) != 1:
        raise InputError(
            f"samples of one batch must agree, got {sorted(values)}",
            clip=samples[0].get("sample_id"),
            field=field,
            fix="Give every clip of a data set the same ResizeKeypoints, with keep_ratio=False, and PackKeypoints.",
        )
    return values.pop()
