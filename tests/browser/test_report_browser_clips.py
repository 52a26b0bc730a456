"""The report's clip browser in a real headless Chromium: filters, list, player, keys."""

import dataclasses

import numpy as np
import pytest

from helpers.chromium import Chromium, find_chromium
from helpers.report_page import CLIPS, choose, make_material, open_page, see_everything, shown, text, write_page
from pyskl_semloss.report.clips import disagreement

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def material():
    return make_material()


@pytest.fixture(scope="module")
def path(material, tmp_path_factory):
    return write_page(material, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def browser():
    with Chromium() as running:
        yield running


@pytest.fixture
def page(browser, path):
    return open_page(browser, path)


def test_filters_show_what_python_counts(page, material):
    final, parts = material.fusion.scores, [part.scores.score for part in material.parts]
    ids, label, guess, sure = final.sample_id, final.label, final.score.argmax(1), final.score.max(1)
    rank = (-final.score).argsort(1, kind="stable").argsort(1)[np.arange(CLIPS), label]
    split = disagreement(parts)
    differ = parts[0].argmax(1) != parts[1].argmax(1)
    cases = [
        ({}, np.ones(CLIPS, bool)),
        ({"true": 9}, label == 9),
        ({"guess": 11}, guess == 11),
        ({"outcome": "right"}, guess == label),
        ({"outcome": "wrong"}, guess != label),
        ({"outcome": "near"}, (rank > 0) & (rank < 5)),
        ({"outcome": "far"}, rank >= 5),
        ({"parts": "differ"}, differ),
        ({"parts": "same", "outcome": "wrong"}, ~differ & (guess != label)),
        ({"low": 30.5, "high": 60.5}, (sure >= 0.305) & (sure <= 0.605)),
        ({"split": 50}, split >= 0.5),
        ({"search": "class 1"}, np.array([material.class_names[n].startswith("class 1") for n in label])),
    ]
    for fields, wanted in cases:
        page.js("document.getElementById('filters').reset()")
        choose(page, **(fields or {"search": ""}))
        assert shown(page) == ids[wanted].tolist(), fields
        assert text(page, "#count") == f"{wanted.sum()} of {CLIPS} clips"
        assert 0 < wanted.sum(), "a case that filters everything shows nothing"
    choose(page, search="no such clip")
    assert shown(page) == [] and "No clip" in text(page, "#verdict")
    page.click("#filters [type=reset]")
    page.until(f"app.clips.state.shown.length === {CLIPS}")
    choose(page, order="missed")
    order = np.lexsort((np.arange(CLIPS), np.where(guess != label, -np.rint(sure * 1e4), 1)))
    assert shown(page) == ids[order].tolist()


def test_the_list_holds_only_the_rows_in_view(page):
    assert page.js("document.querySelectorAll('.row').length") < 30
    page.js("document.getElementById('list').scrollTop = 48 * 200")
    page.until("document.querySelector('#row-202')")
    assert page.js("document.querySelector('#row-0')") is None
    page.click("#row-203")
    page.until("app.clips.state.chosen === app.clips.state.shown[203]")
    assert page.js("document.querySelector('#row-203').getAttribute('aria-selected')") == "true"


def test_the_verdict_is_what_the_scores_say(page, material):
    choose(page, outcome="far")
    final = material.fusion.scores
    at = final.sample_id.tolist().index(page.js("app.clips.state.chosen"))
    top = final.score[at].argsort(kind="stable")[::-1][:5]
    expected = [*top, final.label[at]]
    pick = "[...document.querySelectorAll('.guess .label span:{}-child')].map((one) => one.textContent)"
    assert page.js(pick.format("first")) == [material.class_names[n] for n in expected]
    shares = [float(one.removesuffix(" %")) for one in page.js(pick.format("last"))]
    np.testing.assert_allclose(shares, 100 * final.score[at, expected], atol=0.06)
    said = page.js("[...document.querySelectorAll('.verdict dd')].map((one) => one.textContent)")
    assert said[0] == material.class_names[material.parts[0].scores.score[at].argmax()]


def test_the_player_plays_and_shows_the_points_of_the_clip(page, material):
    picture = "document.getElementById('canvas').toDataURL()"
    page.js("document.getElementById('browser').scrollIntoView()")
    first = page.js(picture)
    page.click("#play")
    page.until("app.player.state.frame > 2")
    assert text(page, "#play") == "Pause" and page.js(picture) != first
    page.click("#play")
    stopped = page.js("app.player.state.frame")
    page.click("#forth")
    assert page.js("app.player.state.frame") == stopped + 1
    page.js("(s => { s.value = 5; s.dispatchEvent(new Event('input')); })(document.getElementById('scrub'))")
    assert page.js("app.player.state") == {**page.js("app.player.state"), "frame": 5, "playing": False}
    clip = material.clips[page.js("app.clips.state.chosen")]
    step = -(-clip.total_frames // 45)
    for joint in range(22):
        if clip.keypoint_score[0, 5 * step, joint] > 0:
            found = page.js(f"app.player.point(0, {joint})")
            np.testing.assert_allclose(found, clip.keypoint[0, 5 * step, joint], atol=2.5)


def test_a_clip_without_keypoints_says_so(browser, material, tmp_path):
    bare = dataclasses.replace(material, clips={}, vectors=None, fusion=None, baseline=None, parts=material.parts[:1])
    open_page(browser, write_page(bare, tmp_path))
    see_everything(browser)
    assert "--ann-file" in text(browser, "#no-picture")
    assert browser.js("document.getElementById('names').hidden && document.getElementById('transport').hidden")
    assert "Names" not in text(browser, "#nav")
    assert browser.complaints() == []


def test_keys(page):
    page.js("document.documentElement.style.scrollBehavior = 'auto'")
    page.key("/")
    assert page.js("document.activeElement.id") == "f-search"
    for letter in "class 9":
        page.key(letter)
    assert text(page, "#f-true") and len(shown(page)) == 10
    assert page.js("document.getElementById('f-search').value") == "class 9", "keys in a field are text"
    page.key("Escape")
    assert page.js("document.activeElement.id") == "list"
    ids = shown(page)
    page.key("ArrowDown")
    page.key("ArrowDown")
    assert page.js("app.clips.state.chosen") == ids[2]
    page.key("ArrowUp")
    assert page.js("app.clips.state.chosen") == ids[1]
    page.key("ArrowRight")
    assert page.js("app.player.state.frame") == 1
    page.key("ArrowLeft")
    page.key("ArrowLeft")
    assert page.js("app.player.state.frame") == page.js("app.player.state.frames") - 1
    page.key(" ")
    assert page.js("app.player.state.playing")
    page.key(" ")
    assert not page.js("app.player.state.playing")
    page.key("]")
    assert page.js("document.getElementById('speed').value") == "2"
    # Far from the clips the arrows and the space bar scroll the page, as everywhere.
    page.js("document.activeElement.blur(); scrollTo(0, 0)")
    page.key(" ")
    page.key("ArrowDown")
    assert not page.js("app.player.state.playing") and page.js("app.clips.state.chosen") == ids[1]


def test_every_control_can_be_reached_with_the_tab_key(page):
    page.js("document.getElementById('f-search').focus()")
    seen = []
    for _ in range(20):
        page.key("Tab")
        seen.append(page.js("document.activeElement.id"))
    assert {"f-true", "f-guess", "f-outcome", "f-order", "list", "play", "back", "forth", "scrub", "speed"} <= set(seen)
