import asyncio
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from helpers import app_tasks
from pyskl_semloss.app.analysis import MISSING, write_view
from pyskl_semloss.app.limits import Limits, UploadLimit, is_loopback, is_name_of, why_not
from pyskl_semloss.app.result import strongest, timeline_figure
from pyskl_semloss.app.sessions import Sessions, shown_name, split_name
from pyskl_semloss.app.worker import Worker
from pyskl_semloss.errors import InputError
from pyskl_semloss.recordings.recording import Recording


def test_one_task_after_another_in_one_process():
    async def both():
        worker, told = Worker(app_tasks.make), []
        try:
            first = asyncio.create_task(worker.run("a", lambda *what: told.append(what)))
            second = asyncio.create_task(worker.run("b", lambda *what: told.append(what)))
            return await first, await second, told
        finally:
            worker.stop()

    (one, count), (two, again), told = asyncio.run(both())
    assert one == two != os.getpid()
    assert (count, again) == (1, 2)
    assert told == [("loading the models", 0.0), ("working", 0.5), ("working", 0.5)]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("die", "was ended by SIGKILL"),
        ("refuse", "film.mp4: clip '3': field 'fps': it is too short. Film longer."),
        ("break", "it failed (KeyError: 'inner')"),
    ],
)
def test_a_task_that_fails_leaves_the_next(task, said):
    async def run():
        worker = Worker(app_tasks.make)
        try:
            with pytest.raises(InputError) as caught:
                await worker.run(task, lambda *_: None)
            return str(caught.value), await worker.run("fine", lambda *_: None)
        finally:
            worker.stop()

    message, (_, calls) = asyncio.run(run())
    assert said in message
    assert "/secret" not in message
    assert calls == (1 if task == "die" else 2)


def test_models_that_cannot_be_loaded_are_tried_again():
    async def run():
        worker, said = Worker(app_tasks.make_nothing), []
        try:
            for asked in (worker.prepare(), worker.run("a", lambda *_: None)):
                with pytest.raises(InputError) as caught:
                    await asked
                said.append(str(caught.value))
        finally:
            worker.stop()
        return said

    assert asyncio.run(run()) == ["joint.pth: there is no such file."] * 2


def test_what_is_cancelled_ends_alone():
    async def run():
        worker, told = Worker(app_tasks.make), asyncio.Event()
        try:
            assert not worker.prepared
            await worker.prepare()
            assert worker.prepared
            process, calls = await worker.run("fine", lambda *_: None)
            work = asyncio.create_task(worker.run("wait", lambda stage, _: told.set() if stage == "working" else None))
            await asyncio.wait_for(told.wait(), 30)
            waiting, next_one = (asyncio.create_task(worker.run(one, lambda *_: None)) for one in ("wait", "fine"))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.sleep(0)
            os.kill(process, 0)
            work.cancel()
            other, _ = await asyncio.wait_for(next_one, 30)
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)
            return calls, process != other, [one.cancelled() for one in (work, waiting)]
        finally:
            worker.stop()

    assert asyncio.run(run()) == (1, True, [True, True])


def test_stopping_ends_the_task():
    async def run():
        worker, told = Worker(app_tasks.make), asyncio.Event()
        task = asyncio.create_task(worker.run("wait", lambda stage, _: told.set() if stage == "working" else None))
        await asyncio.wait_for(told.wait(), 30)
        worker.stop()
        with pytest.raises(InputError, match="SIGKILL"):
            await asyncio.wait_for(task, 10)

    asyncio.run(run())


def request(limit, headers, *bodies, path="/upload/x", method="POST"):
    """What a client of an application behind the limit gets, and what the application got."""
    got, sent = [], []

    async def application(scope, receive, send):
        while True:
            message = await receive()
            got.append(message)
            if message["type"] == "http.disconnect":
                raise RuntimeError("the client went away")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})

    messages = [
        {"type": "http.request", "body": body, "more_body": place + 1 < len(bodies)}
        for place, body in enumerate(bodies)
    ]

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": headers, "path": path}
    asyncio.run(UploadLimit(application, limit)(scope, receive, send))
    return sent[0]["status"], got


