"""The predictor against the tools, on models that the tools trained, and on recordings."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import pyskl_semloss as ps
from helpers import ROOT
from pyskl_semloss.annotations import AnnotationSet, Clip, read_annotations, write_annotations
from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.semantic.label_vectors import build_label_vectors
from pyskl_semloss.semantic.unseen import FurtherNames, with_further_names
from pyskl_semloss.synthetic.clips import CLASS_NAMES, generate
from pyskl_semloss.synthetic.recording import generate_recording

pytest.importorskip("mmaction")

from pyskl_semloss.hosts.mmaction2.prediction.predict_files import predict_files, read_input  # noqa: E402
from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor  # noqa: E402
from pyskl_semloss.io.results import RECORD
from pyskl_semloss.segments.files import read_segments  # noqa: E402
from pyskl_semloss.segments.localization import SegmentRules  # noqa: E402
from pyskl_semloss.segments.windows import WindowRules  # noqa: E402
from pyskl_semloss.video import open_video, write_overlay  # noqa: E402

# Scores of a hardly trained model lie near 1 / 32.
LOOSE = SegmentRules(threshold=0.0, shortest=0.2)


def run(*command, code=0):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    words = [sys.executable, *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=600, cwd=ROOT)
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Joint and limb trained and tested by the tools for one epoch on 33 clips, and their fusion."""
    folder = tmp_path_factory.mktemp("predict")
    full = generate(60, seed=1, subjects=8)
    ids = [clip.frame_dir for clip in full.clips]
    splits = {"train": ids[:33], "val": ids[33:36], "test": ids[36:]}
    write_annotations(folder / "a.pkl", AnnotationSet(splits, full.clips))
    run("tools/build_label_vectors.py", "--labels", "data/imigue_labels.txt", "--vectors", "hash:20:0", "--out",
        folder / "v.npz")  # fmt: skip
    for name in ("joint", "limb"):
        config, work = f"configs/mmaction2/synthetic/{name}.py", folder / name
        options = [
            "--cfg-options",
            *(f"{key}_dataloader.dataset.ann_file={folder}/a.pkl" for key in ("train", "val", "test")),
            *(f"{key}_dataloader.num_workers=0" for key in ("train", "val", "test")),
            f"model.cls_head.label_vectors={folder}/v.npz",
            # So that the scores differ from clip to clip after one epoch.
            "optim_wrapper.optimizer.lr=0.3", "train_dataloader.batch_size=8", "test_dataloader.batch_size=5",
        ]  # fmt: skip
        run("tools/train.py", config, "--epochs", 1, "--no-validate", "--work-dir", work, *options)
        run("tools/test.py", config, work / "epoch_1.pth", "--work-dir", work, *options)
    run("tools/fuse_scores.py", folder / "joint/test_scores.npz", folder / "limb/test_scores.npz", "--weights", 2, 3,
        "--out", folder / "fused.npz")  # fmt: skip
    # The predictor must find in the checkpoints what it needs.
    (folder / "v.npz").rename(folder / "moved.npz")
    return folder


def checkpoint(folder, name):
    return folder / name / "epoch_1.pth"


@pytest.fixture(scope="module")
def predictor(folder):
    torch.set_num_threads(1)
    return Predictor(checkpoint(folder, "joint"), checkpoint(folder, "limb"))


@pytest.fixture(scope="module")
def clips(folder):
    return read_annotations(folder / "a.pkl", split="test", unknown_labels=True)[0].clips


@pytest.fixture(scope="module")
def recording():
    return generate_recording(3, seed=2, rest=(0.5, 1.0))[0]


