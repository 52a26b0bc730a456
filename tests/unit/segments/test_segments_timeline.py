"""Windows, timelines and segments against what they must be on made-up scores."""

import itertools
import re
import tracemalloc

import numpy as np
import pytest

from pyskl_semloss.errors import InputError
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.find import SegmentRules, background_classes, find_segments
from pyskl_semloss.segments.nothing_found import why_nothing
from pyskl_semloss.segments.segment import Segment
from pyskl_semloss.segments.windows import (
    Timeline,
    WindowRules,
    Windows,
    frame_probability,
    in_blocks,
    movement,
    plan_windows,
    timelines_of,
    window_seconds,
    window_weights,
)

NAMES = ("rest", "wave", "nod", "clap", "shrug", "point")
FPS = 25.0


def timeline(frames=500, window=2.0, stride=0.2, spans=(), person=0, cosine=None):
    """Windows that show a class with the share of the window that its span covers; the rest is class 0."""
    windows = plan_windows(frames, FPS, window, stride)
    probability = np.zeros((len(windows), len(NAMES)), np.float32)
    for label, start, stop in spans:
        common = np.minimum(windows.stop, stop) - np.maximum(windows.start, start)
        probability[:, label] += common.clip(0) / windows.length
    probability[:, 0] += 1 - probability.sum(1)
    ones = np.ones(len(windows))
    return Timeline(windows, FPS, NAMES, probability, cosine, ones, ones, person)


RULES = SegmentRules(threshold=0.4, extent=0.5, smoothing=0.1, shortest=0.5, gap=0.5, background=("rest",))


def test_windows_cover_every_frame_and_end_with_the_recording():
    rng = np.random.default_rng(0)
    for _ in range(200):
        frames, window = int(rng.integers(1, 400)), rng.uniform(0.05, 5)
        windows = plan_windows(frames, FPS, window, window * rng.uniform(0.1, 1))
        covered = np.zeros(frames, bool)
        for start, stop in zip(windows.start, windows.stop, strict=True):
            assert 0 <= start < stop <= frames and stop - start == min(windows.length, frames)
            covered[start:stop] = True
        assert covered.all() and windows.stop[-1] == frames and (np.diff(windows.start) > 0).all()
    assert plan_windows(100, 25, 2, 1).start.tolist() == [0, 25, 50]
    assert plan_windows(101, 25, 2, 1).start.tolist() == [0, 25, 50, 51]
    assert plan_windows(20, 25, 2, 1).start.tolist() == [0]


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (2, 0), (-1, 1), (float("nan"), 1), (1, 2)])
def test_windows_that_make_no_sense_are_refused(window, stride):
    with pytest.raises(InputError, match="window|stride"):
        plan_windows(100, 25, window, stride)


def test_blocks_cover_all_in_order():
    assert [list(range(20))[part] for part in in_blocks(20, 8)] == [
        list(range(8)),
        list(range(8, 16)),
        [16, 17, 18, 19],
    ]
    assert list(in_blocks(0, 8)) == []


def body(frames=200, joints=8, seed=0):
    rng = np.random.default_rng(seed)
    place = rng.uniform(100, 300, (joints, 2))
    place[0], place[1] = (100, 100), (400, 500)
    return np.repeat(place[None], frames, axis=0), np.ones((frames, joints))


def test_movement_is_the_range_in_body_sizes():
    keypoint, score = body()
    windows = plan_windows(200, FPS, 2.0, 2.0)
    assert movement(keypoint, score, windows)[0].tolist() == [0, 0, 0, 0]
    # Three joints go 50 px to the right and back in the second window: of a body with a diagonal of 500 px.
    inside = np.sin(np.linspace(0, np.pi, 50))
    keypoint[50:100, 2:5, 0] += 50 * inside[:, None]
    moved, seen = movement(keypoint, score, windows)
    assert moved[[0, 2, 3]].tolist() == [0, 0, 0] and seen.tolist() == [1, 1, 1, 1]
    assert moved[1] == pytest.approx(0.1, abs=0.02)
    # It does not depend on where the person sits, how large the picture is, or the other windows.
    again = movement(keypoint * 3 + 70, score, windows)[0]
    np.testing.assert_allclose(again, moved, rtol=1e-9)


