"""The app as a process: who reaches it, what it refuses, and what it leaves behind."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from helpers.app_server import App, lives, needs_the_app, tool, wait, write_models

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    needs_the_app()
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def app(models, tmp_path_factory):
    with App(tmp_path_factory.mktemp("app"), *models) as running:
        yield running


def test_only_the_loopback_address_is_listened_on(app):
    assert "only this machine reaches it" in app.said
    assert app.ask("GET", "/")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        # Another address of this machine: it would answer if the app listened on all of them.
        socket.create_connection(("127.0.0.2", app.port), timeout=5)


@pytest.mark.parametrize(
    "headers",
    [
        dict(Host="attacker.example"),
        dict(Host="attacker.example:{port}"),
        dict(Host="localhost.attacker.example:{port}"),
        dict(Origin="https://attacker.example"),
        dict(Origin="http://localhost:{other}"),
        dict(Origin="null"),
        dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image"),
        dict(Sec_Fetch_Site="same-site", Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty"),
        dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe"),
    ],
)
def test_other_pages_get_nothing_and_leave_nothing(app, headers):
    before = set(app.sessions())
    headers = {name: value.format(port=app.port, other=app.port + 1) for name, value in headers.items()}
    polling = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    for method, path in (("GET", "/"), ("POST", "/leave/x"), ("GET", polling)):
        status, body = app.ask(method, path, **headers)
        assert (status, b"gesture" in body.lower()) == (403, False)
    upgrade = dict(Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Version="13", Sec_WebSocket_Key="a" * 24)
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket&client_id=x"
    assert app.ask("GET", path, **upgrade, **headers)[0] == 403
    assert set(app.sessions()) == before


def test_a_link_from_another_page_opens_the_app(app):
    link = dict(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    status, body = app.ask("GET", "/", **link)
    assert status == 200 and b"Gestures in a recording" in body
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert app.ask("GET", "/", Host=f"{host}:{app.port}", Origin=f"http://{host}:{app.port}")[0] == 200


def test_files_of_nobody(app):
    app.ask("GET", "/")
    (folder,) = {path.parent for path in app.sessions().values()}
    for path in ("/files/a/0/b.csv", "/files/..%2f/0/passwd", f"/files/{folder.name}/%2e%2e/%2e%2e", "/files/%00/0/a"):
        assert app.ask("GET", path)[0] == 404


def broken_off(app, path, size, claimed):
    """Send the beginning of an upload, and hang up."""
    with socket.create_connection(("127.0.0.1", app.port)) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost:{app.port}\r\nX-Name: film%0a%C3%BC.mp4\r\n"
        connection.sendall(f"{head}Content-Length: {claimed}\r\n\r\n".encode() + bytes(size))
        time.sleep(0.3)


def test_an_upload_that_is_broken_off_is_one_line_and_leaves_nothing(models, tmp_path):
    with App(tmp_path, *models) as app:
        app.ask("GET", "/")
        (folder,) = app.sessions().values()
        before = len(app.said.splitlines())
        for size in (0, 10, 3_000_000):
            broken_off(app, f"/upload/{folder.name}", size, 10_000_000)
        wait(lambda: len(app.said.splitlines()) >= before + 3, 20)
        for path in ("/upload/nobody", "/leave/nobody", "/_nicegui/client/x/upload/4"):
            broken_off(app, path, 1000, 100_000)
        assert app.ask("GET", "/")[0] == 200
        said = [line for line in app.said.splitlines()[before:] if not line.endswith("4 not found")]
        sizes = [int(line.partition("broken off after ")[2].split()[0]) for line in said]
        assert sizes[:2] == [0, 10] and 0 < sizes[2] <= 3_000_000
        assert said == [f"film_ü.mp4: the upload was broken off after {size} bytes; nothing is kept." for size in sizes]
        assert list(folder.iterdir()) == []


def test_an_address_writes_no_commands_into_the_log(app):
    before = len(app.said)
    assert app.ask("GET", "/%1b%5b2J%0aerror:%20%E2%80%AEfake")[0] == 404
    said = wait(lambda: app.said[before:], 10)
    assert said == f"http://127.0.0.1:{app.port}/\\x1b[2J\\nerror: \\u202efake not found\n"


def memory(process):
    """The most bytes that a process has had in memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise AssertionError


def test_an_upload_is_written_as_it_comes(app):
    """Some 200 MB in one request, and many at once, of which the server holds some MB."""
    app.ask("GET", "/")
    folder = next(iter(app.sessions().values()))
    before = memory(app.process.pid)
    blocks = (b"\0" * 1_000_000 for _ in range(200))
    assert app.ask("POST", f"/upload/{folder.name}", blocks, X_Name="large.mp4")[0] == 204
    assert memory(app.process.pid) - before < 30e6
    assert app.ask("POST", "/upload/nobody", b"x", X_Name="a.mp4")[0] == 404
    # What is no upload is held in memory by what answers it.
    polling = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    for method, path in (("POST", polling), ("GET", polling), ("POST", "/")):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            assert app.ask(method, path, b"x" * 50_000_000)[0] == 413
    assert memory(app.process.pid) - before < 30e6


def test_a_busy_port_is_one_line(app, models, tmp_path):
    before = set(app.temporary.iterdir())
    _, said = tool("tools/app.py", *models, "--port", app.port, "--no-browser", code=2)
    assert said == (
        f"error: field '--port': 127.0.0.1:{app.port} cannot be listened on (address already in use). "
        "Give another --port, or end the program that has it.\n"
    )
    assert set(app.temporary.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "field '--port': expected a number from 0 to 65535, got 70000"),
        (["--host", "198.51.100.1"], "198.51.100.1:8080 cannot be listened on"),
        (["--max-minutes", "0"], "field '--max-minutes': expected a number above 0, got 0"),
        (["--joint", "absent.pth"], "absent.pth: there is no such file"),
    ],
)
def test_wrong_options_are_one_line(models, words, said):
    out, error = tool("tools/app.py", *models, "--no-browser", *words, code=2)
    assert said in error and error.count("\n") == 1 and out == ""


def test_models_that_cannot_be_loaded_end_the_app(models, tmp_path):
    app = App(tmp_path, *models, "--background", "gesture 33")
    assert app.process.wait(120) == 2
    assert "error: " in app.said and "no class 'gesture 33'" in app.said and "Traceback" not in app.said
    assert list(app.temporary.iterdir()) == [] and list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_it_ends(models, tmp_path, number):
    with App(tmp_path, *models) as app:
        assert app.ask("GET", "/")[0] == 200
        (folder,) = app.sessions().values()
        (folder / "0").mkdir()
        (folder / "0" / "film.mp4").write_bytes(b"film")
        worker = wait(app.worker)
        # What packages leave behind in the worker goes as well.
        assert f"TMPDIR={folder.parent}\0".encode() in Path(f"/proc/{worker}/environ").read_bytes()
        assert app.end(number) == 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
    assert list(app.temporary.iterdir()) == [] and list((tmp_path / "here").iterdir()) == []
    wait(lambda: not lives(worker), 10)
    assert "Traceback" not in app.said


def test_what_a_killed_app_had_in_hand_ends_too(models, tmp_path):
    with App(tmp_path, *models) as app:
        worker = wait(app.worker)
        app.end(signal.SIGKILL)
        wait(lambda: not lives(worker), 60)
    (left,) = app.temporary.iterdir()
    assert left.name.startswith(".pyskl_semloss_app.")
    with App(tmp_path / "again", *models, temporary=app.temporary) as again:
        assert again.ask("GET", "/")[0] == 200 and not left.exists()
