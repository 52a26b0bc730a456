"""The report in a real headless Chromium: what is on the page, that it is safe, and how it looks."""

import subprocess

import numpy as np
import pytest

from helpers.chromium import Chromium, find_chromium
from helpers.report_page import (
    CLASSES,
    CLIPS,
    NAMES,
    TITLE,
    choose,
    make_material,
    open_page,
    see_everything,
    shown,
    text,
    write_page,
)

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


def test_it_opens_offline_without_a_complaint_and_draws_every_chart(page, path):
    see_everything(page)
    charts = "[...document.querySelectorAll('.chart')].filter((box) => !box.closest('[hidden]'))"
    page.until(f"{charts}.every((box) => box.querySelector('.main-svg'))")
    assert page.js(f"{charts}.length") == 8
    assert page.complaints() == []
    assert page.requests() == [path.resolve().as_uri()]
    assert f"{CLIPS} clips of {CLASSES} classes" in text(page, "#lead")


def test_the_page_may_not_load_or_run_anything_else(page):
    blocked = page.js("""(async () => {
        const blocked = [];
        document.addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 4';
        document.body.append(script);
        const image = new Image();
        image.src = 'https://example.org/x.png';
        await fetch('https://example.org/').catch(() => 0);
        await new Promise((done) => setTimeout(done, 100));
        return blocked;
    })()""")
    assert {"script-src-elem", "img-src", "connect-src"} <= set(blocked)
    assert page.js("window.hacked === undefined")


def test_hostile_names_and_ids_are_text(page, material):
    see_everything(page)
    page.until("document.querySelector('#matrix .ytick') && document.querySelector('[data-figure=map] .main-svg')")
    assert page.js("document.querySelectorAll('main img, main script, main a, main b > svg, main i > svg').length") == 0
    assert page.js("document.querySelectorAll('script').length") == 5
    assert text(page, "#title") == page.js("document.title") == TITLE
    assert text(page, "#notes li") == "<b>a note</b>"
    rows = page.js(
        "[...document.querySelectorAll('#class-table tbody td:first-child')].map((cell) => cell.textContent)"
    )
    assert rows == list(material.class_names)
    ticks = page.js("[...document.querySelectorAll('#matrix .ytick text')].map((label) => label.textContent)")
    assert ticks == [name if len(name) <= 34 else name[:33].rstrip() + "…" for name in material.class_names]
    assert page.js("[...document.getElementById('f-true').options].map((one) => one.text)")[2] == NAMES[1]
    assert text(page, "#verdict .id") == "<img src=y onerror=window.hacked=2>"
    assert "<i>base</i>" in text(page, "#headline")
    choose(page, search="</script>")
    found = [one.frame_dir for one in material.clips.values() if one.label == 1 or "</script>" in one.frame_dir]
    assert shown(page) == found
    page.js("document.querySelector('#matrix').scrollIntoView()")
    assert page.js("window.hacked === undefined")
    assert page.complaints() == []


def test_hovering_a_cell_shows_names_as_text(page):
    page.js(
        "document.documentElement.style.scrollBehavior = 'auto'; document.querySelector('#matrix').scrollIntoView()"
    )
    page.until("document.querySelector('#matrix .nsewdrag')")
    x, y = page.js("""(() => { const box = document.querySelector('#matrix .nsewdrag').getBoundingClientRect();
        return [box.x + box.width * 1.5 / 32, box.y + box.height * 0.5 / 32]; })()""")
    page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.until("document.querySelector('.hoverlayer text')")
    said = page.js("[...document.querySelectorAll('.hoverlayer text')].map((one) => one.textContent).join(' ')")
    assert NAMES[0] in said and NAMES[1] in said
    assert page.js("window.hacked === undefined") and page.complaints() == []


def ticks(page):
    return page.js("[...document.querySelectorAll('#matrix .ytick text')].map((label) => label.textContent)")


def test_the_matrix_is_sorted_zoomed_and_leads_to_clips(page, material):
    page.js(
        "document.documentElement.style.scrollBehavior = 'auto'; document.querySelector('#confusion').scrollIntoView()"
    )
    page.until("document.querySelector('#matrix .ytick')")
    final = material.fusion.scores
    hits, size = (
        np.bincount(final.label[final.score.argmax(1) == final.label], minlength=CLASSES),
        np.bincount(final.label),
    )
    before = ticks(page)
    for order, key in (("recall", -hits / size), ("size", -size), ("index", np.zeros(CLASSES))):
        page.js(f"""(() => {{ const select = document.getElementById('matrix-order'); select.value = '{order}';
            select.dispatchEvent(new Event('change')); }})()""")
        expected = np.lexsort((np.arange(CLASSES), np.round(key, 4))).tolist()
        assert page.js("app.matrix.order") == expected
        z = page.js("document.getElementById('matrix').data[0].z")
        share = 100 * hits[expected] / size[expected]
        np.testing.assert_allclose([z[n][n] for n in range(CLASSES)], share, atol=1e-6)
        assert (ticks(page) == before) == (order == "index" or expected == list(range(CLASSES)))
    page.click("#zoom-in")
    page.until("document.querySelector('#matrix').layout.xaxis.range[0] > 3")
    page.click("#zoom-all")
    page.until("document.querySelector('#matrix').layout.xaxis.range[0] === -0.5")
    x, y = page.js("""(() => { const box = document.querySelector('#matrix .nsewdrag').getBoundingClientRect();
        return [box.x + box.width * 10.5 / 32, box.y + box.height * 10.5 / 32]; })()""")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    wanted = final.sample_id[(final.label == 10) & (final.score.argmax(1) == 10)].tolist()
    page.until(f"app.clips.state.shown.length === {len(wanted)}")
    assert shown(page) == wanted