def test_a_file_that_is_too_large_is_refused_as_it_comes():
    part = b"x" * 60_000
    assert request(120_000, [], part, part)[0] == 200
    status, got = request(120_000, [], part, part, part, part, part)
    assert (status, [one["type"] for one in got]) == (413, ["http.request"] * 2 + ["http.disconnect"])
    assert request(10**9, [(b"content-length", b"9" * 5000)], part) == (413, [])
    assert request(100_000, [(b"content-length", b"200000")], part) == (413, [])
    assert request(100_000, [(b"content-length", b"many")], part) == (413, [])


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_a_request_that_brings_no_file_is_small(method):
    """What is behind it may hold it in memory."""
    half = b"x" * (1 << 19)
    for path in ("/", "/leave/x", "/_nicegui_ws/socket.io/", "/uploads", "/_nicegui/client/x/upload/3"):
        assert request(10**9, [], half, half, path=path, method=method)[0] == 200
        status, got = request(10**9, [], half, half, b"x", half, path=path, method=method)
        assert (status, [one["type"] for one in got]) == (413, ["http.request"] * 2 + ["http.disconnect"])
        assert request(10**9, [(b"content-length", b"1048577")], half, path=path, method=method) == (413, [])


def test_limits():
    limits = Limits(megabytes=1.5, minutes=2)
    assert limits.size == 1_500_000
    limits.check_seconds(120, "a.mp4")
    with pytest.raises(InputError, match=r"a\.mp4: it lasts 2\.1 minutes, more than the 2"):
        limits.check_seconds(126, "a.mp4")
    with pytest.raises(InputError, match="--max-minutes"):
        Limits(minutes=0)


def test_who_may_ask():
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "192.168.0.3", "box")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    names = ("localhost", "127.0.0.1", "::1", "192.168.0.3", "lab.example", socket.gethostname().lower(), "")
    assert [is_name_of(name, "127.0.0.1") for name in names] == [True, True, True, False, False, False, False]
    assert [is_name_of(name, "0.0.0.0") for name in names] == [True, True, True, True, False, True, False]
    assert is_name_of("lab.example", "lab.example")


def test_why_a_request_is_refused():
    own = {b"host": "192.168.0.3:8080", b"origin": "http://192.168.0.3:8080", b"sec-fetch-site": "same-origin"}
    assert why_not(own, "0.0.0.0") is None
    assert why_not({b"host": "192.168.0.3:8080"}, "0.0.0.0") is None
    assert why_not({**own, b"origin": "https://192.168.0.3:8080"}, "0.0.0.0") is None
    assert "not known by this name" in why_not({**own, b"host": "lab.example:8080"}, "0.0.0.0")
    assert "not known by this name" in why_not({**own, b"host": "[::1"}, "127.0.0.1")
    assert "not known by this name" in why_not({}, "127.0.0.1")
    for change in ({b"origin": "null"}, {b"origin": "http://192.168.0.3:81"}, {b"sec-fetch-site": "same-site"}):
        assert why_not({**own, **change}, "0.0.0.0") == "another page asks here"


def test_a_session_leaves_nothing(tmp_path):
    sessions = Sessions(tmp_path)
    one, two = sessions.begin(), sessions.begin()
    (one / "0").mkdir()
    (one / "0" / "a.csv").write_text("a")
    (two / "b.csv").write_text("b")
    assert sessions.file(one.name, "0", "a.csv").read_text() == "a"
    for token, *names in (
        (one.name, "..", two.name, "b.csv"), ("..", "a"), (one.name, "0"), ("", one.name, "0", "a.csv"),
        (one.name, "/etc/passwd"), (".", one.name, "0", "a.csv"),
        (one.name, "0", "a\0.csv"), ("\0", "a.csv"),
    ):  # fmt: skip
        assert sessions.file(token, *names) is None
    sessions.end(one)
    assert sessions.file(one.name, "0", "a.csv") is None
    sessions.close()
    assert list(tmp_path.iterdir()) == []


SESSION = "import os, sys; from pyskl_semloss.app.sessions import Sessions; Sessions(sys.argv[1]).begin()\n"


