"""The page of the app in a real headless Chromium, with real models, uploads and downloads."""

import dataclasses
import json
import os
import shutil
import signal
from urllib.parse import unquote

import numpy as np
import pytest

from helpers.app_page import (
    bars,
    cards,
    colour,
    drawn_box,
    faint_texts,
    nameless_controls,
    opened,
    other_tab,
    texts,
    undated,
    upload,
    visit,
)
from helpers.app_server import NAMES, SEGMENTS, App, lives, needs_the_app, tool, wait, write_models
from helpers.chromium import Chromium, find_chromium
from helpers.portrait import write_portrait_video
from pyskl_semloss.recordings.recording import Recording
from pyskl_semloss.segments.find import SegmentRules
from pyskl_semloss.segments.windows import frame_probability
from pyskl_semloss.synthetic.recording import generate_recording

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="needs Chromium: apt-get install chromium")
RULES = SegmentRules(threshold=0.1, shortest=0.2)
HOSTILE = "<img src=x onerror=window.hacked=2>.npz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    needs_the_app()
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def models(folder):
    return write_models(folder)


@pytest.fixture(scope="module")
def recording(folder):
    made = generate_recording(3, seed=2, rest=(0.5, 1.0))[0]
    made.save(folder / "talk.npz")
    return made


@pytest.fixture(scope="module")
def app(models, folder):
    with App(folder / "run", *models, *SEGMENTS, "--max-megabytes", "2", "--max-minutes", "0.5") as running:
        yield running
    # Tabs were open, and files in them.
    assert list(running.temporary.iterdir()) == [] and list((folder / "run" / "here").iterdir()) == []


@pytest.fixture(scope="module")
def browser():
    with Chromium() as running:
        yield running


@pytest.fixture
def page(browser, app):
    browser.window(1280)
    browser.media(dark=False)
    visit(browser, app)
    yield browser
    assert browser.js("window.hacked === undefined")
    # That advice is on our way of looking at the canvas.
    assert [one for one in browser.complaints() if "willReadFrequently" not in one] == []
    assert [url for url in browser.requests() if not url.startswith(app.url)] == []


@pytest.fixture(scope="module")
def predictor(models):
    from pyskl_semloss.hosts.mmaction2.prediction.predictor import Predictor

    return Predictor(joint=tuple(models[1:3]), limb=tuple(models[4:6]), device="cpu")


def test_the_page_shows_what_the_predictor_finds(page, folder, recording, predictor):
    opened(page, folder / "talk.npz")
    found = predictor.segments(recording, RULES, window=1.0, stride=0.25).segments
    found = sorted(found, key=lambda one: (one.start, one.end))
    assert len(found) > 2, "or nothing was compared"
    assert page.js("document.querySelectorAll('.js-plotly-plot .barlayer .point').length") == len(found)
    np.testing.assert_allclose(bars(page, "base"), [one.start for one in found])
    np.testing.assert_allclose(np.add(bars(page, "base"), bars(page, "x")), [one.end for one in found])
    rows = [texts(page, f".semloss-table tbody tr:nth-child({row + 1}) td") for row in range(min(len(found), 12))]
    assert rows == [
        [f"{one.start:.2f}", f"{one.end:.2f}", one.name, f"{100 * one.confidence:.0f} %"] for one in found[:12]
    ]
    assert all(one.name in NAMES for one in found)
    timeline = predictor.timelines(recording, predictor.window_rules(window=1.0, stride=0.25))[0]
    for moment in (0.1, 2.3, 5.5):
        page.js(f"semlossViewer.seek({moment})")
        frame = int((int(moment / 0.2) + 0.5) * 0.2 * recording.fps)
        probability = frame_probability(timeline, frame, frame + 1, RULES.smoothing)[0]
        bytes_sent = np.rint(255 * probability)
        best = np.argsort(-bytes_sent, kind="stable")[:5]
        assert texts(page, "[data-part=best] li span") == [NAMES[one] for one in best]
        shares = [round(100 * bytes_sent[one] / 255) for one in best]
        assert [int(one.split()[0]) for one in texts(page, "[data-part=best] li b")] == shares


def test_the_skeleton_is_drawn_where_the_keypoints_are(page, folder, recording):
    opened(page, folder / "talk.npz")
    left, right = recording.layout.left_kp, recording.layout.right_kp
    for frame in (0, 60, 130):
        page.js(f"semlossViewer.seek({(frame + 0.5) / recording.fps})")
        for joints, blue in ((left, True), (right, False)):
            # Fingers lie upon each other.
            for joint in [one for one in joints if one < 8 and recording.keypoint_score[0, frame, one] > 0]:
                red, _, other, alpha = colour(page, *np.rint(recording.keypoint[0, frame, joint]).astype(int))
                assert alpha == 255 and (other > red) == blue
        known = recording.keypoint[0, frame][recording.keypoint_score[0, frame] > 0]
        radius = 3.5 * recording.image_shape[1] / page.js("semlossViewer.canvas.clientWidth")
        box = np.concatenate([known.min(0) - radius, known.max(0) + radius])
        np.testing.assert_allclose(drawn_box(page), box, atol=2.5)
    drawn = "semlossViewer.canvas.getContext('2d').getImageData(0, 0, 1920, 1080).data.some((one) => one)"
    page.click("[data-part=skeleton]")
    assert not page.js(drawn)
    page.click("[data-part=skeleton]")
    assert page.js(drawn)


