"""Servers that belong together: ready before anybody is told, loud when one dies, and none left when it is over."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from finml_cli import up
from finml_cli.main import app
from finml_cli.processes import MARK, Child, Part, Processes, free_ports
from finml_models.core.errors import ServiceFailed

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150
"""For the real parts, on a machine that does other things too; alone they take some 20."""

SERVER = """
import http.server, signal, sys, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            print("asked", flush=True)
            time.sleep(1.5)
        self.send_response(200); self.end_headers(); self.wfile.write(b"done")
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Slow)
server.daemon_threads = False
def end(*_):
    import threading
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, end)
print("serving", flush=True)
server.serve_forever()
server.server_close()
"""
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) > 1:
    # Out of the group, without a parent, and as deaf.
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
print("deaf", flush=True)
time.sleep(300)
"""
SIGNS_OFF = """
import pathlib, signal, sys, time
def end(*_):
    with pathlib.Path(sys.argv[1]).open("a") as file:
        file.write(sys.argv[2] + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
"""


def python(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


def always(child: Child) -> bool:
    return True


def says(word: str, times: int = 1) -> Callable[[Child], bool]:
    return lambda child: child.log.read_text().count(word) >= times


def server(name: str = "server") -> Part:
    port = free_ports({"--port": ("127.0.0.1", 0)})["--port"]
    url = f"http://127.0.0.1:{port}"
    return Part(
        name=name, command=python(SERVER, str(port)), url=url, port=port, ready=lambda child: httpx.get(url, timeout=2, trust_env=False).status_code == 200
    )


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "logs", grace=5.0) as made:
        yield made


def test_a_part_is_ready_when_it_answers_and_gone_after_the_block(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start(server())
        processes.wait_until_ready(child, seconds=30)
        assert child.listens()
        assert httpx.get(child.part.url, trust_env=False).text == "done"
    assert child.process.returncode == 0
    assert not marked(processes._mark)


def test_somebody_elses_listener_is_not_taken_for_the_part(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        part = Part(name="late", command=python("import time; time.sleep(60)"), port=other.getsockname()[1], ready=always)
        with pytest.raises(ServiceFailed, match=r"late was not ready after 0\.5 s"):
            processes.wait_until_ready(processes.start(part), seconds=0.5)


def test_a_part_that_ends_while_another_is_waited_for_is_named_with_its_words(processes: Processes) -> None:
    broken = processes.start(Part(name="broken", command=python("import sys; sys.exit('no such table')"), ready=always))
    broken.process.wait()
    late = processes.start(Part(name="late", command=python("import time; time.sleep(60)"), ready=lambda child: False))
    with pytest.raises(ServiceFailed, match=r"broken ended by itself with status 1(.|\n)*no such table"):
        processes.wait_until_ready(late, seconds=30)


def test_a_part_that_is_killed_is_reported_and_not_started_again(processes: Processes) -> None:
    children = [processes.start(server(name)) for name in ("first", "second")]
    for child in children:
        processes.wait_until_ready(child, seconds=30)
    threading.Timer(0.3, children[0].process.kill).start()
    with pytest.raises(ServiceFailed, match=r"first was ended by SIGKILL(.|\n)*serving"):
        processes.watch()
    processes.stop()
    assert children[1].process.returncode == 0


def test_a_request_in_flight_finishes(processes: Processes) -> None:
    child = processes.start(server())
    processes.wait_until_ready(child, seconds=30)
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(child.part.url + "/slow", timeout=10, trust_env=False).text))
    asking.start()
    while not says("asked")(child):
        time.sleep(0.02)
    processes.stop()
    asking.join(10)
    assert answers == ["done"]


def test_what_is_deaf_out_of_its_group_and_without_a_parent_is_ended_too(tmp_path: Path) -> None:
    processes = Processes(tmp_path, grace=0.5)
    child = processes.start(Part(name="deaf", command=python(DEAF, "with a child"), ready=says("deaf", 2)))
    processes.wait_until_ready(child, seconds=30)
    assert len(marked(processes._mark)) == 2
    began = time.monotonic()
    processes.stop()
    assert not marked(processes._mark)
    assert child.process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 10