def assert_equal(ours, theirs):
    assert ours.sample_id.tolist() == theirs.sample_id.tolist() and ours.label.tolist() == theirs.label.tolist()
    for name in ("score", "semantic_cosine", "semantic_distance"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert (mine is None) == (other is None)
        if mine is not None:
            assert mine.tobytes() == other.tobytes(), f"{name} differs by {np.abs(mine - other).max()}"


def test_the_numbers_are_those_of_the_tools(folder, predictor, clips):
    prediction = predictor.predict(clips)
    for name in ("joint", "limb"):
        assert_equal(prediction.parts[name], Scores.load(folder / name / "test_scores.npz"))
    fused = Scores.load(folder / "fused.npz")
    assert_equal(prediction.scores, fused)
    assert np.ptp(fused.score, axis=0).max() > 0.01, "clips must differ, or nothing was compared"
    alone = Predictor(limb=checkpoint(folder, "limb")).predict(clips)
    assert_equal(alone.scores, Scores.load(folder / "limb/test_scores.npz"))


def test_names_window_and_layout_come_from_the_checkpoint(folder, predictor, clips):
    assert predictor.class_names == CLASS_NAMES and predictor.layout.name == "openpose22"
    train = read_annotations(folder / "a.pkl", split="train")[0].clips
    median = float(np.median([clip.total_frames for clip in train]))
    assert predictor.models["joint"].clip_frames == median
    assert predictor.window_rules().window == round(2 / 3 * median / 25, 2)
    assert predictor.window_rules(window=1.0).window == 1.0
    prediction = predictor.predict(clips[:3])
    best = prediction.probability.argmax(1)
    assert [one[0][0] for one in prediction.top(2)] == [CLASS_NAMES[k] for k in best]
    assert [one[0][1] for one in prediction.top(1)] == prediction.probability.max(1).tolist()
    near = prediction.scores.semantic_cosine.argmax(1)
    assert [one[0][0] for one in prediction.nearest()] == [CLASS_NAMES[k] for k in near]


def test_a_config_can_be_given_and_names_too(folder, clips):
    config = "configs/mmaction2/synthetic/joint.py"
    names = [f"gesture {number}" for number in range(32)]
    given = Predictor(joint=(config, checkpoint(folder, "joint")), class_names=names, batch_size=5)
    assert given.class_names == tuple(names)
    assert_equal(given.predict(clips[:5]).scores, Predictor(checkpoint(folder, "joint")).predict(clips[:5]).scores)
    with pytest.raises(InputError, match="expected 32 names, one for each class of .*epoch_1.pth, got 2"):
        Predictor(joint=checkpoint(folder, "joint"), class_names=["a", "b"])


def test_clips_and_recordings_are_the_same_thing(predictor, recording):
    clip = recording.clip(0, recording.frames, name=recording.name)
    from_clip, from_recording = predictor.predict(clip), predictor.predict(recording)
    assert_equal(from_clip.scores, from_recording.scores)
    both = predictor.predict([recording, recording.clip(0, 60)])
    assert both.scores.sample_id.tolist() == [recording.name, f"{recording.name}_0_60"]
    one = predictor.predict(clip, one_view=True)
    assert one.probability.sum() == pytest.approx(1, abs=1e-5) and not np.array_equal(
        one.probability, from_clip.probability
    )


def test_what_cannot_be_predicted_is_named(predictor, recording):
    other = Recording("other", np.ones((1, 9, 17, 2)), np.ones((1, 9, 17)), "coco17", (100, 100), 25)
    with pytest.raises(
        InputError, match=r"'other'.*its joints are 'coco17' \(17\), the models take 'openpose22' \(22\)"
    ):
        predictor.predict(other)
    with pytest.raises(InputError, match="'coco17'"):
        predictor.segments(other)
    with pytest.raises(InputError, match="expected 22 joints, got 17"):
        predictor.predict(Clip("c", -1, (9, 9), (9, 9), np.ones((1, 5, 17, 2)), np.ones((1, 5, 17))))
    with pytest.raises(InputError, match="at least one clip"):
        predictor.predict([])
    with pytest.raises(InputError, match="occur more than once"):
        predictor.predict([recording.clip(0, 20), recording.clip(0, 20)])


def test_each_window_is_a_clip(predictor, recording):
    (timeline,) = predictor.timelines(recording, WindowRules(1.0, 0.5, still=0.0))
    assert len(timeline.windows) == len(timeline.probability) and timeline.windows.length == 25
    for number in (0, 3, len(timeline.windows) - 1):
        start, stop = int(timeline.windows.start[number]), int(timeline.windows.stop[number])
        alone = predictor.predict(recording.clip(start, stop), one_view=True)
        np.testing.assert_allclose(timeline.probability[number], alone.probability[0], atol=2e-6)
        np.testing.assert_allclose(timeline.cosine[number], alone.scores.semantic_cosine[0], atol=2e-6)
    (views,) = predictor.timelines(recording, WindowRules(3.0, 3.0, still=0.0), one_view=False)
    clip = recording.clip(0, 75)
    np.testing.assert_allclose(views.probability[0], predictor.predict(clip).probability[0], atol=2e-6)


def test_windows_without_movement_or_person_are_not_scored(predictor, recording):
    still = np.repeat(recording.keypoint[:, :1], 150, axis=1)
    seen = np.repeat(recording.keypoint_score[:, :1], 150, axis=1)
    told = []
    quiet = Recording("quiet", still, seen, "openpose22", recording.image_shape, 25)
    found = predictor.segments(quiet, LOOSE, progress=lambda *counts: told.append(counts))
    assert found.segments == () and told == []
    assert predictor.timelines(quiet)[0].probability.max() == 0
    moving = recording.keypoint_score.copy()
    moving[:, :, 5:] = 0
    faint = Recording("faint", recording.keypoint, moving, "openpose22", recording.image_shape, 25)
    assert not predictor.segments(faint, LOOSE).segments
    assert predictor.segments(faint, LOOSE, seen=0.1).segments


def test_persons_are_looked_at_alone_or_together(predictor, recording):
    far = recording.keypoint + np.float32(200)
    both = Recording(
        "both", np.concatenate([recording.keypoint, far]), np.concatenate([recording.keypoint_score] * 2),
        "openpose22", recording.image_shape, 25,
    )  # fmt: skip
    cut = WindowRules(2.0, 2.0)
    alone = predictor.timelines(recording, cut)[0]
    first, second = predictor.timelines(both, cut)
    np.testing.assert_allclose(first.probability, alone.probability, atol=2e-6)
    assert (first.person, second.person) == (0, 1)
    assert {one.person for one in predictor.segments(both, LOOSE, window=2.0, stride=2.0).segments} == {0, 1}
    (together,) = predictor.timelines(both, WindowRules(2.0, 2.0, together=True))
    assert np.abs(together.probability - alone.probability).max() > 1e-4


def test_models_that_do_not_belong_together_are_refused(folder, tmp_path):
    joint, limb = checkpoint(folder, "joint"), checkpoint(folder, "limb")
    with pytest.raises(InputError, match=r"given as the joint model, but draws limbs"):
        Predictor(joint=limb)
    with pytest.raises(InputError, match="expected a joint model, a limb model or a graph network"):
        Predictor()
    for weights, said in (
        ((1, 2, 3), "expected 2, of joint, limb, got 3"),
        ((-1, 2), "not negative"),
        ((0, 0), "not all zero"),
    ):
        with pytest.raises(InputError, match=said):
            Predictor(joint, limb, weights=weights)
    content = torch.load(limb, weights_only=True)
    content["state_dict"]["cls_head.semantic_branch.label_vectors"] += 1
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth.*other label vectors than .*epoch_1\.pth"):
        Predictor(joint, tmp_path / "other.pth")
    content = torch.load(limb, weights_only=True)
    content["meta"]["dataset_meta"]["classes"][3] = "juggle"
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"class 3 is 'juggle', that of .*joint.epoch_1\.pth is 'touch face'"):
        Predictor(joint, tmp_path / "other.pth")
    del content["state_dict"]["cls_head.fc_cls.bias"]
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"does not fit the config: it lacks 1 weights \(cls_head\.fc_cls\.bias\)"):
        Predictor(limb=tmp_path / "other.pth")
    content = torch.load(limb, weights_only=True)
    config = content["meta"]["cfg"]
    for was, now, said in [
        ("depth=18", "depth=19", "expected 18 or 34 or 50 or 101 or 152, got 19"),
        ("type='PackKeypoints'", "type='CompactKeypoints'", "'mirrored_views' is no setting of CompactKeypoints"),
        ("skeleton='openpose22',", "skeleton='openpose23',", "there is no layout 'openpose23'"),
        ("batch_size=5", "batch_size='five'", "expected a whole number from 1 to 4096, got 'five'"),
        ("type='PoseHeatmapPreprocessor'", "type='ActionDataPreprocessor'", "'ActionDataPreprocessor' is not built"),
    ]:
        assert was in config
        torch.save({**content, "meta": {"cfg": config.replace(was, now)}}, tmp_path / "other.pth")
        with pytest.raises(InputError, match=rf"other\.pth.*{said}"):
            Predictor(limb=tmp_path / "other.pth")
    torch.save({"state_dict": content["state_dict"]}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"records no config.*Give the config beside the checkpoint"):
        Predictor(limb=tmp_path / "other.pth")