def test_the_table_of_classes_is_sorted(page, material):
    final = material.fusion.scores
    right = final.score.argmax(1) == final.label
    recall = [round(100 * right[final.label == n].mean(), 2) for n in range(CLASSES)]
    buttons = page.js("[...document.querySelectorAll('#class-table th')].map((cell) => cell.textContent)")
    place = buttons.index("Recall, %") + 1
    first = f"#class-table tbody td:nth-child({place})"
    for way in (max, min):
        page.click(f"#class-table th:nth-child({place}) button")
        assert float(text(page, first)) == pytest.approx(way(recall), abs=0.06)


def luminance(page, script):
    numbers = page.js(f"{script}.match(/[\\d.]+/g).slice(0, 3).map(Number)")
    return sum(numbers) / 3


def test_dark_mode_follows_the_system_and_the_button(page):
    page.js(
        "document.documentElement.style.scrollBehavior = 'auto'; document.querySelector('#training').scrollIntoView()"
    )
    page.until("document.querySelector('[data-figure=loss] .xtick text')")
    ground = "getComputedStyle(document.body).backgroundColor"
    letters = "getComputedStyle(document.querySelector('[data-figure=loss] .xtick text')).fill"
    page.js("document.getElementById('browser').scrollIntoView()")
    skeleton = "document.getElementById('canvas').toDataURL()"
    light = (luminance(page, ground), luminance(page, letters), page.js(skeleton))
    page.media(dark=True)
    page.until("document.documentElement.dataset.shade === 'dark'")
    dark = (luminance(page, ground), luminance(page, letters), page.js(skeleton))
    assert light[0] > 240 and dark[0] < 40 and light[1] < 128 < dark[1] and light[2] != dark[2]
    page.click("#theme")
    assert text(page, "#theme") == "Theme: light" and luminance(page, ground) > 240
    page.key("t")
    assert text(page, "#theme") == "Theme: dark" and luminance(page, ground) < 40
    page.key("t")
    assert text(page, "#theme") == "Theme: auto" and page.complaints() == []


@pytest.mark.parametrize("width", [400, 320, 760, 1000])
def test_a_narrow_window_has_no_sideways_scroll(page, width):
    page.window(width, 800)
    page.js("dispatchEvent(new Event('resize'))")
    see_everything(page)
    page.until(f"document.querySelector('[data-figure=weights] .main-svg').getBoundingClientRect().width <= {width}")
    assert page.js("document.documentElement.scrollWidth") <= width
    out = page.js(f"""[...document.querySelectorAll('main *')].filter((one) => !one.closest('.scroll, #nav, svg')
        && one.getBoundingClientRect().right > {width} + 1)
        .map((one) => `${{one.tagName}} ${{one.id}} ${{one.className}}`)""")
    assert out == []


def test_print_is_light_without_controls_and_with_every_chart(page, tmp_path):
    page.media(dark=True)
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.media("print", dark=True)
    gone = ["header", "#filters", "#list", "#transport", "#keys"]
    assert [page.js(f"getComputedStyle(document.querySelector('{one}')).display") for one in gone] == ["none"] * len(
        gone
    )
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.until("[...document.querySelectorAll('.chart')].every((box) => box.querySelector('.main-svg'))")
    assert page.js("document.documentElement.dataset.shade") == "light"
    assert (
        page.js(
            "Math.max(...[...document.querySelectorAll('.main-svg')].map((one) => one.getBoundingClientRect().width))"
        )
        <= 690
    )
    page.js("dispatchEvent(new Event('afterprint'))")
    assert page.js("document.documentElement.dataset.shade") == "dark"
    assert page.complaints() == []


def test_the_pdf_has_the_title_as_text(page, tmp_path):
    page.pdf(tmp_path / "page.pdf")
    try:
        done = subprocess.run(["pdftotext", tmp_path / "page.pdf", "-"], capture_output=True, text=True, timeout=600)
    except FileNotFoundError:
        pytest.skip("needs pdftotext")
    assert "</title><script>" in done.stdout and "Calibration" in done.stdout