def test_what_a_killed_app_left_is_removed_at_the_next_start(tmp_path):
    subprocess.run([sys.executable, "-c", f"{SESSION}os.kill(os.getpid(), 9)", str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    (tmp_path / "pyskl_semloss_app_notes").mkdir()
    # Somebody else's, which cannot be opened, ends no search.
    (tmp_path / ".pyskl_semloss_app.aaaaaaaa.tmp").symlink_to(tmp_path / "nowhere")
    mine = Sessions(tmp_path)
    other = Sessions(tmp_path)
    assert not left.exists()
    names = {path.name for path in tmp_path.iterdir()} - {".pyskl_semloss_app.aaaaaaaa.tmp"}
    assert names == {"pyskl_semloss_app_notes", mine.folder.name, other.folder.name}


@pytest.mark.skipif(not os.path.exists("/proc/self/ns/pid"), reason="needs namespaces of Linux")
def test_what_a_container_left_is_removed_by_the_next_whose_process_has_the_same_number(tmp_path):
    """Each container counts its processes anew: there the app has always the same number."""
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c"]
    code = f"{SESSION}print(os.getpid(), *[len(os.listdir(one)) for one in os.scandir(sys.argv[1])], flush=True)\n"
    # A container's first process cannot kill itself; it ends without its own clearing up.
    code += "os._exit(1)"
    said = []
    for _ in range(3):
        done = subprocess.run([*command, code, str(tmp_path)], capture_output=True, text=True)
        if "unshare" in done.stderr:
            pytest.skip("needs the right to make a namespace")
        said.append(done.stdout)
    assert said == ["1 1\n"] * 3, "one folder of one session, each time"


def test_names_of_uploads_are_kept_but_for_folders_and_commands():
    kept = [
        "film 1.mp4", "访" * 80 + ".mp4", "preview.webm", "keypoints.bin", "a'b\"c.npz", "50%25.npz", "a#b?c&d=e+f.npz",
        ".npz", ".hidden.mp4", "talk .npz", "talk.npz ", "👩👩👧 𝄞.mp4", "Mu\u0308ller.mp4", "CON.npz", "nul",
        "a:b|c*<d>.npz", "~", "-rf",
    ]  # fmt: skip
    assert [shown_name(name) for name in kept] == kept
    assert shown_name("../../etc/pass<wd>.npz") == "pass<wd>.npz"
    assert shown_name("C:\\videos\\Müller.MOV") == "Müller.MOV"
    assert [shown_name(name) for name in ("", ".", "..", "...", " ", "a/", "a\\..")] == ["file"] * 7
    assert shown_name("a\u202egpj.\u200fnpz\n\x1b[2J\0\ud800") == "a_gpj._npz__[2J__"
    assert shown_name("x" * 500 + ".mp4") == "x" * 235 + ".mp4" and len(shown_name("." + "y" * 9999)) <= 255
    assert [split_name(name) for name in ("a.b.npz", ".npz", "film", "a.", "访.MP4")] == [
        ("a.b", ".npz"), ("npz", ""), ("film", ""), ("a", "."), ("访", ".MP4"),
    ]  # fmt: skip


def test_what_the_browser_gets(tmp_path):
    layout = dict(name="arms", joints=["neck", "l", "r"], limbs=[[0, 1], [0, 2]], mirror_pairs=[[1, 2]])
    keypoint = np.arange(2 * 5 * 3 * 2, dtype=np.float32).reshape(2, 5, 3, 2) + 0.6
    score = np.ones((2, 5, 3), np.float32)
    score[1, 2, 0] = 0
    keypoint[0, 0, 0] = 1e6, -1e6
    recording = Recording("a", keypoint, score, layout, (40, 60), 10.0)
    about = write_view(recording, np.array([[0, 1], [0.5, 0.5], [1.0, 0]]), 0.2, ["x", "y"], tmp_path, "a.webm")
    points = np.fromfile(tmp_path / "keypoints.bin", "<i2").reshape(5, 2, 3, 2)
    assert points[3, 1, 2].tolist() == np.rint(keypoint[1, 3, 2]).tolist()
    assert points[2, 1, 0].tolist() == [MISSING, MISSING]
    assert points[0, 0, 0].tolist() == [32767, -32767]
    assert np.fromfile(tmp_path / "scores.bin", np.uint8).tolist() == [0, 255, 128, 128, 255, 0]
    assert about["sides"] == [0, 1, 2]
    assert about["limbs"] == [[0, 1, 1], [0, 2, 2]]
    assert (about["width"], about["height"], about["frames"], about["rows"], about["seconds"]) == (60, 40, 5, 3, 0.5)


def test_the_figure_shows_the_strongest_classes_and_every_segment():
    probability = np.array([[0.1, 0.9, 0.0], [0.2, 0.1, 0.7], [0.3, 0.1, 0.6]])
    assert strongest(probability) == [1, 2, 0]
    assert strongest(probability, leave_out=[1], count=1) == [2]
    segments = [
        dict(start=0.5, end=1.5, name="<b>a</b>", confidence=0.9, person=0),
        dict(start=2.0, end=3.0, name="c", confidence=0.7, person=None),
    ]
    made = timeline_figure(segments, np.array([0.5, 1.5, 2.5]), probability, ["z", "<b>a</b>", "c"], 3.0)
    bars, *lines = made["data"]
    assert (bars["base"], bars["x"], bars["customdata"]) == ([0.5, 2.0], [1.0, 1.0], [0.5, 2.0])
    assert bars["y"] == [1, 0]
    assert "<b>a" not in bars["text"][0].replace("<b>&lt;b&gt;a", "")
    assert [line["name"] for line in lines] == ["&lt;b&gt;a&lt;/b&gt;", "c", "z"]
    assert lines[0]["y"] == [0.9, 0.1, 0.1]
    # A segment has its class's colour.
    assert bars["marker"]["color"] == [lines[0]["line"]["color"], lines[1]["line"]["color"]]