def test_one_bad_input_leaves_the_others(predictor, recording, tmp_path):
    recording.save(tmp_path / "good.npz")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    sources = [tmp_path / "bad.npz", tmp_path / "good.npz", tmp_path / "absent.npz"]
    outcomes = list(predict_files(predictor, sources, tmp_path / "out", ["csv", "json"], LOOSE, window=2.0))
    assert [bool(one.error) for one in outcomes] == [True, False, True]
    assert "bad.npz" in outcomes[0].error and "there is no such file" in outcomes[2].error
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [RECORD, "good.csv", "good.json"]
    found = predictor.segments(recording, LOOSE, window=2.0)
    assert [one.name for one in read_segments(outcomes[1].written[0]).segments] == [one.name for one in found.segments]
    with pytest.raises(InputError, match="its files would have the names of those of"):
        predict_files(predictor, [tmp_path / "good.npz", tmp_path / "sub" / "good.mp4"], tmp_path)
    with pytest.raises(
        InputError, match="no class 'ilustrative'; the classes are:\n(.*\n)+Did you mean 'illustrative'\\?$"
    ):
        predict_files(predictor, sources, tmp_path, rules=SegmentRules(background=("ilustrative",)))


def test_the_video_of_a_recording_is_found_linked_and_drawn_on(predictor, recording, tmp_path):
    points, score = recording.keypoint[:, :30], recording.keypoint_score[:, :30]
    film = dataclasses.replace(recording, video="film.mp4", keypoint=points, keypoint_score=score)
    film.save(tmp_path / "film.npz")
    write_overlay(None, film, tmp_path / "small.mp4", max_side=max(film.image_shape))
    for folder, videos in ((tmp_path / "a", None), (tmp_path / "b", tmp_path / "videos")):
        (tmp_path / "videos").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "small.mp4", (videos or tmp_path) / "film.mp4")
        options = dict(window=1.0, overlay=True, videos=videos)
        (done,) = predict_files(predictor, [tmp_path / "film.npz"], folder, ["eaf", "json"], LOOSE, **options)
        assert not done.error and open_video(folder / "film_overlay.mp4").claimed == 30
        link = "../videos/film.mp4" if videos else "../film.mp4"
        assert f'RELATIVE_MEDIA_URL="{link}"' in (folder / "film.eaf").read_text(encoding="utf-8")
        assert json.loads((folder / "film.json").read_text(encoding="utf-8"))["video"] == "film.mp4"
        (tmp_path / "film.mp4").unlink(missing_ok=True)
    # Without the video the ground is grey, and it is said.
    (done,) = predict_files(
        predictor, [tmp_path / "film.npz"], tmp_path / "c", ["csv"], LOOSE, window=1.0, overlay=True
    )
    assert "its video 'film.mp4' is not found; --videos" in done.notes[0] and "drawn over grey" in done.notes[0]
    assert not done.error and open_video(done.written[1]).claimed == 30


