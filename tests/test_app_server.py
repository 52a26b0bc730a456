"""The app as a process: who reaches it, what it refuses, and what it leaves behind."""

import os
import signal
import socket
from pathlib import Path

import pytest
from app_server import App, lives, needs_the_app, tool, wait, write_models

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
    assert left.name.startswith(f"pyskl_semloss_app_{app.process.pid}_")