def test_a_segment_leads_to_its_start_by_mouse_and_keyboard(page, folder, recording):
    opened(page, folder / "talk.npz")
    starts = bars(page, "base")
    page.click(f".js-plotly-plot .barlayer .point:nth-child({len(starts)}) path")
    page.until(f"semlossViewer.now === {starts[-1]}")
    page.click(".semloss-table tbody tr:nth-child(2) td:nth-child(3)")
    page.until(f"semlossViewer.now === {starts[1]}")
    page.js("document.querySelector('.semloss-table tbody tr:nth-child(3) button').focus()")
    page.key("Enter")
    page.until(f"semlossViewer.now === {starts[2]}")
    line = page.js("(box => box.getBoundingClientRect().x)(document.querySelector('.semloss-now'))")
    bar = page.js("document.querySelectorAll('.barlayer .point path')[2].getBoundingClientRect().x")
    assert abs(line - bar) <= 2
    page.js("document.querySelector('.semloss-viewer').focus()")
    page.key("ArrowRight")
    assert page.js("semlossViewer.now") == pytest.approx(starts[2] + 1 / recording.fps)
    page.key("ArrowLeft", modifiers=8)
    assert page.js("semlossViewer.now") == pytest.approx(max(0, starts[2] + 1 / recording.fps - 1))
    page.key(" ")
    page.until("semlossViewer.playing && document.querySelector('[data-part=play]').textContent === 'Pause'")
    page.js("document.querySelector('[data-part=play]').focus()")
    page.key(" ")
    page.until("!semlossViewer.playing")


def test_every_download_is_what_the_tool_writes(page, folder, recording, models, tmp_path):
    opened(page, folder / "talk.npz")
    tool("tools/predict.py", folder / "talk.npz", *models, *SEGMENTS, "--format", "csv", "json", "vtt", "eaf",
         "--out", tmp_path / "tool")  # fmt: skip
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "page"))
    assert texts(page, ".semloss-downloads .q-btn__content span") == ["CSV", "JSON", "VTT", "EAF"]
    for place in range(1, 5):
        page.click(f".semloss-downloads > :nth-child({place})")
        wait(lambda count=place: len(list((tmp_path / "page").glob("talk.*"))) == count, 20)
    wait(lambda: not list((tmp_path / "page").glob("*.crdownload")), 20)
    for ending in ("csv", "json", "vtt", "eaf"):
        ours, theirs = ((tmp_path / who / f"talk.{ending}").read_bytes() for who in ("page", "tool"))
        assert undated(ours) == undated(theirs) and len(ours) > 200


def test_a_file_that_cannot_be_used_leaves_the_next(page, app, folder, recording, tmp_path):
    still = Recording("long", recording.keypoint[:, :1].repeat(800, 1), recording.keypoint_score[:, :1].repeat(800, 1),
                      recording.layout, recording.image_shape, recording.fps)  # fmt: skip
    still.save(tmp_path / "long.npz")
    (tmp_path / HOSTILE).write_bytes(b"no archive")
    (tmp_path / "large.npz").write_bytes(bytes(2_400_000))
    (tmp_path / "notes.txt").write_text("no video")
    (tmp_path / "film.mp4").write_bytes(b"no video")
    shutil.copy(folder / "talk.npz", tmp_path / "good.npz")
    said = {
        HOSTILE: "expected an npz archive of plain arrays, but it cannot be read",
        "long.npz": "it lasts 0.5 minutes, more than the 0.5 that are taken. Cut it",
        "large.npz": "it has 2.4 MB, more than the 2 that are taken. Cut it",
        "notes.txt": "notes.txt: expected a video or an .npz, this is text/plain. python tools/prepare_data.py keypoin",
        "film.mp4": "film.mp4: it cannot be opened as a video: its content is no MP4",
        "good.npz": "",
    }
    for count, name in enumerate(said, 1):
        upload(page, tmp_path / name)
        found = cards(page, count)[-1]
        assert found[0] == name
        assert found[1].startswith("failed") == bool(said[name]) and said[name] in found[2]
    # The same file once more: the browser must not take it for one that it has sent.
    upload(page, tmp_path / "good.npz")
    assert "segment" in cards(page, 7)[-1][1]
    assert str(app.temporary) not in page.js("document.body.innerText")
    address = next(url for url in page.requests() if "/upload/" in url).removeprefix(app.url[:-1])
    body = bytes(2_600_000)
    in_pieces = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    for content in (body, in_pieces):
        try:
            assert app.ask("POST", address, content, X_Name="x.npz")[0] == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # It was refused before all of it was sent.
    assert len(cards(page, 7)) == 7