def test_one_wrong_frame_and_missing_points_are_no_movement():
    keypoint, score = body()
    windows = plan_windows(200, FPS, 4.0, 4.0)
    # Of the 100 frames of a window the 16 at 3, 9, 15, 21, 28, … are looked at.
    keypoint[28] += 300
    keypoint[128] -= 90
    keypoint[109], score[109] = 0, 0
    keypoint[:, 7], score[:, 7] = 0, 0
    moved, seen = movement(keypoint, score, windows)
    assert moved.max() < 1e-9
    assert seen[0] == pytest.approx(7 / 8) and seen[1] == pytest.approx(7 / 8 * 15 / 16)
    nothing = movement(np.zeros_like(keypoint), np.zeros_like(score), windows)
    assert nothing[0].tolist() == nothing[1].tolist() == [0, 0]


def test_frame_probabilities_are_the_weighted_mean_of_the_windows_that_cover_a_frame():
    one = timeline(frames=130, window=1.0, stride=0.24, spans=[(1, 20, 60), (2, 70, 110)])
    weights, expected = window_weights(25), np.zeros((130, len(NAMES)))
    for frame in range(130):
        total = 0.0
        for start, row in zip(one.windows.start, one.probability, strict=True):
            if start <= frame < start + 25:
                expected[frame] += weights[frame - start] * row
                total += weights[frame - start]
        expected[frame] /= total
    np.testing.assert_allclose(frame_probability(one, 0, 130, 0.0), expected, atol=1e-12)
    assert weights.tolist() == [*range(1, 14), *range(12, 0, -1)]
    sigma = 0.08 * FPS
    smoothed = np.zeros_like(expected)
    for frame in range(130):
        near = [other for other in range(130) if abs(other - frame) <= int(3 * sigma)]
        kernel = np.exp([-0.5 * ((other - frame) / sigma) ** 2 for other in near])
        smoothed[frame] = (kernel[:, None] * expected[near]).sum(0) / kernel.sum()
    np.testing.assert_allclose(frame_probability(one, 0, 130, 0.08), smoothed, atol=1e-12)


