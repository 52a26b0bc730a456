"""Keypoints of videos: values, parts, many files, interruptions, damage; with estimators that find rendered dots."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import ROOT

cv2 = pytest.importorskip("cv2", reason="needs OpenCV")

from helpers.dot_videos import (  # noqa: E402
    DOTS,
    FPS,
    HEIGHT,
    WIDTH,
    crowd,
    dots,
    find_dots,
    places,
    smooth_dots,
    write_video,
)
from pyskl_semloss.cli.progress import FrameProgress  # noqa: E402
from pyskl_semloss.errors import InputError  # noqa: E402
from pyskl_semloss.io.results import OVERWRITE  # noqa: E402
from pyskl_semloss.recordings.recording import read_recording  # noqa: E402
from pyskl_semloss.segments.segment import Segment  # noqa: E402
from pyskl_semloss.video import (  # noqa: E402
    EstimationOptions,
    Estimator,
    estimate,
    estimate_files,
    load_estimator,
    open_video,
    write_overlay,
)
from pyskl_semloss.video.batch import PartFiles, are_complete  # noqa: E402
from pyskl_semloss.video.estimate import PART, VideoPart, assemble, estimate_parts  # noqa: E402
from pyskl_semloss.video.overlay import draw_lines, lines_at, overlay_frames  # noqa: E402

LONG = 2 * PART + 150


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "short.avi", 40, fourcc="MJPG")


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "long.mp4", LONG)


@pytest.fixture(autouse=True)
def processes_find_the_estimators(monkeypatch):
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT / "tests"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    )


def expected(frames):
    return np.stack([places(frame) for frame in frames])


def tool(*arguments, **environment):
    command = [sys.executable, str(ROOT / "tools" / "estimate_poses.py"), *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def same(a, b):
    first, second = read_recording(a), read_recording(b)
    np.testing.assert_array_equal(first.keypoint, second.keypoint)
    np.testing.assert_array_equal(first.keypoint_score, second.keypoint_score)
    return first


def test_the_dots_are_found_where_they_were_drawn(short):
    seen = []
    recording = estimate(short, layout=DOTS, estimator=dots(), progress=lambda *numbers: seen.append(numbers))
    assert (recording.name, recording.video, recording.fps) == ("short", "short.avi", FPS)
    assert recording.image_shape == (HEIGHT, WIDTH)
    assert seen == [(number, 40) for number in range(1, 41)]
    np.testing.assert_allclose(recording.keypoint[0], expected(range(40)), atol=1.5)
    np.testing.assert_allclose(recording.keypoint_score, 0.9)


def test_keypoints_are_in_px_of_the_original_however_small_the_frames_are(tmp_path):
    path = write_video(tmp_path / "large.avi", 5, size=(640, 480), fourcc="MJPG")
    sides = []

    def function(frame):
        sides.append(frame.shape)
        return find_dots(frame)

    recording = estimate(path, layout=DOTS, estimator=Estimator(function, DOTS), max_side=160)
    assert set(sides) == {(120, 160, 3)}
    assert recording.image_shape == (480, 640)
    np.testing.assert_allclose(recording.keypoint[0], 4 * expected(range(5)) + 1.5, atol=4)


def test_start_end_and_stride_choose_the_frames(short):
    recording = estimate(short, layout=DOTS, estimator=dots(), start=0.4, end=1.2, stride=3)
    assert recording.fps == FPS / 3
    np.testing.assert_allclose(recording.keypoint[0], expected(range(10, 30, 3)), atol=1.5)
    with pytest.raises(InputError, match=r"short\.avi: it has no frame from 9 s on"):
        estimate(short, layout=DOTS, estimator=dots(), start=9)


def test_another_layout_is_made_by_name_with_the_sides_of_the_image(short):
    recording = estimate(short, layout="openpose22", estimator=dots())
    joint = {name: at for at, name in enumerate(recording.layout.joints)}
    middle = expected(range(40))
    # In openpose22 left is the image's; the dots are named as a person who faces the camera would.
    np.testing.assert_allclose(recording.keypoint[0, :, joint["left_shoulder"]], middle[:, 2], atol=1.5)
    np.testing.assert_allclose(recording.keypoint[0, :, joint["right_hand"]], middle[:, 3], atol=1.5)
    np.testing.assert_allclose(recording.keypoint[0, :, joint["neck"]], middle[:, 1:3].mean(1), atol=1.5)
    assert not recording.keypoint_score[0, :, joint["left_finger_1"]].any()


SECOND = np.array([15, 10], np.float32)
"""How far the second person stands from the first, px: they overlap."""


def two_persons(rng, second=lambda frame: True):
    """An estimator of two persons, in any order; the first is larger."""
    frames = iter(range(10**6))

    def function(frame):
        points, scores = find_dots(frame)
        people = [(points[0], scores[0])]
        if second(next(frames)):
            people.append((points[0] * 0.8 + SECOND, scores[0]))
        order = rng.permutation(len(people))
        return np.stack([people[at][0] for at in order]), np.stack([people[at][1] for at in order])

    return Estimator(function, DOTS)


@pytest.mark.parametrize(("person", "persons"), [("largest", [0]), ("1", [1]), ("all", [0, 1]), ("longest", [0])])
def test_a_person_is_one_body_over_time_in_whatever_order_they_come(short, person, persons):
    finder = two_persons(np.random.default_rng(0), second=lambda frame: frame != 5)
    recording = estimate(short, layout=DOTS, estimator=finder, person=person)
    bodies = np.stack([expected(range(40)), expected(range(40)) * 0.8 + SECOND])
    assert len(recording.keypoint) == len(persons)
    for found, score, body in zip(recording.keypoint, recording.keypoint_score, persons, strict=True):
        there = [frame for frame in range(40) if body == 0 or frame != 5]
        np.testing.assert_allclose(found[there], bodies[body][there], atol=1.5)
        assert (score[:, 0] > 0).nonzero()[0].tolist() == there


def test_a_person_that_is_not_there_is_told(short):
    with pytest.raises(InputError, match=r"short\.avi: field 'person': there is no person 2, they are 0 to 1"):
        estimate(short, layout=DOTS, estimator=two_persons(np.random.default_rng(0)), person="2")


def test_nobody_in_a_video_is_no_error(short):
    nobody = Estimator(lambda frame: (np.zeros((0, 5, 2)), np.zeros((0, 5))), DOTS)
    recording = estimate(short, layout=DOTS, estimator=nobody)
    assert recording.keypoint_score.shape == (1, 40, 5) and not recording.keypoint_score.any()


def made_parts(places_of):
    """Parts of ``PART`` and of 30 frames, whose persons stand in the order that ``places_of`` gives to each."""
    frames = np.arange(PART + 30)
    bodies = np.stack([expected(frames), expected(frames) * 0.8 + SECOND]).astype(np.float32)
    scores = np.full(bodies.shape[:3], 0.5, np.float32)
    return bodies, [
        VideoPart(number, bodies[order][:, place], scores[order][:, place])
        for number, (order, place) in enumerate(zip(places_of, (slice(PART), slice(PART, None)), strict=True))
    ]


def test_persons_are_the_same_across_parts(short):
    video, options = open_video(short), EstimationOptions(layout=DOTS, person="all")
    bodies, parts = made_parts([[0, 1], [1, 0]])
    recording, facts = assemble(parts, video, options, single=False)
    np.testing.assert_array_equal(recording.keypoint, bodies)
    assert facts["chosen"] == [0, 1] and [each["frames"] for each in facts["persons"]] == [PART + 30] * 2
    again, _ = assemble(made_parts([[1, 0], [1, 0]])[1], video, options, single=False)
    np.testing.assert_array_equal(again.keypoint[::-1], bodies)  # the first that is seen is number 0


def test_whom_a_recording_is_about_can_be_changed_without_estimating_anew(short, tmp_path):
    """As long as the parts are there: a person who is not stops the run before they are put together."""
    options = [
        EstimationOptions(layout=DOTS, estimator="helpers.dot_videos:crowd", person=person) for person in ("7", "1")
    ]
    (failed,) = estimate_files([short], tmp_path, options[0])
    assert failed.status == "failed" and "short.avi: field 'person': there is no person 7" in failed.problem
    (part,) = (tmp_path / "short.parts").glob("*.npz")
    stamp = part.stat().st_mtime_ns
    for person in options:
        files = PartFiles(tmp_path / "short.parts", str(short), person)
        assert files.lengths() == {0: 40} and part.stat().st_mtime_ns == stamp
    (made,) = estimate_files([short], tmp_path, options[1])
    assert made.facts["persons_found"] == 2 and made.facts["chosen"] == [1] and made.facts["frames_seen"] == 40
    recording = read_recording(made.recording)
    in_one_go = estimate(short, layout=DOTS, estimator=crowd(), person="1")
    np.testing.assert_array_equal(recording.keypoint, in_one_go.keypoint)
    small = 0.8 * expected(range(40)) + SECOND
    large = expected(range(40))
    errors = [np.abs(recording.keypoint[0] - body).max() for body in (large, small)]
    assert min(errors) < 1.5 < max(errors)
    (other,) = estimate_files([short], tmp_path, EstimationOptions(DOTS, "helpers.dot_videos:crowd"))
    assert other.status == "made"  # the recording of another person is another recording


def test_the_tool_says_who_it_is(short, tmp_path):
    command = tool(
        short, "--out", tmp_path, "--estimator", "helpers.dot_videos:crowd", "--layout", "openpose22", "--person", "all"
    )
    told, errors = command.communicate(timeout=600)
    assert command.returncode == 0 and "; person 0, 1 of 2 persons; missing joints" in told, errors
    assert read_recording(tmp_path / "short.npz").keypoint.shape[:2] == (2, 40)


def test_an_only_person_is_not_followed(short):
    """It jumps across the image, so that anybody who follows persons takes it for another one."""
    frames = iter(range(40))

    def function(frame):
        points, scores = find_dots(frame)
        return points + (1000 if next(frames) >= 30 else 0), scores

    both = [estimate(short, layout=DOTS, estimator=Estimator(function, DOTS, single=True)).keypoint_score]
    frames = iter(range(40))
    both.append(estimate(short, layout=DOTS, estimator=Estimator(function, DOTS)).keypoint_score)
    assert [int((score[0] > 0).all(-1).sum()) for score in both] == [40, 30]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((np.zeros((1, 4, 2)), np.zeros((1, 4))), r"gave \(1, 4, 2\) and \(1, 4\), expected \(M, 5, 2\)"),
        ((np.full((1, 5, 2), np.nan), np.ones((1, 5))), "not finite"),
        ((np.zeros((1, 5, 2)), np.full((1, 5), 1.5)), "scores above 1"),
        (None, "does not give keypoints and scores"),
        ((None, None), "does not give keypoints and scores"),
        ((np.ones((201, 5, 2)), np.ones((201, 5))), "201 persons in a frame, expected 200 at most"),
    ],
)
def test_an_estimator_that_returns_something_else_is_told(short, returned, message):
    with pytest.raises(InputError, match=message):
        estimate(short, layout=DOTS, estimator=Estimator(lambda frame: returned, DOTS))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openpose", "there is no estimator 'openpose'. Known are mediapipe"),
        ("no_such_module:make", "cannot be made .ModuleNotFoundError"),
        ("helpers.dot_videos:places", "cannot be made .TypeError"),
        ("helpers.dot_videos:DOTS", "cannot be made"),
        ("os:getcwd", "made a str"),
    ],
)
def test_an_estimator_that_cannot_be_made_is_told(name, message):
    with pytest.raises(InputError, match=message):
        load_estimator(name)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(stride=0),
        dict(max_side=8),
        dict(start=-1),
        dict(start=2, end=1),
        dict(end=float("nan")),
        dict(fps=0),
        dict(layout="no"),
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        EstimationOptions(**wrong)


def test_parts_do_not_depend_on_who_makes_them(long):
    """An estimator that follows gives the same in one go and part by part, and nearly what it gives without parts."""
    options, video = EstimationOptions(DOTS, "own"), open_video(long)
    whole = list(estimate_parts(video, options, smooth_dots()))
    assert [part.score.shape[1] for part in whole] == [PART, PART, 150]
    for lane in range(2):
        own = list(estimate_parts(video, options, smooth_dots(), lambda number, lane=lane: number % 2 == lane))
        assert [part.number for part in own] == [number for number in range(3) if number % 2 == lane]
        for part in own:
            np.testing.assert_array_equal(part.keypoint, whole[part.number].keypoint)
    follow = smooth_dots()
    alone = np.concatenate([follow.find(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))[0] for _, frame in video.frames()])
    made = np.concatenate([part.keypoint[0] for part in whole])
    assert (alone[1:] != expected(range(1, LONG))).any()
    np.testing.assert_allclose(made, alone, atol=1e-4)


def test_a_video_of_a_whole_number_of_parts_ends_with_an_empty_one(long):
    options, video = EstimationOptions(DOTS, "own", end=PART / FPS), open_video(long)
    for estimator in (dots(), smooth_dots()):
        assert [part.score.shape[1] for part in estimate_parts(video, options, estimator)] == [PART, 0]
        assert [part.number for part in estimate_parts(video, options, estimator, lambda number: number == 1)] == [1]
        assert [part.number for part in estimate_parts(video, options, estimator, lambda number: number == 0)] == [0]


def test_many_files_one_of_them_broken(tmp_path, short, long):
    (tmp_path / "broken.mp4").write_bytes(long.read_bytes()[:5000])
    cut = tmp_path / "cut.avi"
    cut.write_bytes(short.read_bytes()[: short.stat().st_size * 2 // 3])
    options = EstimationOptions(DOTS, "helpers.dot_videos:smooth_dots")
    videos = [tmp_path / "broken.mp4", short, cut, tmp_path / "none.mp4", long]
    told = []
    made = estimate_files(videos, tmp_path, options, workers=2, progress=lambda *numbers: told.append(numbers))
    assert [outcome.status for outcome in made] == ["failed", "made", "failed", "failed", "made"]
    for outcome, text in ((made[0], "cannot be opened"), (made[2], "cut off"), (made[3], "no such file")):
        assert outcome.problem.startswith(outcome.video) and text in outcome.problem
    assert told[-1][2:] == (5, 5)
    estimate(long, layout=DOTS, estimator=smooth_dots()).save(tmp_path / "alone.npz")
    assert same(tmp_path / "alone.npz", made[4].recording).frames == LONG
    assert made[4].facts["seen"] == made[4].facts["frames"] == LONG
    assert not (tmp_path / "long.parts").exists()
    before = Path(made[4].recording).stat().st_mtime_ns
    again = estimate_files(videos, tmp_path, options, workers=2)
    assert [outcome.status for outcome in again] == ["failed", "kept", "failed", "failed", "kept"]
    assert Path(made[4].recording).stat().st_mtime_ns == before


def test_results_of_other_options_are_made_anew_and_damaged_ones_if_allowed(tmp_path, short, monkeypatch):
    options = EstimationOptions(DOTS, "helpers.dot_videos:dots")
    for one in (options, EstimationOptions(DOTS, "helpers.dot_videos:dots", stride=2)):
        assert estimate_files([short], tmp_path, one)[0].status == "made"
    assert read_recording(tmp_path / "short.npz").frames == 20
    estimate_files([short], tmp_path, options)
    with open(tmp_path / "short.npz", "r+b") as stream:
        stream.write(b"??")
    refused = estimate_files([short], tmp_path, options)[0]
    assert refused.status == "failed" and "short.npz: it is not as this program wrote it" in refused.problem
    monkeypatch.setenv(OVERWRITE, "1")
    assert estimate_files([short], tmp_path, options)[0].status == "made"
    assert read_recording(tmp_path / "short.npz").frames == 40


def test_only_whole_parts_of_the_same_video_and_options_count(tmp_path, short):
    def files(**other):
        return PartFiles(tmp_path / "parts", str(short), EstimationOptions(DOTS, "own", **other))

    full = VideoPart(0, np.ones((1, PART, 5, 2), np.float32), np.ones((1, PART, 5), np.float32))
    last = VideoPart(1, full.keypoint[:, :30], full.score[:, :30])
    for part in (full, last):
        files().save(part)
    assert files().lengths() == {0: PART, 1: 30} and are_complete(files().lengths())
    # A full part does not depend on where the video is left; the last one does.
    assert files(end=99.0).lengths() == {0: PART} and not are_complete({0: PART})
    assert files(stride=2).lengths() == files(max_side=64).lengths() == {}
    damaged = tmp_path / "parts" / "000000.npz"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert files().lengths() == {1: 30} and not are_complete({1: 30})
    files().remove()
    assert not (tmp_path / "parts").exists()


def test_videos_of_one_name_are_refused(tmp_path, short):
    with pytest.raises(InputError, match="its recording would have the name of that of"):
        estimate_files([short, tmp_path / "short.mp4"], tmp_path, EstimationOptions(DOTS, "helpers.dot_videos:dots"))


def test_a_process_that_dies_takes_one_video_with_it(tmp_path, short):
    def picture(frame, size):
        return np.full((*size[::-1], 3), 255, np.uint8)

    white = write_video(tmp_path / "white.avi", 5, fourcc="MJPG", picture=picture)
    made = estimate_files([white, short], tmp_path, EstimationOptions(DOTS, "helpers.dot_videos:dying_dots"), workers=2)
    assert [outcome.status for outcome in made] == ["failed", "made"]
    assert "ended by SIGABRT" in made[0].problem and made[0].problem.startswith(str(white))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(tmp_path, long, workers):
    log = tmp_path / "log"
    arguments = [long, "--out", tmp_path / "out", "--layout", tmp_path / "dots.json"]
    arguments += ["--estimator", "helpers.dot_videos:smooth_dots"]
    fields = dict(name=DOTS.name, joints=DOTS.joints, limbs=DOTS.limbs, mirror_pairs=DOTS.mirror_pairs)
    (tmp_path / "dots.json").write_text(json.dumps(fields))
    process = tool(*arguments, "--workers", workers, DOTS_LOG=str(log), DOTS_SECONDS="0.001")
    first = tmp_path / "out" / "long.parts" / "000000.npz"
    while not first.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert first.exists() and not (tmp_path / "out" / "long.npz").exists()
    time.sleep(1)  # its processes notice that it is gone
    log.unlink()
    again = tool(*arguments, "--workers", workers, DOTS_LOG=str(log))
    out, errors = again.communicate(timeout=600)
    assert again.returncode == 0, errors
    assert f"{LONG} frames" in out
    # The first part was not made again.
    assert len(log.read_text().splitlines()) < LONG - PART + 200
    estimate(long, layout=DOTS, estimator=smooth_dots()).save(tmp_path / "alone.npz")
    same(tmp_path / "alone.npz", tmp_path / "out" / "long.npz")


def test_ctrl_c_ends_with_one_line_and_leaves_no_process(tmp_path, long):
    process = tool(
        long, "--out", tmp_path, "--estimator", "helpers.dot_videos:smooth_dots", "--workers", 2, DOTS_SECONDS="0.01"
    )
    while not (children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()):
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(2)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "stopped by SIGINT; go on with:" in errors and "Traceback" not in errors
    time.sleep(0.5)
    for child in children:
        # Where nobody waits for it, what has ended stays in the list as a zombie.
        state = Path(f"/proc/{child}/stat")
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_the_tool_says_what_it_wrote_and_its_status_that_one_failed(tmp_path, short):
    (tmp_path / "bad.mp4").write_bytes(b"none")
    process = tool(
        tmp_path / "bad.mp4", short, "--out", tmp_path, "--estimator", "helpers.dot_videos:dots", "--overlay"
    )
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert f"error: {tmp_path / 'bad.mp4'}: it cannot be opened as a video" in errors and "of 40 frames" in errors
    seen = "somebody seen in 100% of them (left hand 0%, right hand 0%); missing joints: left_elbow, "
    assert f"short.npz: 40 frames (1.6 s at 25 frames/s), {seen}" in out
    assert out.splitlines()[-1].startswith(f"Wrote 1 of 2 recordings to {tmp_path}, 40 frames anew")
    assert open_video(tmp_path / "short_overlay.mp4").claimed == 40


def test_a_video_of_nobody_is_made_and_said(tmp_path, short):
    process = tool(short, "--out", tmp_path, "--estimator", "helpers.dot_videos:nobody")
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0 and "somebody seen in 0% of them" in out
    assert f"warning: {tmp_path / 'short.npz'}: nobody is seen in it; look at the video\n" in errors


def test_the_progress_line_says_rate_and_time_left(monkeypatch):
    now, stream = [0.0], io.StringIO()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    line = FrameProgress(stream)
    for seconds, frames in ((0, 0), (10, 100), (20, 300), (30, 500), (35, 600)):
        now[0] = seconds
        line(frames, 600, frames // 600, 1)
    line.end()
    assert stream.getvalue().splitlines() == [
        " 16 %  100 of 600 frames, 0 of 1 videos done",
        " 50 %  300 of 600 frames, 20.0 frames/s, 15 s left, 0 of 1 videos done",
        " 83 %  500 of 600 frames, 20.0 frames/s, 5 s left, 0 of 1 videos done",
        "100 %  600 of 600 frames, 20.0 frames/s, 0 s left, 1 of 1 videos done",
    ]


def test_the_overlay_draws_left_blue_and_right_orange_where_the_points_are(tmp_path, short, monkeypatch):
    video, recording = open_video(short), estimate(short, layout="openpose22", estimator=dots())
    pictures = list(overlay_frames(video, recording))
    assert len(pictures) == 40
    joint = {name: at for at, name in enumerate(recording.layout.joints)}
    # In openpose22 the joint on the left of the image is the left one.
    for name, blue_or_orange in (("left_shoulder", (31, 95, 180)), ("right_shoulder", (217, 115, 13))):
        x, y = np.round(recording.keypoint[0, 9, joint[name]]).astype(int)
        np.testing.assert_array_equal(pictures[9][y, x, ::-1], blue_or_orange)
    monkeypatch.chdir(tmp_path)
    for name in ("a%03d.mp4", "http:/a.mp4"):
        assert write_overlay(video, recording, name) == open_video(name).claimed == 40
    assert write_overlay(video, recording, tmp_path / "a.mp4") == 40
    half = estimate(short, layout="openpose22", estimator=dots(), start=0.4, stride=3)
    assert write_overlay(video, half, tmp_path / "b.mp4", start=0.4, stride=3) == half.frames == 10
    with pytest.raises(InputError, match="frames of its recording"):
        write_overlay(video, half, tmp_path / "c.mp4", start=1.4, stride=3)
    assert not (tmp_path / "c.mp4").exists()


def test_the_names_of_segments_stand_below_the_moments_that_they_have(tmp_path, short):
    both = [Segment(0.4, 0.8, "rub hand", 0.5), Segment(0.6, 1.0, "fold arm", 0.25, person=1)]
    assert lines_at(both[:1], 0.4) == ["rub hand 0.50"] and lines_at(both[:1], 0.8) == []
    assert lines_at(both, 0.7) == ["person 1: rub hand 0.50", "person 2: fold arm 0.25"]
    frame = np.full((180, 320, 3), 200, np.uint8)
    draw_lines(
        frame, ["rub hand 0.50", "a name that is a good deal longer than the picture is wide, and then some more"]
    )
    assert (frame[:156] == 200).all() and (frame[156:, -3:] == 40).all()
    for row in (frame[156:168], frame[168:]):
        assert (row > 150).sum() > 100
    recording = estimate(short, layout="openpose22", estimator=dots())
    bare, named = (list(overlay_frames(open_video(short), recording, segments=one)) for one in ((), both[:1]))
    changed = [bool((one != other).any()) for one, other in zip(bare, named, strict=True)]
    assert changed == [0.4 <= frame / recording.fps < 0.8 for frame in range(40)]
    assert write_overlay(None, recording, tmp_path / "grey.mp4", segments=both) == 40
    assert next(iter(overlay_frames(None, recording)))[0, 0].tolist() == [235, 235, 235]