def test_the_orphan_of_a_killed_part_does_not_stay(tmp_path: Path) -> None:
    processes = Processes(tmp_path, grace=0.5)
    child = processes.start(Part(name="deaf", command=python(DEAF, "with a child"), ready=says("deaf", 2)))
    processes.wait_until_ready(child, seconds=30)
    child.process.kill()
    with pytest.raises(ServiceFailed, match="SIGKILL"):
        processes.watch()
    processes.stop()
    assert not marked(processes._mark)


def test_the_part_that_was_started_last_ends_first(tmp_path: Path) -> None:
    with Processes(tmp_path / "logs") as processes:
        for name in ("gateway", "api"):
            part = Part(name=name, command=python(SIGNS_OFF, str(tmp_path / "order"), name), ready=says("up"))
            processes.wait_until_ready(processes.start(part), seconds=30)
    assert (tmp_path / "order").read_text().split() == ["api", "gateway"]


def test_the_log_before_is_kept_once(tmp_path: Path) -> None:
    for word in ("one", "two", "three"):
        with Processes(tmp_path) as processes:
            part = Part(name="part", command=python(f"import time; print({word!r}, flush=True); time.sleep(60)"), ready=says(word))
            processes.wait_until_ready(processes.start(part), seconds=30)
    assert (tmp_path / "part.log").read_text().strip() == "three"
    assert (tmp_path / "part.previous.log").read_text().strip() == "two"


def test_a_taken_port_is_named_with_the_next_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServiceFailed) as refused:
            free_ports({"--port-api": ("127.0.0.1", port)})
    said = re.fullmatch(rf"port {port} on 127\.0\.0\.1 is taken; (\d+) is free: --port-api (\d+)", str(refused.value))
    assert said is not None
    assert said[1] == said[2]
    assert int(said[1]) > port


def test_two_parts_do_not_get_the_same_port() -> None:
    port = free_ports({"a": ("127.0.0.1", 0)})["a"]
    with pytest.raises(ServiceFailed, match="wanted twice"):
        free_ports({"--port-dagster": ("127.0.0.1", port), "--port-api": ("127.0.0.1", port)})
    assert len(set(free_ports(dict.fromkeys("abc", ("127.0.0.1", 0))).values())) == 3


def test_another_host_wants_a_token_and_nothing_starts_without(home: Path) -> None:
    result = CliRunner().invoke(app, ["up", "--host", "0.0.0.0"])  # noqa: S104 - it is refused
    assert result.exit_code == 2
    assert "openssl rand -hex 32" in result.stderr
    short = CliRunner().invoke(app, ["up", "--host", "0.0.0.0", "--token", "short"])  # noqa: S104
    assert short.exit_code == 2
    assert "16 or more" in short.stderr
    assert not home.exists()


def test_the_token_reaches_the_api_alone_and_no_command_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_TOKEN", "of-the-shell-0123456789")
    secret = "-".join(("a", "secret", "0123456789"))
    made = {part.name: part for part in up.parts("127.0.0.1", {"--port-dagster": 1, "--port-gateway": 2, "--port-api": 3}, secret)}
    assert {name: part.environment["FINML_TOKEN"] for name, part in made.items()} == {"webserver": "", "daemon": "", "gateway": "", "api": secret}
    assert not any(secret in word for part in made.values() for word in part.command)


