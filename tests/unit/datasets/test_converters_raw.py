"""Raw folders: what was written is what the annotation file holds; resuming, several processes, missing files."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from helpers.raw_formats import GAP, forged, imigue_clips, same_clips, smg_clips, write_imigue_raw, write_smg_raw
from pyskl_semloss.annotations import read_annotations
from pyskl_semloss.datasets import IMIGUE, SMG, SplitOptions, convert_raw
from pyskl_semloss.datasets import raw as raw_module
from pyskl_semloss.errors import InputError


def read(path):
    return read_annotations(path, unknown_labels=True)[0]


@pytest.fixture
def imigue(tmp_path):
    clips = imigue_clips(32)
    videos = {"imigue_skeleton_train/0001": clips[:9], "imigue_skeleton_train/0002": clips[9:20]}
    videos["imigue_skeleton_validate/0010"] = clips[20:]
    return tmp_path / "src", write_imigue_raw(tmp_path / "src", videos)


@pytest.mark.parametrize("workers", [1, 2])
def test_imigue_round_trip(imigue, tmp_path, workers):
    source, expected = imigue
    seen = []
    out = tmp_path / "out" / "a.pkl"
    summary = convert_raw(IMIGUE, source, out, workers=workers, progress=lambda *counts: seen.append(counts))
    found = read(out)
    assert same_clips(found.clips, expected) and {clip.label for clip in found.clips} >= {0, 31}
    assert {name: {item[:4] for item in ids} for name, ids in found.splits.items()} == {
        "train": {"0001", "0002"},
        "val": {"0010"},
    }
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)] and not (tmp_path / "out" / "a.pkl.parts").exists()
    assert summary["clips"] == 32 and set(summary["findings"]["counts"]) <= {"zero_frames", "one_frame_clips"}
    assert summary["clips_of_class"] == [sum(clip.label == label for clip in expected) for label in range(32)]
    frames = [clip.total_frames for clip in expected]
    assert summary["lengths"] == {"shortest": min(frames), "median": np.median(frames), "longest": max(frames)}
    missing = sum(int((~clip.keypoint.any(-1)).sum()) for clip in expected)
    assert missing and summary["missing_points"] == missing and sum(summary["length_histogram"].values()) == 32
    written = json.loads((tmp_path / "out" / "a.json").read_text())
    assert written == {name: value for name, value in summary.items() if name != "videos_reused"}
    page = (tmp_path / "out" / "a.md").read_text()
    assert "32 clips" in page and summary["split_rule"] in page and "####" in page


def test_smg_round_trip_and_test_subjects(tmp_path):
    clips = smg_clips(40)
    videos = {f"Sample{number:04d}": clips[number - 1 :: 40] for number in range(1, 41)}
    expected = write_smg_raw(tmp_path / "src", videos)
    summary = convert_raw(SMG, tmp_path / "src", tmp_path / "a.pkl", strict=False)
    found = read(tmp_path / "a.pkl")
    assert same_clips(found.clips, expected) and "Sample00360" in found.splits["test"]
    assert sorted(found.splits) == ["test", "train"]
    assert {item[:10] for item in found.splits["test"]} == {f"Sample{number:04d}" for number in range(36, 41)}
    assert "subjects 36 to 40 test" in summary["split_rule"]


def test_resumes_and_reads_again_what_changed(imigue, tmp_path, monkeypatch):
    source, expected = imigue
    out = tmp_path / "a.pkl"
    broken = source / "imigue_skeleton_validate" / "0010" / "0010_label.csv"
    whole = broken.read_text()
    broken.write_text("0,1,2\n" + whole)
    with pytest.raises(InputError, match=r"0010_label.csv: row 1: expected a gesture of 1 to 32 or 99, got 0"):
        convert_raw(IMIGUE, source, out, strict=True)
    assert not out.exists() and len(list((tmp_path / "a.pkl.parts").iterdir())) == 2
    broken.write_text(whole)
    (tmp_path / "a.pkl.parts" / "0002.npz").write_bytes(b"damaged")
    first = source / "imigue_skeleton_train" / "0001" / "0001_light_hand.csv"
    done = []
    convert = raw_module.convert_video
    monkeypatch.setattr(raw_module, "convert_video", lambda *args: done.append(args[1].name) or convert(*args))
    summary = convert_raw(IMIGUE, source, out, strict=True)
    assert done == ["0002", "0010"] and summary["videos_reused"] == 1
    assert same_clips(read(out).clips, expected)
    done.clear()

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_raw(IMIGUE, source, out, progress=interrupt)
    os.utime(first, ns=(1, 1))
    assert convert_raw(IMIGUE, source, out)["videos_reused"] == 1 and done == ["0001", "0002", "0001", "0010"]


def test_other_options_are_not_taken_from_parts(imigue, tmp_path):
    source, _ = imigue
    file = source / "imigue_skeleton_train" / "0001" / "0001_label.csv"
    file.write_text(file.read_text() + "33,1,2\n")

    def interrupt(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_raw(IMIGUE, source, tmp_path / "a.pkl", progress=interrupt)
    with pytest.raises(InputError, match="got 33"):
        convert_raw(IMIGUE, source, tmp_path / "a.pkl", strict=True)
    with pytest.raises(InputError, match="got 33") as error:
        convert_raw(IMIGUE, source, tmp_path / "a.pkl", strict=True, workers=2)
    assert str(error.value).count("0001_label.csv: row 10: ") == 1 and ".." not in str(error.value)
    assert convert_raw(IMIGUE, source, tmp_path / "a.pkl")["findings"]["counts"]["labels_unknown"] == 1


def test_missing_and_unreadable_files(imigue, tmp_path, monkeypatch):
    source, expected = imigue
    (source / "0003").mkdir()
    (source / "0003" / "0003_label.csv").write_text("1,0,3\n")
    (source / "0004").mkdir()
    (source / "0004" / "0004_light_hand.csv").write_text("")
    (source / "0005").mkdir()
    (source / "0006").mkdir()
    for end in ("_label.csv", "_light_hand.csv"):
        (source / "0006" / f"0006{end}").symlink_to(tmp_path / "nowhere")
    (source / "locked").mkdir()
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    summary = convert_raw(IMIGUE, source, tmp_path / "a.pkl")
    assert same_clips(read(tmp_path / "a.pkl").clips, expected)
    counts = summary["findings"]["counts"]
    names = ("without_skeletons", "without_labels", "without_files", "unreadable")
    assert [counts[f"videos_{name}"] for name in names] == [1, 1, 1, 2]
    places = summary["findings"]["examples"]
    assert "0003_label.csv: there is no 0003_light_hand.csv" in places["videos_without_skeletons"][0]
    assert any("locked" in place for place in places["videos_unreadable"])
    assert any("0006_light_hand.csv" in place for place in places["videos_unreadable"])
    with pytest.raises(InputError, match="locked"):
        convert_raw(IMIGUE, source, tmp_path / "b.pkl", strict=True)
    (source / "locked").rmdir()
    for name in ("0003", "0004", "0005", "0006"):
        with pytest.raises(InputError, match=rf"/{name}\b"):
            convert_raw(IMIGUE, source, tmp_path / "b.pkl", strict=True)
        for file in (source / name).iterdir():
            file.unlink()
        (source / name).rmdir()
    assert convert_raw(IMIGUE, source, tmp_path / "b.pkl", strict=True)["clips"] == 32


def test_damaged_points_are_mended_and_counted(tmp_path):
    clip = imigue_clips(1, frames=20)[0]
    points, scores = clip.keypoint.copy(), clip.keypoint_score.copy()
    points[0, 1, 2] = np.nan
    points[0, 2, 3, 0] = 1e9
    points[0, 3], scores[0, 3] = 0, 0
    scores[0, 4, 5] = 1.2
    bad = forged(clip, keypoint_score=np.full_like(scores, 50))
    one = imigue_clips(1, seed=3, frames=1)[0]
    zero = replace(one, keypoint=one.keypoint * 0)
    clip = forged(clip, keypoint=points, keypoint_score=scores)
    write_imigue_raw(tmp_path / "src", {"0001": [clip, bad, one, zero]})
    summary = convert_raw(IMIGUE, tmp_path / "src", tmp_path / "a.pkl")
    found = {each.frame_dir: each for each in read(tmp_path / "a.pkl").clips}
    assert list(found) == ["0001_0", "0001_2", "0001_3"] and found["0001_2"].total_frames == 1
    wrong = ~np.isfinite(points).all(-1) | (np.abs(points) > 1e6).any(-1)
    mended = found["0001_0"]
    assert (mended.keypoint[wrong] == 0).all() and (mended.keypoint_score[wrong] == 0).all()
    assert (mended.keypoint[~wrong] == points[~wrong]).all() and mended.keypoint_score[0, 4, 5] == 1
    counts = summary["findings"]["counts"]
    assert (counts["points_not_finite"], counts["points_absurd"], counts["scores_above_one"]) == (1, 1, 1)
    assert counts["zero_frames"] >= 1 and counts["zero_clips"] == 1 and counts["one_frame_clips"] == 2
    assert counts["clips_refused"] == 1
    place = summary["findings"]["examples"]["clips_refused"][0]
    assert "0001_light_hand.csv" in place and "0001_1" in place and f"(frames {20 + GAP} to {39 + GAP})" in place
    with pytest.raises(
        InputError, match=r"0001_light_hand.csv: clip '0001_0': 1 score slightly above 1 .frames 0 to 19"
    ):
        convert_raw(IMIGUE, tmp_path / "src", tmp_path / "b.pkl", strict=True)


def test_kinect_points_off_the_colour_image(tmp_path):
    clip = smg_clips(1, frames=5)[0]
    points = clip.keypoint.copy()
    points[0, 2, 4] = -np.inf
    expected = replace(clip, keypoint=np.where(np.isfinite(points), points, 0))
    expected = replace(expected, keypoint_score=expected.keypoint.any(-1).astype("f4"))
    clip = forged(clip, keypoint=points)
    write_smg_raw(tmp_path / "src", {"Sample0001": [clip]})
    summary = convert_raw(SMG, tmp_path / "src", tmp_path / "a.pkl")
    assert same_clips(read(tmp_path / "a.pkl").clips, [replace(expected, frame_dir="Sample00010")])
    assert summary["findings"]["counts"]["points_not_finite"] == 1


def test_wrong_arguments(imigue, tmp_path):
    source, _ = imigue
    for out, options, words in (
        ("a.npz", {}, "ends in .pkl"),
        ("a.pkl", {"workers": 0}, "at least 1"),
        ("a.pkl", {"splits": SplitOptions(subjects={"0001": "s"})}, "no subject in the table"),
    ):
        with pytest.raises(InputError, match=words):
            convert_raw(IMIGUE, source, tmp_path / out, **options)
    with pytest.raises(InputError, match="there is no such folder.* Give the folder with the videos of iMiGUE"):
        convert_raw(IMIGUE, tmp_path / "none", tmp_path / "a.pkl")
    with pytest.raises(InputError, match="no video of SMG.*_skeleton.csv"):
        convert_raw(SMG, source, tmp_path / "a.pkl")
    (source / "imigue_skeleton_train" / "0001").rename(source / "0010")
    with pytest.raises(InputError, match="no clip|no video|is in"):
        (source / "0010" / "0001_light_hand.csv").rename(source / "0010" / "0010_light_hand.csv")
        (source / "0010" / "0001_label.csv").rename(source / "0010" / "0010_label.csv")
        convert_raw(IMIGUE, source, tmp_path / "a.pkl")


def test_rows_that_are_all_too_wide_are_of_another_format(shared_dir, tmp_path):
    """OpenPose's body, hands and face in a row: what stands where fingertips are expected is something else."""
    with pytest.raises(InputError, match=r"3 × videos .* another number of columns .*expected 106 columns, got 412 in"):
        convert_raw(IMIGUE, shared_dir / "cases" / "17_imigue_rows_all_too_wide" / "raw", tmp_path / "a.pkl")
    assert not (tmp_path / "a.pkl").exists()
    video = tmp_path / "src" / "Sample0001"
    video.mkdir(parents=True)
    (video / "Sample0001_skeleton.csv").write_text((",".join(["5"] * 300) + "\n") * 9)
    (video / "Sample0001_finelabels.csv").write_text("1,0,3\n")
    with pytest.raises(InputError, match="expected 275 columns, got 300 in every row"):
        convert_raw(SMG, tmp_path / "src", tmp_path / "a.pkl")


def test_the_kits_folder_is_no_raw_one(tmp_path):
    (tmp_path / "train_data.npy").write_bytes(b"")
    with pytest.raises(InputError, match="These are arrays of a challenge kit: take the command smg-kit"):
        convert_raw(SMG, tmp_path, tmp_path / "a.pkl")
