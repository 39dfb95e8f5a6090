"""Versions that answer at an address which the operator set."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from gateway_cases import BODY, Running, drive, folder_of
from service_cases import ENTRY, TASK, good_request, guarded
from starlette.responses import PlainTextResponse, RedirectResponse

from bento.gateway.settings import FILE, Settings
from bento.problem import MEDIA_TYPE
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core import artifact, catalog, serving


class Elsewhere:
    """A server on the loopback in a thread; its app may be changed."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self._pass_on, log_config=None, lifespan="off", interface="asgi3"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)
        self._thread.start()

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(5)


@pytest.fixture
def elsewhere(slots: list[Slot]) -> Iterator[Elsewhere]:
    server = Elsewhere(guarded(folder_of(slots[0])))
    yield server
    server.stop()


def remotes(server: Elsewhere) -> dict[str, Any]:
    return {"remotes": {f"{TASK}-{ENTRY}": server.url}, "remote_seconds": 2.0}


def test_a_remote_version_answers_as_a_local_one_does(ledger: Ledger, slots: list[Slot], elsewhere: Elsewhere) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    asked = catalog.task(TASK).request.model_validate_json(BODY)

    async def scene(it: Running) -> None:
        answer = await it.predict()
        assert answer.status_code == 200
        assert answer.json() == serving.answer(artifact.load(folder_of(slots[0])), asked).model_dump(mode="json")
        assert it.gateway.pool.size == 0
        assert (await it.client.get("/deployed")).json()["versions"][0]["remote"] is True
        refused = await it.predict(body=json.dumps({"rows": good_request()["rows"][:20]}))
        assert (refused.status_code, refused.headers["content-type"]) == (422, MEDIA_TYPE)
        prepared = await it.client.post("/versions/prepare", json={"task": TASK, "entry": ENTRY, "version": slots[0].version})
        assert prepared.json()["ready"] is True

    drive(ledger, scene, **remotes(elsewhere))


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (PlainTextResponse("traceback", status_code=500), "answered 500"),
        (PlainTextResponse("<html>"), "no JSON"),
        (PlainTextResponse('{"version": "0000000000000000"}'), "has version 0000000000000000"),
        (RedirectResponse("http://127.0.0.1:9/"), "answered 307"),
    ],
)
def test_any_fault_of_a_remote_is_502_and_its_words_stay_inside(app: Any, reason: str, ledger: Ledger, slots: list[Slot], elsewhere: Elsewhere) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        elsewhere.app = app
        answer = await it.predict()
        assert (answer.status_code, answer.headers["content-type"]) == (502, MEDIA_TYPE)
        assert reason in answer.json()["detail"]
        assert "traceback" not in answer.text
        assert it.logged()[0].status == 502

    drive(ledger, scene, **remotes(elsewhere))


def test_a_remote_that_is_away_or_of_another_version_is_503_and_is_found_when_it_comes(ledger: Ledger, slots: list[Slot], elsewhere: Elsewhere) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    good, elsewhere.app = elsewhere.app, guarded(folder_of(slots[1]))

    async def scene(it: Running) -> None:
        answer = await it.predict()
        assert answer.status_code == 503
        assert slots[1].version in answer.json()["detail"]
        elsewhere.app = good
        await it.refresh()
        assert (await it.predict()).status_code == 200
        elsewhere.stop()
        assert (await it.predict()).status_code == 502

    drive(ledger, scene, **remotes(elsewhere))


def test_remotes_are_set_by_the_file_or_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / FILE).write_text('versions = 3\nwaiting = 9\n[remotes]\nnews_analysis-finbert = "http://127.0.0.1:3001"\n')
    assert Settings().versions == 3
    assert str(Settings().remotes["news_analysis-finbert"]) == "http://127.0.0.1:3001/"
    monkeypatch.setenv("FINML_GATEWAY_VERSIONS", "4")
    monkeypatch.setenv("FINML_GATEWAY_REMOTES", '{"credit_risk-tabm": "http://127.0.0.1:3002"}')
    assert (Settings().versions, Settings().waiting) == (4, 9)
    assert str(Settings().remotes["credit_risk-tabm"]) == "http://127.0.0.1:3002/"
    monkeypatch.setenv("FINML_GATEWAY_REMOTES", '{"credit_risk-tabm": "file:///etc/passwd"}')
    with pytest.raises(ValueError, match="http"):
        Settings()
