"""The report's file: data as text, scripts by their hash, written whole."""

import base64
import dataclasses
import hashlib
import json
import os
import re
from html.parser import HTMLParser

import pytest

from helpers import ROOT
from helpers.report_page import CLASSES, CLIPS, make_material
from pyskl_semloss.errors import InputError
from pyskl_semloss.io.results import RECORD
from pyskl_semloss.report.clips import pack_clips
from pyskl_semloss.report.figures import plain
from pyskl_semloss.report.page import content_policy, json_text, page_data, render, write_report
from pyskl_semloss.skeletons import get_layout


@pytest.fixture(scope="module")
def material():
    return make_material()


HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "&lt;b&gt;",
    "{{data}}",
    "\u2028\u2029",
    "\ud800",
    '"\\',
]


def test_json_in_the_page_cannot_end_its_element_and_comes_back():
    text = json_text(HOSTILE)
    assert not set("<>&") & set(text)
    assert json.loads(text) == HOSTILE
    with pytest.raises(ValueError):
        json_text([float("nan")])


def test_plotly_text_is_escaped_and_cut():
    assert plain("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"
    assert len(plain("x" * 100, 20)) == 20 and plain("x" * 20, 20) == "x" * 20


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.scripts, self.tags, self.policy = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def test_the_page_runs_its_own_scripts_alone_and_loads_nothing(material):
    named = dataclasses.replace(material, class_names=tuple((HOSTILE * 5)[:CLASSES]))
    data = page_data(named, pack_clips([None] * CLIPS), None, title=HOSTILE[0], fps=25)
    page = Page(render(data, "QUJD", "window.Plotly = {};").decode())
    kinds = [attrs.get("type") for tag, attrs in page.tags if tag == "script"]
    assert kinds == ["application/json", "text/plain", None, None, None]
    for script in page.scripts[2:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.policy
    assert page.policy.startswith("default-src 'none';") and "script-src 'unsafe" not in page.policy
    assert not [attrs for _, attrs in page.tags if {"src", "srcset", "action"} & set(attrs)]
    assert [attrs["href"] for _, attrs in page.tags if "href" in attrs] == ["#results"]
    assert json.loads(page.scripts[0])["title"] == HOSTILE[0]


def test_a_script_that_would_end_its_element_is_refused(material):
    data = page_data(material, pack_clips([None] * CLIPS), None, title="t", fps=25)
    with pytest.raises(ValueError, match="plotly_js"):
        render(data, "", "var a = '</SCRIPT>';")
    assert content_policy(["a"]) != content_policy(["b"])


def test_a_report_is_whole_or_the_old_one_stays(material, tmp_path, monkeypatch):
    pytest.importorskip("plotly")
    layout = get_layout("openpose22")
    written = write_report(material, tmp_path / "report", layout=layout)
    assert written.path.stat().st_size == written.size and written.error < 5
    before = written.path.read_bytes()
    monkeypatch.setattr("pyskl_semloss.io.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(InputError, match="cannot be written"):
        write_report(material, tmp_path / "report", layout=layout, title="other")
    assert written.path.read_bytes() == before and sorted(os.listdir(written.path.parent)) == [RECORD, "index.html"]
    with pytest.raises(InputError, match="22 joints.*openpose22"):
        write_report(material, tmp_path / "r", layout=get_layout("kinect25"))
    with pytest.raises(InputError, match="fps"):
        write_report(material, tmp_path / "r", fps=0)


def test_assets_spell_no_markup_from_data():
    for path in (ROOT / "pyskl_semloss" / "report" / "assets").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|fetch\(", path.read_text()
        )