@pytest.mark.parametrize("video", ["{secret}", "../elsewhere/secret.mp4", "..", ".", "link.mp4", "C:\\x\\link.mp4"])
@pytest.mark.parametrize("videos", [None, "videos"])
def test_what_a_recording_says_of_its_video_opens_nothing_elsewhere(predictor, recording, tmp_path, video, videos):
    folder, secret = tmp_path / "sent", tmp_path / "elsewhere" / "secret.mp4"
    folder.mkdir(), secret.parent.mkdir()
    points, score = recording.keypoint[:, :30], recording.keypoint_score[:, :30]
    film = dataclasses.replace(recording, keypoint=points, keypoint_score=score)
    writer = cv2.VideoWriter(str(secret), cv2.VideoWriter_fourcc(*"mp4v"), film.fps, film.image_shape[::-1])
    for _ in range(30):
        writer.write(np.full((*film.image_shape, 3), (0, 0, 255), np.uint8))
    writer.release()
    place = folder if videos is None else tmp_path / videos
    place.mkdir(exist_ok=True)
    (place / "link.mp4").symlink_to(secret)
    dataclasses.replace(film, video=video.format(secret=secret)).save(folder / "film.npz")
    options = dict(window=1.0, overlay=True, videos=None if videos is None else place)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (done,) = predict_files(predictor, [folder / "film.npz"], tmp_path / "out", ["csv", "json"], LOOSE, **options)
    assert not done.error and "drawn over grey" in done.notes[0]
    _, frame = next(iter(open_video(done.written[-1]).frames()))
    assert np.ptp(frame[5, 5]) < 10, "the secret is red"
    assert any("link to another folder" in str(one.message) for one in told) == video.endswith("link.mp4")
    said = json.loads((tmp_path / "out" / "film.json").read_text(encoding="utf-8"))["video"]
    assert said == {"link.mp4": "link.mp4", "C:\\x\\link.mp4": "link.mp4"}.get(
        video, None if len(video) < 5 else "secret.mp4"
    )


