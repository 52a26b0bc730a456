"""The heat-map step of a pipeline against the engine it wraps, with channels that are written out by hand."""

import warnings

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.heatmap import Channels, render_heatmaps
from pyskl_semloss.heatmap.transform import HeatmapTransform
from pyskl_semloss.skeletons import get_layout

COCO = get_layout("coco17")
# Left and right joints of COCO-17, from its definition.
PAIRS = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
SIZE = (20, 24)


def clip(joints=17, **more):
    rng = np.random.default_rng(3)
    keypoint = rng.uniform(0, 20, (2, 3, joints, 2)).astype(np.float32)
    score = rng.uniform(0.2, 1, (2, 3, joints)).astype(np.float32)
    return {"keypoint": keypoint, "keypoint_score": score, "img_shape": SIZE, **more}


def same(transform, expected, key="imgs", **more):
    results = clip(**more)
    kept = {name: results[name].copy() for name in ("keypoint", "keypoint_score")}
    volume = transform(results)[key]
    assert volume.dtype == np.float32
    np.testing.assert_allclose(volume, expected, atol=1e-6)
    for name, value in kept.items():
        np.testing.assert_array_equal(results[name], value)


def drawn(channels, size=SIZE, scaling=1.0, ones=False, joints=17, **options):
    made = clip(joints)
    score = np.ones_like(made["keypoint_score"]) if ones else made["keypoint_score"]
    return render_heatmaps(made["keypoint"] * np.float32(scaling), score, channels, size, **options)


def test_joints_of_coco_are_drawn_where_nothing_is_said():
    expected = drawn(Channels.joints(17), sigma=0.6)
    assert expected.max() > 0.5 and expected.shape == (3, 17, *SIZE)
    same(HeatmapTransform(), expected)
    same(HeatmapTransform(with_kp=True), expected)
    same(HeatmapTransform(with_limb=False), expected)
    same(HeatmapTransform(sigma=1.5), drawn(Channels.joints(17), sigma=1.5))
    images = clip(imgs="images")
    assert HeatmapTransform()(images)["imgs"] == "images"
    np.testing.assert_array_equal(images["heatmap_imgs"], expected)


def test_limbs_and_their_mirror_image():
    same(HeatmapTransform(with_kp=False, with_limb=True), drawn(Channels.limbs(COCO.limbs)))
    mirrored = drawn(Channels.joints(17, PAIRS), mirror=True)
    same(HeatmapTransform(double=True), mirrored)
    assert not np.array_equal(mirrored, drawn(Channels.joints(17), mirror=True))
    limbs = [(0, 1), (0, 2), (5, 6)]
    options = dict(skeletons=limbs, left_kp=[1], right_kp=[2], left_limb=[0], right_limb=[1])
    expected = drawn(Channels.limbs(limbs, [(0, 1)]), mirror=True)
    same(HeatmapTransform(with_kp=False, with_limb=True, double=True, **options), expected)
    same(HeatmapTransform(double=True, left_kp=[1], right_kp=[2]), drawn(Channels.joints(17, [(1, 2)]), mirror=True))


def test_scores_scaling_and_threshold():
    ones = drawn(Channels.joints(17), ones=True)
    same(HeatmapTransform(use_score=False), ones)
    results = clip()
    del results["keypoint_score"]
    np.testing.assert_array_equal(HeatmapTransform()(results)["imgs"], ones)
    # 20 and 24 px by 0.275 are 5.5 and 6.6: half a pixel counts as one.
    same(HeatmapTransform(scaling=0.275), drawn(Channels.joints(17), (6, 7), 0.275))
    same(HeatmapTransform(scaling=2), drawn(Channels.joints(17), (40, 48), 2))
    for threshold, expected in ((0.5, drawn(Channels.joints(17), threshold=0.5)), (1e-4, drawn(Channels.joints(17)))):
        same(HeatmapTransform(score_threshold=threshold), expected)
    for score, any_drawn in ((0.9e-4, False), (1.1e-4, True)):
        results = clip()
        results["keypoint_score"][:] = score
        assert HeatmapTransform()(results)["imgs"].any() == any_drawn


