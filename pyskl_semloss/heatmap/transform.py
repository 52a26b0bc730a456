"""Heat-map transform of the hosts' pipelines, by the Numba engine."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels, render_heatmaps
from pyskl_semloss.heatmap.numba_engine import check_points, draw
from pyskl_semloss.keypoint_ops.transforms import KeypointTransform, Results
from pyskl_semloss.skeletons import SkeletonLayout, check_mirror, get_layout


class HeatmapTransform(KeypointTransform):
    """``GeneratePoseTarget`` with the same arguments and results; each host registers it as ``GeneratePoseHeatmap``.

    What is not given comes from the data set where it says so: limbs and mirror pairs from its layout, and whether to
    draw joints or limbs from its modality. Otherwise the defaults are the hosts': joints, COCO-17.

    Args:
        sigma: Standard deviation of the maps in px.
        use_score: Whether the peak is the point's score; otherwise 1.
        with_kp: Draw joints.
        with_limb: Draw limbs. With both, limb i is drawn over joint i and the last channels stay blank, as MMAction2
            does.
        skeletons: Limbs (joint, joint).
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
        with_kp: bool | None = None,
        with_limb: bool | None = None,
        skeletons: Sequence[Sequence[int]] | None = None,
        double: bool = False,
        left_kp: Sequence[int] | None = None,
        right_kp: Sequence[int] | None = None,
        left_limb: Sequence[int] | None = None,
        right_limb: Sequence[int] | None = None,
        scaling: float = 1.0,
        score_threshold: float = 1e-4,
    ) -> None:
        self.by_data = with_kp is None and with_limb is None
        self.with_kp, self.with_limb = with_kp is not False, bool(with_limb)
        if not (self.with_kp or self.with_limb):
            raise InputError("at least one of with_kp and with_limb must be true", field="with_kp")
        self.sigma, self.use_score, self.threshold = sigma, use_score, score_threshold
        self.double, self.scaling = double, scaling
        self.given = {
            name: tuple(tuple(item) if name == "limbs" else item for item in values)  # type: ignore[arg-type]
            for name, values in (
                ("limbs", skeletons),
                ("left_kp", left_kp),
                ("right_kp", right_kp),
                ("left_limb", left_limb),
                ("right_limb", right_limb),
            )
            if values is not None
        }
        self._check()

    def _check(self) -> None:
        coco = get_layout("coco17")
        for name in ("kp", "limb"):
            self._sides(coco, name)
        if self.with_kp and self.with_limb:
            warnings.warn(
                "with_kp and with_limb together draw limbs over joints, as the host does; use one modality",
                stacklevel=3,
            )
        if self.with_limb and self.double and self.given:
            broken = check_mirror(self._of(coco, "limbs"), self._of(coco, "left_kp"), self._of(coco, "right_kp"))
            if broken:
                warnings.warn(f"left_kp and right_kp mirror these limbs onto no limb: {list(broken)}", stacklevel=3)

    def _of(self, layout: SkeletonLayout, name: str) -> tuple:
        return self.given.get(name, getattr(layout, name))

    def _sides(self, layout: SkeletonLayout, kind: str) -> tuple[tuple, tuple]:
        """Left and right ``"kp"`` or ``"limb"``, of which one may be given and the other the layout's."""
        left, right = self._of(layout, f"left_{kind}"), self._of(layout, f"right_{kind}")
        if len(left) != len(right):
            raise InputError(f"{len(left)} left ones face {len(right)} right ones", field=f"left_{kind}")
        return left, right

    def _pairs(self, layout: SkeletonLayout, kind: str) -> zip | tuple:
        """Mirror pairs of ``"kp"`` or ``"limb"``; none where nothing is mirrored."""
        return zip(*self._sides(layout, kind), strict=True) if self.double else ()

    def transform(self, results: Results) -> Results:
        """Add the volume (T, C, H, W), or (2T, C, H, W), as ``imgs``, or ``heatmap_imgs`` where there are images."""
        keypoint = np.asarray(results["keypoint"], np.float32)
        if self.scaling != 1:
            keypoint = keypoint * np.float32(self.scaling)
        score = results.get("keypoint_score")
        if score is None or not self.use_score:
            score = np.ones(keypoint.shape[:3], np.float32)
        size = [int(length * self.scaling + 0.5) for length in results["img_shape"]]
        layout = results.get("skeleton") or get_layout("coco17")
        options: dict[str, Any] = {"sigma": self.sigma, "threshold": self.threshold}
        limbs = results.get("modality") == "limb" if self.by_data else self.with_limb
        if limbs and self.with_kp and not self.by_data:
            volume = self._render_both(keypoint, np.asarray(score, np.float32), size, layout, options)
        else:
            if limbs:
                channels = Channels.limbs(self._of(layout, "limbs"), self._pairs(layout, "limb"))
            else:
                channels = Channels.joints(keypoint.shape[2], self._pairs(layout, "kp"))
            volume = render_heatmaps(keypoint, score, channels, size, mirror=self.double, **options)
        results["heatmap_imgs" if "imgs" in results else "imgs"] = volume
        return results

    def _render_both(
        self, keypoint: np.ndarray, score: np.ndarray, size: list[int], layout: SkeletonLayout, options: dict
    ) -> np.ndarray:
        limbs = Channels.limbs(self._of(layout, "limbs"))
        keypoint, score = check_points(keypoint, score, limbs)
        joints, frames = keypoint.shape[2], keypoint.shape[1]
        total = joints + len(limbs)
        volume = np.zeros((frames, total, *size), np.float32)
        draw(keypoint, score, Channels.joints(joints), volume, **options)
        draw(keypoint, score, limbs, volume, blank=False, **options)
        if self.double:
            order = Channels.joints(total, self._pairs(layout, "kp")).mirror
            volume = np.concatenate([volume, volume[:, order, :, ::-1]])
        return volume

    def __repr__(self) -> str:
        drawn = "by the data's modality" if self.by_data else f"with_kp={self.with_kp}, with_limb={self.with_limb}"
        return (
            f"{type(self).__name__}(sigma={self.sigma}, use_score={self.use_score}, {drawn}, "
            f"given={sorted(self.given)}, double={self.double}, scaling={self.scaling}, "
            f"score_threshold={self.threshold})"
        )