STRANGE = [
    "访" * 80,
    "preview",
    "keypoints",
    "result",
    "a'b\"c",
    "50%25 a#b?c&d=e+f",
    ".hidden",
    "talk ",
    "CON",
    "👩 𝄞",
]
STRANGE += ["Mu\u0308ller", "M\u00fcller", "a\\'); alert(1)", "{{ 7 * 7 }}", "-rf ~", "a:b|c*d"]


def test_a_name_is_kept_as_it_was_uploaded(page, app, folder, recording, tmp_path):
    bare = dataclasses.replace(recording, video="")
    for place, name in enumerate(STRANGE):
        # The file names no recording, so that it is named after the file.
        bare.save(tmp_path / f"{place}.npz")
        with np.load(tmp_path / f"{place}.npz") as members:
            np.savez(tmp_path / f"{place}.npz", **{**members, "name": ""})
        (tmp_path / f"{place}.npz").rename(tmp_path / f"{name}.npz")
        upload(page, tmp_path / f"{name}.npz")
        # A browser may take a backslash for a folder, as Windows does.
        shown = f"{name}.npz".rpartition("\\")[2]
        found = cards(page, place + 1)[-1]
        assert found[0] == shown and "segment" in found[1], found
        session = next(url for url in page.requests() if "/upload/" in url).rpartition("/")[2]
        answer = page.js(f"fetch('/files/{session}/{place}/result.json?download=true').then((one) => Promise.all("
                         "[one.headers.get('content-disposition'), one.json()]))")  # fmt: skip
        said = dict(part.split("=", 1) for part in answer[0].split("; ")[1:])
        stem = shown.removesuffix(".npz")
        given = unquote(said["filename*"].removeprefix("utf-8''")) if "filename*" in said else said["filename"][1:-1]
        assert (given, answer[1]["recording"]) == (f"{stem}.json", stem)
    page.click(".semloss-card:nth-child(5) button")
    page.until("document.querySelector('.semloss-downloads a')?.download === `a'b\"c.csv`")


def test_a_tab_has_its_own_files_and_takes_them_with_it(page, app, folder, recording, tmp_path):
    opened(page, folder / "talk.npz")
    before = app.sessions()
    address = page.js("document.querySelector('.semloss-downloads a').href")
    with other_tab(page, app) as other:
        assert texts(other, ".semloss-card") == []
        (name,) = set(app.sessions()) - set(before)
        shutil.copy(folder / "talk.npz", tmp_path / "second.npz")
        upload(other, folder / "talk.npz", tmp_path / "second.npz")
        assert [state.startswith("failed") for _, state, _ in cards(other, 2)] == [False, False]
        mine = f"/files/{name}/1/result.csv"
        assert address not in other.js("document.documentElement.outerHTML")
        assert app.ask("GET", mine)[0] == 200
    wait(lambda: name not in app.sessions(), 10)
    assert app.ask("GET", mine)[0] == 404
    assert page.js(f"fetch({json.dumps(address)}).then((answer) => answer.status)") == 200


def test_work_ends_with_its_tab(page, app, folder, recording):
    worker = wait(app.worker)
    with other_tab(page, app) as other:
        # It does not get further than it is.
        os.kill(worker, signal.SIGSTOP)
        upload(other, folder / "talk.npz")
        other.until("document.querySelector('.semloss-card')")
    wait(lambda: not lives(worker), 20)
    opened(page, folder / "talk.npz")
    assert app.worker() != worker


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_wide_and_narrow(page, folder, recording, dark):
    page.media(dark=dark)
    opened(page, folder / "talk.npz")
    page.until(f"document.body.classList.contains('body--dark') === {json.dumps(dark)}")
    for width in (1280, 400):
        page.window(width)
        page.until(f"document.querySelector('.main-svg').getBoundingClientRect().width <= {width}")
        assert page.js("document.documentElement.scrollWidth") <= width
    assert faint_texts(page) == []
    assert nameless_controls(page) == []


def test_a_video_is_played_under_its_skeleton(page, app, tmp_path):
    pytest.importorskip("mediapipe", reason="needs MediaPipe")
    opened(page, write_portrait_video(tmp_path / "portrait.mp4"))
    page.until("semlossViewer.video.readyState > 2 && !semlossViewer.alone", 60)
    page.js("semlossViewer.seek(semlossViewer.about.seconds / 2)")
    page.until("!semlossViewer.video.seeking")
    assert page.js("semlossViewer.video.duration / semlossViewer.about.seconds") == pytest.approx(1, abs=0.05)
    assert texts(page, ".semloss-downloads .q-btn__content span") == ["CSV", "JSON", "VTT", "EAF", "NPZ"]
