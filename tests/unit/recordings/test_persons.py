"""Following and choosing persons, and filling gaps: against oracles, made scenes and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings import persons
from pyskl_semloss.recordings.assembly import DOUBT, fill_gaps
from pyskl_semloss.recordings.persons import (
    Person,
    arrange,
    choose,
    describe,
    largest_of_each_frame,
    ranked,
    track,
)
from pyskl_semloss.skeletons import get_layout

POSE = np.array(get_layout("coco17").rest_pose)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_persons_are_matched_so_that_they_move_least_in_total(count, seed):
    places = np.random.default_rng(seed).uniform(0, 150, (2, count, 2))
    points = 100 * POSE + places.reshape(-1, 1, 2)
    numbers = track(np.repeat([0, 1], count), points, np.ones(points.shape[:2]))[count:]
    diagonal = 100 * np.hypot(*(POSE.max(0) - POSE.min(0)))
    moved = np.hypot(*(places[1][:, None] - places[0]).T).T / diagonal
    cost = np.c_[np.where(moved < persons.FARTHEST, moved, np.inf), np.full((count, count), persons.FARTHEST)]
    least = min(sum(cost[row, column] for row, column in enumerate(columns))
                for columns in itertools.permutations(range(2 * count), count))  # fmt: skip
    assert len(set(numbers.tolist())) == count
    assert sum(cost[row, number] for row, number in enumerate(numbers)) == pytest.approx(least)


def scene(paths, size=300.0, seed=0):
    """Frames of walking persons: ``paths`` is (P, T, 2) places of their middle, NaN where one is gone.

    Returns frame (N,), points (N, V, 2), scores (N, V) and who each is (N,); the order in a frame is random.
    """
    rng = np.random.default_rng(seed)
    frame, points, who = [], [], []
    for t in range(paths.shape[1]):
        for person in rng.permutation(len(paths)):
            if np.isfinite(paths[person, t]).all():
                frame.append(t)
                points.append(POSE * size + paths[person, t] + rng.normal(0, 1, (17, 2)))
                who.append(person)
    points = np.array(points)
    return np.array(frame), points, np.where(rng.random(points.shape[:2]) < 0.1, 0, 0.8), np.array(who)


def same_people(numbers, who):
    return len({(a, b) for a, b in zip(numbers.tolist(), who.tolist(), strict=True)}) == len(set(who.tolist()))


def test_crossing_persons_keep_their_numbers():
    """Two persons of one build walk through each other at 8 px a frame; only where they go tells them apart."""
    t = np.arange(100)
    left = np.stack([100 + 8 * t, np.full(100, 200)], -1)
    right = np.stack([888 - 8 * t, np.full(100, 200)], -1)
    frame, points, scores, who = scene(np.stack([left, right]).astype(float))
    assert same_people(track(frame, points, scores), who)


def test_a_pause_is_bridged_and_a_long_one_is_not():
    path = np.full((2, 90, 2), 200.0)
    path[1] = (900, 200)
    path[0, 30:41] = np.nan
    frame, points, scores, who = scene(path)
    assert same_people(track(frame, points, scores, pause=11), who)
    assert len(np.unique(track(frame, points, scores, pause=10))) == 3


def test_a_person_elsewhere_is_another_one():
    path = np.full((1, 40, 2), 200.0)
    path[0, 20:] = (900, 300)  # a cut in the film
    frame, points, scores, _ = scene(path)
    assert track(frame, points, scores).tolist() == [0] * 20 + [1] * 20


def test_nobody():
    nothing = np.zeros((0, 17))
    assert track(np.zeros(0, int), np.zeros((0, 17, 2)), nothing).tolist() == []


def test_ranked_and_described():
    frame = np.array([0, 0, 1, 1, 2, 3])
    numbers = np.array([7, 3, 7, 9, 3, 3])
    assert ranked(frame, numbers).tolist() == [1, 0, 1, 2, 0, 0]
    points = np.zeros((6, 2, 2))
    points[:, 1] = [(3, 4)] * 6
    points += np.arange(6)[:, None, None] * 10 + 10
    people = describe(frame, points, np.ones((6, 2)), ranked(frame, numbers))
    assert people[0] == Person(0, 3, 0, 3, 5.0, (10 + 40 + 1.5, 10 + 40 + 2))
    assert [(each.frames, each.first, each.last) for each in people] == [(3, 0, 3), (2, 0, 1), (1, 1, 1)]


PEOPLE = [
    Person(0, 100, 0, 99, 200.0, (300, 500)),
    Person(1, 90, 0, 99, 600.0, (1500, 500)),
    Person(2, 60, 0, 99, 300.0, (950, 500)),
    Person(3, 20, 0, 19, 900.0, (960, 540)),
]


@pytest.mark.parametrize(
    ("how", "chosen"),
    [("largest", [1]), ("longest", [0]), ("central", [2]), ("all", [0, 1, 2]), ("3", [3]), ("0", [0])],
)
def test_choices(how, chosen):
    """Whoever is seen less than half as long as the longest is neither the largest nor the most central."""
    assert choose(PEOPLE, how, (1080, 1920), most=3) == chosen


@pytest.mark.parametrize("how", ["4", "99999999", "tallest", "-1", "", "²"])
def test_no_such_choice(how):
    with pytest.raises(InputError, match="field 'person'"):
        choose(PEOPLE, how, (1080, 1920))


def test_largest_of_each_frame_and_arranging():
    frame = np.array([0, 0, 2, 2])
    points = np.zeros((4, 2, 2), np.float32)
    points[:, 1] = [[1, 0], [5, 0], [7, 0], [2, 0]]
    scores = np.ones((4, 2), np.float32)
    place = largest_of_each_frame(frame, points, scores)
    assert place.tolist() == [-1, 0, 0, -1]
    made, known = arrange(frame, points, scores, place, 1, 4)
    assert made[0, :, 1, 0].tolist() == [5, 0, 7, 0] and known[0, :, 0].tolist() == [1, 0, 1, 0]
    with pytest.raises(InputError, match="more than 150000000 points"):
        arrange(frame, points, scores, place, 200, 500_000)


def test_a_gap_by_hand():
    points, scores = np.zeros((1, 6, 1, 2), np.float32), np.zeros((1, 6, 1), np.float32)
    points[0, 1, 0], points[0, 4, 0] = (10, 100), (40, 70)
    scores[0, 1, 0], scores[0, 4, 0] = 0.8, 0.6
    filled, known, count = fill_gaps(points, scores, 2)
    assert count == 2 and DOUBT == 0.5
    np.testing.assert_allclose(filled[0, :, 0], [(0, 0), (10, 100), (20, 90), (30, 80), (40, 70), (0, 0)], rtol=1e-6)
    np.testing.assert_allclose(known[0, :, 0], [0, 0.8, 0.3, 0.3, 0.6, 0], rtol=1e-6)
    assert fill_gaps(points, scores, 1)[2] == fill_gaps(points, scores, 0)[2] == 0
    with pytest.raises(InputError, match="field 'fill-gaps'"):
        fill_gaps(points, scores, -1)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_laws_of_filling(frames, longest, seed):
    rng = np.random.default_rng(seed)
    known = rng.random((2, frames, 3)) < 0.5
    points = np.where(known[..., None], rng.uniform(1, 9, (2, frames, 3, 2)), 0)
    scores = np.where(known, rng.uniform(0.1, 1, known.shape), 0)
    filled, score, count = fill_gaps(points, scores, longest)
    # What was known stays, and nothing is invented outside the known points.
    np.testing.assert_array_equal(filled[known], points[known])
    np.testing.assert_array_equal(score[known], scores[known])
    assert count == ((score > 0) & ~known).sum()
    for m, v in itertools.product(range(2), range(3)):
        at = np.flatnonzero(known[m, :, v])
        expected = scores[m, :, v].copy()
        for a, b in zip(at[:-1], at[1:], strict=True):
            if 1 < b - a <= longest + 1:
                expected[a + 1 : b] = 0.5 * min(expected[a], expected[b])
                inside = np.arange(a, b + 1)
                for axis in range(2):
                    line = np.interp(inside, [a, b], points[m, [a, b], v, axis])
                    np.testing.assert_allclose(filled[m, inside, v, axis], line)
        np.testing.assert_allclose(score[m, :, v], expected)
    again = fill_gaps(filled, score, longest)
    assert again[2] == 0
    # Time reversed, it is the same.
    back = fill_gaps(points[:, ::-1], scores[:, ::-1], longest)
    np.testing.assert_allclose(back[0][:, ::-1], filled, atol=1e-12)


def test_of_very_many_persons_those_seen_last_are_looked_for(monkeypatch):
    """Thousands of them would be compared with every person of the next frame."""
    assert persons.MOST_TRACKS == 1000
    # Four at a time, each elsewhere, and in the last frame those of the two frames before.
    place = np.r_[np.arange(40), np.arange(32, 40)]
    frame = np.r_[np.repeat(np.arange(10), 4), np.full(8, 10)]
    points = np.array([[0, 0], [3, 4], [0, 5]], float) + 1000.0 * place[:, None, None]
    score = np.ones(points.shape[:2])
    monkeypatch.setattr(persons, "MOST_TRACKS", 8)
    assert track(frame, points, score)[40:].tolist() == [*range(32, 40)]
    monkeypatch.setattr(persons, "MOST_TRACKS", 4)
    assert track(frame, points, score)[40:].tolist() == [40, 41, 42, 43, *range(36, 40)]