def test_layout_and_modality_come_from_the_data_unless_they_are_given():
    layout = get_layout("openpose22")
    limbs, joints = Channels.of_layout(layout, "limb"), Channels.of_layout(layout, "joint")
    more = dict(joints=22, skeleton=layout)
    # Not the literal, as words of a config that was read are not.
    limb = "".join("limb")
    same(HeatmapTransform(double=True), drawn(limbs, joints=22, mirror=True), modality=limb, **more)
    same(HeatmapTransform(double=True), drawn(joints, joints=22, mirror=True), modality="joint", **more)
    same(HeatmapTransform(with_kp=True), drawn(Channels.joints(22), joints=22), modality="limb", **more)
    chosen = HeatmapTransform(with_kp=False, with_limb=True)
    same(chosen, drawn(Channels.limbs(layout.limbs), joints=22), modality="joint", **more)
    own = [(0, 1), (2, 3)]
    same(HeatmapTransform(skeletons=own), drawn(Channels.limbs(own), joints=22), modality="limb", **more)


def test_joints_and_limbs_together_are_limbs_over_joints():
    limbs = [(0, 1), (2, 3), (3, 4)]
    with pytest.warns(UserWarning, match="draw limbs over joints") as caught:
        both = HeatmapTransform(with_kp=True, with_limb=True, skeletons=limbs)
    assert [str(one.filename) for one in caught] == [__file__]
    expected = np.zeros((3, 20, *SIZE), np.float32)
    expected[:, :17] = drawn(Channels.joints(17))
    expected[:, :3] = np.maximum(expected[:, :3], drawn(Channels.limbs(limbs)))
    same(both, expected)
    # Without a word on joints they are drawn, as by the hosts.
    with pytest.warns(UserWarning, match="draw limbs over joints"):
        same(HeatmapTransform(with_limb=True, skeletons=limbs), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        double = HeatmapTransform(
            with_kp=True, with_limb=True, skeletons=limbs, double=True, left_kp=[1], right_kp=[2], score_threshold=0.4
        )
    low = np.zeros((3, 20, *SIZE), np.float32)
    low[:, :17] = drawn(Channels.joints(17), threshold=0.4)
    low[:, :3] = np.maximum(low[:, :3], drawn(Channels.limbs(limbs), threshold=0.4))
    order = [0, 2, 1, *range(3, 20)]
    same(double, np.concatenate([low, low[:, order, :, ::-1]]))


def test_wrong_arguments_are_refused():
    for options in (dict(with_kp=False), dict(with_kp=False, with_limb=False)):
        with pytest.raises(InputError, match="at least one of with_kp and with_limb must be true"):
            HeatmapTransform(**options)
    for kind, lengths in (("kp", "1 left ones face 8"), ("limb", f"1 left ones face {len(COCO.right_limb)}")):
        with pytest.raises(InputError, match=f"'left_{kind}': {lengths} right ones"):
            HeatmapTransform(**{f"left_{kind}": [1]})
    for left, right in (([1], []), ([1], [2, 3])):
        with pytest.raises(InputError, match=f"{len(left)} left ones face {len(right)}"):
            HeatmapTransform(left_kp=left, right_kp=right)
    # As many as COCO has; the clip's own layout has others on the right.
    short = HeatmapTransform(with_kp=True, double=True, left_kp=[1, 3, 5, 7, 9, 11, 13, 15])
    other = get_layout("openpose22")
    points = dict(keypoint=np.ones((1, 2, 22, 2), np.float32), img_shape=SIZE, skeleton=other)
    with pytest.raises(InputError, match=f"'left_kp': 8 left ones face {len(other.right_kp)} right ones"):
        short(points)


def test_a_mirror_that_breaks_limbs_warns_where_it_matters():
    broken = dict(skeletons=[(0, 1), (2, 3)], left_kp=[1], right_kp=[4], left_limb=[], right_limb=[])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HeatmapTransform(with_kp=False, with_limb=True, **broken)
        HeatmapTransform(double=True, **broken)
        HeatmapTransform(with_kp=False, with_limb=True, double=True)
        fine = dict(broken, skeletons=[(0, 1), (0, 4)])
        HeatmapTransform(with_kp=False, with_limb=True, double=True, **fine)
    with pytest.warns(UserWarning, match=r"mirror these limbs onto no limb: \[") as caught:
        HeatmapTransform(with_kp=False, with_limb=True, double=True, **broken)
    assert [str(one.filename) for one in caught] == [__file__]


def test_it_shows_its_arguments():
    assert repr(HeatmapTransform(left_kp=[1], right_kp=[2], sigma=0.5)) == (
        "HeatmapTransform(sigma=0.5, use_score=True, by the data's modality, given=['left_kp', 'right_kp'], "
        "double=False, scaling=1.0, score_threshold=0.0001)"
    )
    assert "with_kp=False, with_limb=True" in repr(HeatmapTransform(with_kp=False, with_limb=True))
