"""The page that the browser tests open, and what they do to it."""

import dataclasses
import json

import numpy as np
import pytest

from pyskl_semloss.evaluation.fusion import fuse
from pyskl_semloss.evaluation.scores import Scores
from pyskl_semloss.report.collect import History, Material, Model
from pyskl_semloss.report.page import write_report
from pyskl_semloss.synthetic.clips import generate

CLIPS, CLASSES = 320, 32
NAMES = [
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    "javascript:window.hacked=1",
    '"><svg onload=window.hacked=1>',
    "<a href='javascript:window.hacked=1'>link</a>",
    "{{data}} $& %{x} &lt;b&gt; <b>bold</b>",
    "<!-- <script>",
    "x" * 400,
]
TITLE = "</title><script>window.hacked=3</script>"


def _scores(ids, label, seed):
    rng = np.random.default_rng(seed)
    logit = 1.5 * rng.normal(size=(len(label), CLASSES))
    logit[np.arange(len(label)), label] += 3
    power = np.exp(logit)
    return Scores(ids, (power / power.sum(1, keepdims=True)).astype(np.float32), label)


def make_material():
    """320 clips under 32 names, of which some would run as code if they were taken for markup."""
    clips = generate(CLIPS, seed=2).clips
    hostile = ["<img src=y onerror=window.hacked=2>", "</script><script>window.hacked=2</script>", "$&\u2028\u202e"]
    clips = [dataclasses.replace(c, frame_dir=hostile[n] if n < 3 else c.frame_dir) for n, c in enumerate(clips)]
    ids, label = np.array([c.frame_dir for c in clips]), np.array([c.label for c in clips])
    parts = [_scores(ids, label, seed) for seed in (0, 1)]
    history = History({"loss_cls": [(1.0, 3.0), (2.0, 1.0)], "acc/top1": [(1.0, 0.2), (2.0, 0.5)]})
    names = tuple(NAMES + [f"class {n}" for n in range(len(NAMES), CLASSES)])
    return Material(
        parts=tuple(
            Model(name, name, part, weight, history)
            for name, part, weight in zip(("joint", "limb"), parts, (0.4, 0.6), strict=True)
        ),
        fusion=Model("fusion", "fusion", fuse(parts, [2, 3])),
        baseline=Model("<i>base</i>", "baseline", _scores(ids, label, 5)),
        class_names=names,
        vectors=np.random.default_rng(3).normal(size=(CLASSES, 30)),
        clips={clip.frame_dir: clip for clip in clips},
        train_sizes=np.bincount(label, minlength=CLASSES) * 3,
        notes=("<b>a note</b>",),
    )


def write_page(material, folder):
    """Write the report and return the page's path; skips where Plotly is missing."""
    pytest.importorskip("plotly")
    return write_report(material, folder, title=TITLE).path


def open_page(browser, path):
    """Open the page light and 1280 px wide, and return the browser when it is ready."""
    browser.window(1280)
    browser.media(dark=False)
    browser.open(path, "typeof app === 'object' && app.ready")
    return browser


def see_everything(page):
    """Scroll through the page, so that every chart is drawn."""
    page.js("""(async () => {
        document.documentElement.style.scrollBehavior = 'auto';
        for (let y = 0; y < document.body.scrollHeight; y += 500) {
            scrollTo(0, y);
            await new Promise((done) => setTimeout(done, 60));
        }
    })()""")


def choose(page, **fields):
    """Set filters as a reader does."""
    for name, value in fields.items():
        page.js(f"""(() => {{ const field = document.getElementById('f-{name}'); field.value = {json.dumps(str(value))};
            field.dispatchEvent(new Event('input', {{bubbles: true}})); }})()""")


def shown(page):
    """Ids of the clips in the list."""
    return page.js("app.clips.state.shown")


def text(page, selector):
    """Text of the first element that a selector finds."""
    return page.js(f"document.querySelector({json.dumps(selector)}).textContent")
