"""Drop-in for the host's heat-map transform, for pipelines that make volumes in the loader's workers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels, render_heatmaps
from pyskl_semloss.heatmap.numba_engine import check_points, draw
from pyskl_semloss.skeletons import check_mirror, get_layout


@TRANSFORMS.register_module()
class GeneratePoseHeatmap(BaseTransform):
    """``GeneratePoseTarget`` with the same arguments and results, by the Numba engine.

    Args:
        sigma: Standard deviation of the maps in px.
        use_score: Whether the peak is the point's score; otherwise 1.
        with_kp: Draw joints.
        with_limb: Draw limbs. With both, limb i is drawn over joint i and the last channels stay blank, as in the host.
        skeletons: Limbs (joint, joint); COCO-17's by default.
        double: Append the mirror image along time.
        left_kp: Left joints, for the mirror image of joint maps.
        right_kp: Right joints.
        left_limb: Left limbs, for the mirror image of limb maps.
        right_limb: Right limbs.
        scaling: Scale of the maps against the image.
        score_threshold: A score below it draws nothing (MMAction2 1e-4, PySKL 1e-3).

    Raises:
        InputError: Neither joints nor limbs are asked for, or left and right lists differ in length.
    """

    def __init__(
        self,
        sigma: float = 0.6,
        use_score: bool = True,
        with_kp: bool = True,
        with_limb: bool = False,
        skeletons: Sequence[Sequence[int]] | None = None,
        double: bool = False,
        left_kp: Sequence[int] | None = None,
        right_kp: Sequence[int] | None = None,
        left_limb: Sequence[int] | None = None,
        right_limb: Sequence[int] | None = None,
        scaling: float = 1.0,
        score_threshold: float = 1e-4,
    ) -> None:
        if not (with_kp or with_limb):
            raise InputError("at least one of with_kp and with_limb must be true", field="with_kp")
        coco = get_layout("coco17")
        self.limbs = [tuple(limb) for limb in (coco.limbs if skeletons is None else skeletons)]
        self.left_kp = coco.left_kp if left_kp is None else tuple(left_kp)
        self.right_kp = coco.right_kp if right_kp is None else tuple(right_kp)
        self.left_limb = coco.left_limb if left_limb is None else tuple(left_limb)
        self.right_limb = coco.right_limb if right_limb is None else tuple(right_limb)
        for name in ("kp", "limb"):
            left, right = getattr(self, f"left_{name}"), getattr(self, f"right_{name}")
            if len(left) != len(right):
                raise InputError(f"{len(left)} left ones face {len(right)} right ones", field=f"left_{name}")
        self.sigma, self.use_score, self.threshold = sigma, use_score, score_threshold
        self.with_kp, self.with_limb, self.double, self.scaling = with_kp, with_limb, double, scaling
        if with_kp and with_limb:
            warnings.warn(
                "with_kp and with_limb together draw limbs over joints, as the host does; use one modality",
                stacklevel=2,
            )
        if with_limb and double:
            broken = check_mirror(self.limbs, self.left_kp, self.right_kp)
            if broken:
                warnings.warn(f"left_kp and right_kp mirror these limbs onto no limb: {list(broken)}", stacklevel=2)

    def _channels(self, joints: int) -> Channels:
        if self.with_kp:
            return Channels.joints(joints, zip(self.left_kp, self.right_kp, strict=True) if self.double else ())
        return Channels.limbs(self.limbs, zip(self.left_limb, self.right_limb, strict=True) if self.double else ())

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the volume (T, C, H, W), or (2T, C, H, W), as ``imgs``, or ``heatmap_imgs`` where there are images."""
        keypoint = np.asarray(results["keypoint"], np.float32)
        if self.scaling != 1:
            keypoint = keypoint * np.float32(self.scaling)
        score = results.get("keypoint_score")
        if score is None or not self.use_score:
            score = np.ones(keypoint.shape[:3], np.float32)
        size = [int(length * self.scaling + 0.5) for length in results["img_shape"]]
        options = {"sigma": self.sigma, "threshold": self.threshold}
        if self.with_kp and self.with_limb:
            volume = self._render_both(keypoint, np.asarray(score, np.float32), size, options)
        else:
            channels = self._channels(keypoint.shape[2])
            volume = render_heatmaps(keypoint, score, channels, size, mirror=self.double, **options)
        results["heatmap_imgs" if "imgs" in results else "imgs"] = volume
        return results

    def _render_both(self, keypoint: np.ndarray, score: np.ndarray, size: list[int], options: dict) -> np.ndarray:
        keypoint, score = check_points(keypoint, score, Channels.limbs(self.limbs))
        joints, frames = keypoint.shape[2], keypoint.shape[1]
        total = joints + len(self.limbs)
        volume = np.zeros((frames, total, *size), np.float32)
        draw(keypoint, score, Channels.joints(joints), volume, **options)
        draw(keypoint, score, Channels.limbs(self.limbs), volume, blank=False, **options)
        if self.double:
            order = Channels.joints(total, zip(self.left_kp, self.right_kp, strict=True)).mirror
            volume = np.concatenate([volume, volume[:, order, :, ::-1]])
        return volume

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(sigma={self.sigma}, use_score={self.use_score}, with_kp={self.with_kp}, "
            f"with_limb={self.with_limb}, limbs={len(self.limbs)}, double={self.double}, scaling={self.scaling}, "
            f"score_threshold={self.threshold})"
        )