def test_a_folder_that_cannot_be_written_is_named_before_any_work(predictor, recording, tmp_path):
    recording.save(tmp_path / "film.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="it cannot be written: a part of the path is a file"):
        predict_files(predictor, [tmp_path / "film.npz"], tmp_path / "file")
    before = sorted(tmp_path.iterdir())
    predict_files(predictor, [tmp_path / "film.npz"], tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_recording_without_anybody_leaves_the_others_and_is_said(predictor, recording, tmp_path):
    recording.save(tmp_path / "good.npz")
    nobody = dataclasses.replace(
        recording, keypoint=recording.keypoint * 0, keypoint_score=recording.keypoint_score * 0, name="nobody"
    )
    nobody.save(tmp_path / "nobody.npz")
    sources = [tmp_path / "nobody.npz", tmp_path / "good.npz"]
    outcomes = list(predict_files(predictor, sources, tmp_path / "out", ["csv", "json", "eaf"], LOOSE, window=2.0))
    assert [one.error for one in outcomes] == ["", ""] and outcomes[1].segmentation.segments
    assert outcomes[0].segmentation.explanation.startswith("Nobody is seen in it: every point is missing.")
    assert outcomes[1].segmentation.explanation == ""
    for name, said in (("nobody", outcomes[0].segmentation.explanation), ("good", None)):
        assert json.loads((tmp_path / "out" / f"{name}.json").read_text(encoding="utf-8"))["explanation"] == said
    assert read_segments(tmp_path / "out" / "nobody.eaf").segments == ()


def test_a_video_that_is_not_found_is_said(predictor, recording, tmp_path):
    dataclasses.replace(recording, video="film.mp4").save(tmp_path / "film.npz")
    (done,) = predict_files(predictor, [tmp_path / "film.npz"], tmp_path / "out", ["eaf"], LOOSE, window=2.0)
    assert not done.error and done.notes[0].startswith("its video 'film.mp4' is not found; --videos DIR says where")
    assert 'RELATIVE_MEDIA_URL="./film.mp4"' in (tmp_path / "out" / "film.eaf").read_text(encoding="utf-8")
    with pytest.warns(UserWarning, match=r"linked media that are not there: film\.mp4"):
        assert read_segments(tmp_path / "out" / "film.eaf").video == "film.mp4"
    (done,) = predict_files(predictor, [tmp_path / "film.npz"], tmp_path / "out", ["csv"], LOOSE, window=2.0)
    assert done.notes == ()
    with pytest.raises(InputError, match="field 'videos': there is no such folder"):
        predict_files(predictor, [tmp_path / "film.npz"], tmp_path / "out", videos=tmp_path / "absent")


def test_what_is_no_file_is_called_what_it_is(predictor, recording, tmp_path):
    (tmp_path / "talks").mkdir()
    recording.save(tmp_path / "talks" / "Interview_1.npz")
    (tmp_path / "talks" / "b.MP4").write_bytes(b"")
    with pytest.raises(InputError, match=r"it is a folder, expected .*Give files, such as .*/\*\.MP4 .*/\*\.npz\.$"):
        read_input(tmp_path / "talks", predictor.layout)
    with pytest.raises(InputError, match=r"there is no such file\. Did you mean 'Interview_1\.npz'\?$"):
        read_input(tmp_path / "talks" / "interview_1.NPZ", predictor.layout)
    with pytest.raises(InputError, match="there is no such file\\.$"):
        read_input(tmp_path / "absent" / "a.npz", predictor.layout)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="it is a pipe, expected a regular file"):
        read_input(tmp_path / "pipe.mp4", predictor.layout)


def test_other_kinds_of_files_and_a_checkpoint_in_the_place_of_a_config_are_named(folder, predictor, tmp_path):
    (tmp_path / "points.csv").write_text("x,y\n")
    with pytest.raises(InputError, match=r"expected a recording \(\.npz\) or a video, this is text/csv"):
        read_input(tmp_path / "points.csv", predictor.layout)
    for name in ("set.pkl", "model.PTH", "talk.eaf"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(
            InputError, match=rf"expected a recording .* or a video, this is a {Path(name).suffix.lower()} f"
        ):
            read_input(tmp_path / name, predictor.layout)
    with pytest.raises(InputError, match="it is given twice"):
        predict_files(predictor, [tmp_path / "set.pkl"] * 2, tmp_path)
    both = (checkpoint(folder, "joint"), checkpoint(folder, "joint"))
    with pytest.raises(InputError, match="expected a config file .*The config comes first"):
        Predictor(joint=both)
    (tmp_path / "no_config.py").write_text("model = 1\n")
    with pytest.raises(InputError, match="no_config.py: the config lacks model and test_dataloader"):
        Predictor(joint=(tmp_path / "no_config.py", checkpoint(folder, "joint")))


def test_a_video_without_the_estimator_is_one_sentence(predictor, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyskl_semloss.video", None)
    (tmp_path / "film.mp4").write_bytes(b"film")
    with pytest.raises(
        InputError, match=r"film\.mp4: keypoints cannot be estimated.*pip install -r requirements/video\.txt"
    ):
        read_input(tmp_path / "film.mp4", predictor.layout)


def test_the_tool_from_the_command_line(folder, recording, tmp_path):
    recording.save(tmp_path / "film.npz")
    models = ["--joint", checkpoint(folder, "joint"), "--limb", checkpoint(folder, "limb")]
    loose = ["--threshold", 0, "--shortest", 0.2, "--window", 2, "--stride", 1, "--still", 0]
    loose += ["--format", "csv", "vtt", "--background", "deep breath", "--out", tmp_path / "out"]
    out, err = run("tools/predict.py", tmp_path / "film.npz", tmp_path / "absent.npz", *models, *loose, code=1)
    assert "absent.npz: there is no such file" in err and "1 of 2 inputs failed" in err and "windows of" in err
    assert "Written to" in out and "start s" in out
    segments = read_segments(tmp_path / "out" / "film.csv").segments
    assert segments and f"{len(segments)} segments" in out and (tmp_path / "out" / "film.vtt").is_file()
    strict = [*loose, "--threshold", 1, "--format", "json"]
    out, _ = run("tools/predict.py", tmp_path / "film.npz", *models, *strict)
    assert "film.npz: 0 segments" in out and "No gesture was found. No gesture is probable enough: the highest" in out
    out, err = run("tools/predict.py", tmp_path / "film.npz", code=2)
    assert (
        err
        == "error: field 'joint, limb, graphs': expected a joint model, a limb model or a graph network, got none.\n"
    )


@pytest.mark.filterwarnings("ignore:1 groups of classes have the same vector")
def test_further_names_have_the_cosines_of_their_vectors(folder, predictor, clips):
    """A name with the words of a trained one has its vector, and so its cosine."""
    both = Predictor(checkpoint(folder, "joint"), checkpoint(folder, "limb"))
    both.add_names(FurtherNames(("face touch", "swipe left")))
    place = CLASS_NAMES.index("touch face")
    assert both.class_names == (*CLASS_NAMES, "face touch", "swipe left")
    assert both.unseen_names == ("face touch", "swipe left")
    plain, further = predictor.predict(clips[:6]), both.predict(clips[:6])
    cosine = further.scores.semantic_cosine
    np.testing.assert_allclose(cosine[:, :32], plain.scores.semantic_cosine, atol=1e-6)
    np.testing.assert_allclose(cosine[:, 32], cosine[:, place], atol=1e-6)
    assert np.abs(cosine[:, 33] - cosine[:, 32]).max() > 0.01
    for name, part in further.parts.items():
        expected = with_further_names(plain.parts[name].score, part.semantic_cosine)
        np.testing.assert_allclose(part.score, expected, atol=1e-6)
    np.testing.assert_allclose(further.probability.sum(1), 1, atol=1e-5)
    assert further.nearest(1)[0][0][0] == both.class_names[cosine[0].argmax()]
    with pytest.raises(InputError, match="further names were added before"):
        both.add_names(FurtherNames(("wave",)))


def test_segments_of_further_names_are_marked(folder, recording, tmp_path):
    joint = Predictor(checkpoint(folder, "joint"))
    joint.add_names(FurtherNames(("swipe left",), seen_bias=9.0))
    found = joint.segments(recording, LOOSE)
    assert {one.name for one in found.segments} == {"swipe left"} and found.unseen_names == ("swipe left",)
    for ending in ("csv", "json", "vtt"):
        ps.write_segments(found, tmp_path / f"a.{ending}")
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["unseen_names"] == ["swipe left"] and content["settings"]["seen_bias"] == 9.0
    assert all(one["unseen"] is True for one in content["segments"])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0].endswith(",unseen") and all(line.endswith(",yes") for line in lines[1:])
    assert read_segments(tmp_path / "a.csv").segments[0].name == "swipe left"
    assert "swipe left (unseen, 100 %)" in (tmp_path / "a.vtt").read_text()


def test_further_names_need_a_branch_and_a_source(folder, tmp_path):
    joint = Predictor(checkpoint(folder, "joint"))
    joint.models["joint"] = dataclasses.replace(joint.models["joint"], label_vectors=None)
    with pytest.raises(InputError, match="epoch_1.pth.*has no semantic branch, so it cannot predict further names"):
        joint.add_names(FurtherNames(("wave",)))
    content = torch.load(checkpoint(folder, "joint"), weights_only=True)
    origin = content["meta"]["dataset_meta"].pop("label_vectors")
    assert origin["source"] == "hash:20:0"
    torch.save(content, tmp_path / "old.pth")
    old = Predictor(tmp_path / "old.pth")
    with pytest.raises(InputError, match="is not recorded.*--label-vectors"):
        old.add_names(FurtherNames(("wave",)))
    other = build_label_vectors([f"name {word}" for word in CLASS_NAMES], "hash:20:0")
    other.save(tmp_path / "other.npz")
    with pytest.raises(InputError, match="other.npz.*its names are not those of the 32 classes of .*old.pth"):
        old.add_names(FurtherNames(("wave",)), tmp_path / "other.npz")
    old.add_names(FurtherNames(("wave",)), folder / "moved.npz")
    assert old.class_names[32:] == ("wave",)
    for wrong in ("hash:20:0", {"source": 3}, {"notes": []}):
        content["meta"]["dataset_meta"]["label_vectors"] = wrong
        torch.save(content, tmp_path / "wrong.pth")
        with pytest.raises(InputError, match="expected source, checksum and notes of the label vectors"):
            Predictor(tmp_path / "wrong.pth")


def test_the_tool_names_further_classes(folder, recording, tmp_path):
    recording.save(tmp_path / "r.npz")
    (tmp_path / "more.txt").write_text("swipe left\nwave hello\n")
    words = ["tools/predict.py", tmp_path / "r.npz", "--joint", checkpoint(folder, "joint"), "--out", tmp_path / "out",
             "--threshold", 0, "--shortest", 0.2]  # fmt: skip
    said, _ = run(*words, "--names", tmp_path / "more.txt", "--seen-bias", 9)
    assert "  (unseen)" in said and ("swipe left" in said or "wave hello" in said)
    (tmp_path / "own.txt").write_text("\n".join(CLASS_NAMES))
    said, _ = run(*words, "--names", tmp_path / "own.txt", "--overwrite")
    assert "unseen" not in said
    (tmp_path / "more.txt").write_text("swipe left\ntouch face\n")
    _, error = run(*words, "--names", tmp_path / "more.txt", code=2)
    assert "1 of the 2 names are known to the model already:\n  'touch face'" in error
    _, error = run(*words, "--names", tmp_path / "own.txt", "--vectors", "hash", code=2)
    assert "no names of further classes" in error