@pytest.mark.parametrize("display", ["", ":1"])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_browser_is_opened_where_there_are_windows_and_somebody_at_a_terminal(display: str, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = threading.Event()
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("webbrowser.get", lambda: SimpleNamespace(open=lambda address: address == "http://127.0.0.1:1/ui" and opened.set()))
    expected = bool(display) and terminal
    assert up.shown_in_a_browser("http://127.0.0.1:1/ui") is expected
    assert opened.wait(5 if expected else 0.05) is expected


def test_a_machine_without_a_browser_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setenv("DISPLAY", ":1")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("webbrowser.get", none)
    assert up.shown_in_a_browser("http://127.0.0.1:1/ui") is False


FAKES = """
import sys
from finml_cli import up
from finml_cli.main import app
from finml_cli.processes import Part
SECOND = "print('up', flush=True); import time; time.sleep(60)"
def fakes(host, ports, token):
    for name, code in (("first", sys.argv[1]), ("second", SECOND)):
        yield Part(name=name, command=[sys.executable, "-c", code], ready=lambda child: "up" in child.log.read_text())
up.parts = fakes
app(["up", "--open", "--port-dagster", "0", "--port-gateway", "0", "--port-api", "0"])
"""


def fake_up(folder: Path, first: str) -> tuple[subprocess.Popen[str], Callable[[], str]]:
    """`finml up` with two fake parts, the first of which runs this code; returns the process, and what it has said so far."""
    variables = {**os.environ, "FINML_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    with (folder / "said").open("w") as said:
        running = subprocess.Popen(python(FAKES, first), env=variables, stdout=said, stderr=said, text=True, start_new_session=True)
    return running, (folder / "said").read_text


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
def test_the_command_ends_with_0_when_it_is_asked_to_and_takes_its_parts_along(tmp_path: Path, end: signal.Signals) -> None:
    running, said = fake_up(tmp_path, SIGNS_OFF.replace("sys.argv[1]", repr(str(tmp_path / "order"))).replace("sys.argv[2]", "'first'"))
    try:
        while "Ctrl-C stops" not in said():
            assert running.poll() is None, said()
            time.sleep(0.1)
        assert re.search(r"^the console is at http://127\.0\.0\.1:\d+/ui\nno browser could be started from here(.|\n)*part +address", said(), re.MULTILINE)
        children = psutil.Process(running.pid).children()
        assert len(children) == 2
        running.send_signal(end)
        assert running.wait(30) == 0, said()
        assert said().splitlines()[-1] == "stopped"
        assert not any(child.is_running() for child in children)
        assert (tmp_path / "order").read_text() == "first "
    finally:
        running.kill()


def test_the_command_ends_with_2_and_the_log_of_a_part_that_dies(tmp_path: Path) -> None:
    running, said = fake_up(tmp_path, "import sys, time; print('up', flush=True); time.sleep(1); sys.exit('the disk is full')")
    try:
        assert running.wait(60) == 2, said()
        assert re.search(r"error: first ended by itself with status 1(.|\n)*the disk is full", said())
    finally:
        running.kill()


@pytest.mark.slow  # tests/story starts the same parts, and does more with them
def test_the_real_parts_come_up_answer_and_leave_nothing_behind(tmp_path: Path) -> None:
    variables = {**os.environ, "FINML_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    for name in ("DAGSTER_HOME", "FINML_TOKEN", MARK):
        variables.pop(name, None)
    command = [sys.executable, "-m", "finml_cli", "up", "--port-dagster", "0", "--port-gateway", "0", "--port-api", "0"]
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen(command, env=variables, stdout=said, stderr=said, cwd=tmp_path, start_new_session=True)
    try:
        deadline = time.monotonic() + SECONDS
        while "Ctrl-C stops" not in (text := (tmp_path / "said").read_text()):
            assert running.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.2)
        urls = dict(re.findall(r"^ *(webserver|gateway|api) +(http://127\.0\.0\.1:\d+)", text, re.MULTILINE))
        assert set(urls) == {"webserver", "gateway", "api"}
        readiness = httpx.get(urls["api"] + "/v1/readiness", timeout=10, trust_env=False).json()
        assert readiness == {"ready": True, "ledger": True, "gateway": True, "dagster": True}
        assert up.heart_beats(urls["webserver"], psutil.Process(running.pid).create_time())
        (mark,) = {process.environ()[MARK] for process in psutil.Process(running.pid).children()}
        assert len(marked(mark)) >= 4
        running.terminate()
        assert running.wait(30) == 0, (tmp_path / "said").read_text()
        assert not marked(mark)
    finally:
        if running.poll() is None:
            running.terminate()
            running.wait(30)