def test_a_frame_has_the_same_probabilities_in_every_block():
    one = timeline(frames=700, window=1.4, stride=0.36, spans=[(1, 50, 190), (3, 320, 500)])
    whole = frame_probability(one, 0, 700, 0.3)
    for size in (1, 7, 64, 500):
        parts = [frame_probability(one, part.start, part.stop, 0.3) for part in in_blocks(700, size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_segments_are_where_the_gestures_are():
    truth = [(1, 50, 110), (2, 200, 275), (1, 350, 430)]
    found = find_segments(timeline(spans=truth), RULES)
    assert [one.name for one in found] == ["wave", "nod", "wave"]
    for one, (label, start, stop) in zip(found, truth, strict=True):
        assert abs(one.start * FPS - start) < 13 and abs(one.end * FPS - stop) < 13
        assert one.top[0] == (NAMES[label], one.confidence) and len(one.top) == 5
        assert 0.4 < one.confidence <= 1 and [p for _, p in one.top] == sorted((p for _, p in one.top), reverse=True)


def test_confidence_is_the_mean_over_the_segments_frames():
    one = timeline(spans=[(1, 100, 300)])
    (segment,) = find_segments(one, RULES)
    rows = frame_probability(one, round(segment.start * FPS), round(segment.end * FPS), RULES.smoothing)
    assert segment.confidence == pytest.approx(rows[:, 1].mean(), abs=1e-12)
    assert dict(segment.top)["rest"] == pytest.approx(rows[:, 0].mean(), abs=1e-12)


def test_blocks_do_not_change_the_segments(monkeypatch):
    import pyskl_semloss.segments.find as module
    from pyskl_semloss.segments.windows import frame_blocks

    one = timeline(frames=2000, spans=[(1, 100, 300), (2, 301, 420), (1, 600, 660), (1, 668, 730), (4, 1500, 1990)])
    whole = find_segments(one, RULES)
    assert len(whole) >= 4
    for size in (1, 13, 512):
        monkeypatch.setattr(module, "frame_blocks", lambda t, s, size=size: frame_blocks(t, s, size))
        again = find_segments(one, RULES)
        assert [(a.start, a.end, a.name) for a in again] == [(a.start, a.end, a.name) for a in whole]
        np.testing.assert_allclose([a.confidence for a in again], [a.confidence for a in whole], rtol=1e-12)


def rules(**changes):
    return SegmentRules(**{**{key: getattr(RULES, key) for key in RULES.__dataclass_fields__}, **changes})


def test_each_rule_does_what_it_says():
    one = timeline(spans=[(1, 100, 160), (2, 300, 312), (0, 400, 450)])
    assert [s.name for s in find_segments(one, RULES)] == ["wave"], "a nod of 12 frames never fills half of a window"
    assert [s.name for s in find_segments(one, rules(background=()))].count("rest") >= 2
    assert find_segments(one, rules(threshold=0.99)) == []
    assert find_segments(one, rules(shortest=4.0)) == []
    wide, narrow = (find_segments(one, rules(extent=extent))[0] for extent in (0.1, 0.9))
    assert wide.start < narrow.start < narrow.end < wide.end
    both = timeline(spans=[(1, 100, 160), (1, 190, 250)])
    assert len(find_segments(both, RULES)) == 2
    (joined,) = find_segments(both, rules(gap=3.0))
    apart = find_segments(both, rules(gap=0.0))
    assert (joined.start, joined.end) == (apart[0].start, apart[1].end)


def test_windows_that_were_not_scored_are_no_gesture():
    one = timeline(spans=[(1, 100, 300)])
    silent = np.where((one.windows.start >= 150)[:, None], 0, one.probability)
    cut = Timeline(one.windows, FPS, NAMES, silent, None, one.movement, one.seen)
    assert max(segment.end for segment in find_segments(cut, RULES)) < 240 / FPS
    nothing = Timeline(one.windows, FPS, NAMES, np.zeros_like(silent), None, one.movement, one.seen)
    assert find_segments(nothing, rules(threshold=0.0, background=())) == []


def test_the_nearest_name_is_that_of_the_segments_windows():
    plain = timeline(spans=[(1, 100, 200)])
    cosine = np.zeros((len(plain.windows), len(NAMES)), np.float32)
    middle = plain.windows.start + 25
    cosine[:, 5] = 0.6
    cosine[(middle >= 110) & (middle < 190), 3] = 1.0
    (found,) = find_segments(timeline(spans=[(1, 100, 200)], cosine=cosine, person=2), RULES)
    assert (found.name, found.nearest, found.person) == ("wave", "clap", 2)


def test_a_background_that_is_no_class_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="no class 'rset'; the classes are:\n(.*\n)+Did you mean 'rest'"):
        find_segments(timeline(), rules(background=("rset",)))
    for wrong in (dict(threshold=1.5), dict(extent=-1), dict(shortest=-1), dict(smoothing=float("inf"))):
        with pytest.raises(InputError, match=next(iter(wrong))):
            SegmentRules(**wrong)


def test_a_background_is_found_whatever_its_capitals_and_blanks():
    names = ("No Gesture", "no gesture", "M\u00fcller  wave")
    assert background_classes(names, ["no gesture", "Mu\u0308ller WAVE"]) == [1, 2]
    with pytest.raises(InputError, match="there is no class 'NO GESTURE'.*\n  'No Gesture'\n  'no gesture'"):
        background_classes(names, ["NO GESTURE"])


LONG, SHORT, REST = [(1, 100, 300)], [(1, 100, 160)], [(0, 0, 500)]


@pytest.mark.parametrize(
    ("change", "by", "said"),
    [
        (
            dict(spans=LONG),
            dict(shortest=60.0),
            "The recording lasts 20.00 s, and a segment at least 60 s (--shortest).",
        ),
        (dict(seen=0.0), {}, "Nobody is seen in it: every point is missing. Look at the video, and at how"),
        (
            dict(seen=0.189),
            {},
            "Too little of a person is seen: at most 18 % of the points are known in a window, and 25 %",
        ),
        (
            dict(moved=0.0499),
            {},
            "Nobody moves enough: the most movement in a window is 0.049 body sizes, and 0.05 are",
        ),
        (
            dict(spans=LONG, scale=0.45),
            dict(threshold=0.5),
            "No gesture is probable enough: the highest probability is 0.",
        ),
        (
            dict(spans=SHORT),
            dict(shortest=4.0),
            "Gestures are too short: the longest, 'wave' at 4.00 s, lasts 2.40 s, and",
        ),
        (dict(spans=REST), {}, "All that is probable enough is background: 'rest' (--background)."),
        (dict(spans=REST, scale=0.5), dict(threshold=0.6), "The most probable class is background all the time"),
    ],
)
def test_the_reason_for_no_segment_is_the_first_rule_that_nothing_passes(change, by, said):
    one, given = timeline(spans=change.get("spans", LONG)), rules(**by)
    scores = one.probability * np.float32(change.get("scale", 1))
    moved, seen = (np.full(len(one.windows), change.get(name, 1.0)) for name in ("moved", "seen"))
    one = Timeline(one.windows, FPS, NAMES, scores, None, moved, seen)
    if change.keys() & {"spans"}:
        assert find_segments(one, given) == []
    reason = why_nothing([one], WindowRules(), given)
    assert reason.startswith(said), reason


def test_the_reason_names_figures_that_would_do():
    """What the sentence names as the highest or longest is what a rule of that number finds."""
    one = timeline(spans=[(1, 100, 300), (2, 400, 440)])
    half = Timeline(one.windows, FPS, NAMES, one.probability * np.float32(0.5), None, one.movement, one.seen)
    reason = why_nothing([half], WindowRules(), rules(threshold=0.6))
    highest = float(reason.split("probability is ")[1].split(",")[0])
    assert "'wave'" in reason
    assert find_segments(half, rules(threshold=highest, shortest=0.0))
    assert not find_segments(half, rules(threshold=highest + 0.002, shortest=0.0))
    reason = why_nothing([one], WindowRules(), rules(shortest=15.0))
    longest = float(reason.split("lasts ")[1].split(" s,")[0])
    assert find_segments(one, rules(shortest=longest)) and not find_segments(one, rules(shortest=longest + 0.02))


def test_windows_that_were_not_looked_at_are_counted():
    one = timeline(spans=[(1, 100, 300)])
    moved, seen = np.ones(len(one.windows)), np.ones(len(one.windows))
    moved[:7], seen[5:8] = 0, 0.1
    part = Timeline(one.windows, FPS, NAMES, one.probability * np.float32(0.5), None, moved, seen)
    reason = why_nothing([part], WindowRules(), rules(threshold=0.6))
    assert reason.endswith(f"Of {len(moved)} windows 8 were not looked at: nobody moves in 5, too little is seen in 3.")


def test_memory_does_not_grow_with_the_recording():
    def peak(minutes):
        frames = int(minutes * 60 * FPS)
        windows = plan_windows(frames, FPS, 2.0, 0.5)
        probability = np.zeros((len(windows), len(NAMES)), np.float32)
        probability[100:103, 2] = 0.9
        made = Timeline(windows, FPS, NAMES, probability, None, *np.ones((2, len(windows))))
        tracemalloc.start()
        find_segments(made, RULES)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    # Of the recording only its segments are kept, here one.
    assert peak(24) < 1.02 * peak(8) + 2e4


def recording(frames=500, persons=2, joints=3):
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(1, 100, (persons, frames, joints, 2)).astype(np.float32)
    layout = dict(name="arm", joints=["a", "b", "c"], limbs=[[0, 1], [1, 2]], mirror_pairs=[])
    return Recording("film", keypoint, np.ones((persons, frames, joints), np.float32), layout, (100, 100), FPS)


class Scorer:
    """Scores a window by the frames that it begins and ends with, and remembers what it was given."""

    def __init__(self, cosine=True, batch=4):
        self.given, self.cosine, self.batch = [], cosine, batch

    def __call__(self, entries):
        entries = iter(entries)
        while batch := list(itertools.islice(entries, self.batch)):
            self.given += batch
            score = np.zeros((len(batch), len(NAMES)), np.float32)
            score[:, 1] = [int(one["frame_dir"].split("_")[1]) / 1000 for one in batch]
            score[:, 0] = 1 - score[:, 1]
            ids = np.array([one["frame_dir"] for one in batch])
            yield Scores(ids, score, np.full(len(batch), -1), score if self.cosine else None)


def test_every_window_is_scored_once_as_a_view_of_the_recording():
    film, scorer, told = recording(), Scorer(), []
    found = timelines_of(film, scorer, NAMES, WindowRules(2.0, 1.0), lambda *counts: told.append(counts))
    assert [one.person for one in found] == [0, 1] and len(scorer.given) == 2 * 19
    for number, entry in enumerate(scorer.given):
        person, start = number // 19, 25 * (number % 19)
        assert np.shares_memory(entry["keypoint"], film.keypoint), "a window must not copy the recording"
        assert entry["keypoint"].tobytes() == film.keypoint[person : person + 1, start : start + 50].tobytes()
        assert (entry["total_frames"], entry["img_shape"], entry["label"]) == (50, (100, 100), -1)
    np.testing.assert_allclose(found[1].probability[:, 1], np.arange(19) * 25 / 1000, atol=1e-6)
    np.testing.assert_allclose(found[1].cosine, found[1].probability)
    assert told == [(min(4 * n, 19), 38) for n in range(1, 6)] + [(19 + min(4 * n, 19), 38) for n in range(1, 6)]
    assert timelines_of(film, Scorer(cosine=False), NAMES)[0].cosine is None
    (both,) = timelines_of(film, scorer, NAMES, WindowRules(together=True))
    assert scorer.given[-1]["keypoint"].shape[0] == 2 and both.person == 0
    # A quarter of the window is the stride.
    assert both.windows.start[:3].tolist() == [0, 12, 24]


def test_only_windows_in_which_somebody_is_seen_and_moves_are_scored():
    film, scorer = recording(persons=1), Scorer()
    film.keypoint[:, :200] = film.keypoint[:, :1]
    film.keypoint_score[:, 350:] = 0
    (found,) = timelines_of(film, scorer, NAMES, WindowRules(2.0, 2.0, seen=0.6))
    assert [one["frame_dir"] for one in scorer.given] == ["film_200_250", "film_250_300", "film_300_350"]
    scored = found.probability.any(axis=1)
    assert np.flatnonzero(scored).tolist() == [4, 5, 6]
    assert found.seen.tolist() == [1] * 7 + [0] * 3 and (found.movement[:4] == 0).all()
    for wrong in (dict(still=-1), dict(seen=float("nan"))):
        with pytest.raises(InputError, match=next(iter(wrong))):
            WindowRules(**wrong)


def test_the_window_follows_the_training_clips():
    assert window_seconds(75) == 2.0 and window_seconds(None) == 2.0 and window_seconds(30) == 0.8


def test_the_top_classes_at_a_moment():
    one = timeline(spans=[(1, 100, 200)])
    assert one.top(150 / FPS, 2)[0][0] == "wave" and one.top(1e9, 1)[0][0] == "rest"
    assert len(one.top(0.0)) == 5
    with pytest.raises(InputError, match="probability"):
        Timeline(Windows(np.array([0]), 5, 5), FPS, NAMES, np.zeros((2, 6)), None, np.ones(2), np.ones(2))


def test_a_window_is_never_longer_than_the_recording():
    for fps, window in ((25, 1e300), (1000, 1e308), (1000, 60), (25, 4)):
        windows = plan_windows(60, fps, window, window / 4)
        assert windows.length == 60 and windows.start.tolist() == [0] and windows.stop.tolist() == [60]
    assert plan_windows(60, 25, 2.0, 1e-300).start.tolist() == list(range(11))


@pytest.mark.parametrize("smoothing", [1e3, 1e300])
def test_long_windows_and_smoothing_take_memory_as_the_recording(smoothing):
    """12 kB with fps=1e8 took 6.6 GB: windows of 2 s had 200 million frames."""
    windows = plan_windows(300, 1000.0, 1e6, 1e6)
    one = Timeline(windows, 1000.0, NAMES, np.full((1, len(NAMES)), 0.1, "f4"), None, np.ones(1), np.ones(1))
    tracemalloc.start()
    rows = frame_probability(one, 0, 300, smoothing)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(rows, 0.1, rtol=1e-6)
    assert peak < 1 << 20


def test_smoothing_beyond_the_recording_is_what_it_was():
    """Only weights of frames that are there count, however far the Gaussian reaches."""
    one = timeline(frames=130, window=1.0, stride=0.24, spans=[(1, 20, 60)])
    raw, sigma = frame_probability(one, 0, 130, 0.0), 4.0 * FPS
    kernel = np.exp(-0.5 * ((np.arange(130)[:, None] - np.arange(130)) / sigma) ** 2)
    np.testing.assert_allclose(
        frame_probability(one, 0, 130, 4.0), kernel @ raw / kernel.sum(1, keepdims=True), atol=1e-12
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"end": 1e300}, "0 <= start < end <= 1e+09 in seconds, got 0.5 and 1e+300"),
        ({"end": float("inf")}, "got 0.5 and inf"),
        ({"start": float("nan")}, "got nan"),
        ({"person": 10**6}, "expected a number from 0 to 999999, got 1000000"),
        ({"person": 10**5000}, "got a whole number of 16610 bits"),
        ({"person": -1}, "got -1"),
    ],
)
def test_times_and_persons_of_a_segment_are_sane(changes, said):
    with pytest.raises(InputError, match=re.escape(said)):
        Segment(**{"start": 0.5, "end": 1.0, "name": "a", **changes})
