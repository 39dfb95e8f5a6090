"""What the service says about why: the answer's form, its limits, its refusals, and that predictions go on beside it."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from service_cases import ENTRY, TASK, ask, bars, changed, good_request, guarded

from bento.guard import Guard
from bento.problem import MEDIA_TYPE
from finml_models.core import artifact, catalog, explained
from finml_models.core.errors import NotExplained, UnknownName
from finml_models.core.explained import MOST_INPUTS, MOST_ROWS, ExplainResponse
from finml_models.core.explanations import Attribution, Explanation

GOOD = json.dumps(good_request())


def explain(app: Guard, body: str = GOOD) -> httpx.Response:
    return ask(app, body, path="/explain")


def test_the_answer_is_the_offline_answer_and_adds_up(app: Guard, folder: Path) -> None:
    answer = explain(app)
    assert answer.status_code == 200
    told = ExplainResponse.model_validate_json(answer.content)
    assert told == explained.explain(artifact.load(folder), catalog.task(TASK).request.model_validate_json(GOOD))
    assert (told.task, told.model, told.version) == (TASK, ENTRY, folder.name)
    assert [row.entity for row in told.rows] == ["aaa", "bbb"]
    for row in told.rows:
        (part,) = row.parts
        assert row.value == pytest.approx(row.start + sum(one.weight for one in part.inputs), abs=1e-6)
        assert sum(one.share for one in part.inputs) == pytest.approx(1)
        weights = [abs(one.weight) for one in part.inputs]
        assert weights == sorted(weights, reverse=True)


def test_a_linear_model_is_told_by_its_own_coefficients(app: Guard, folder: Path) -> None:
    held = artifact.load(folder)
    told = ExplainResponse.model_validate_json(explain(app).content)
    used = {one.name for row in told.rows for one in row.parts[0].inputs if one.weight}
    assert used == {"log_var_d", "log_var_w", "log_var_m"}, "the inputs of log-HAR, and no other"
    assert held.estimator.typical is held.reference


def test_the_openapi_document_shows_it_and_says_when_it_refuses(app: Guard) -> None:
    document = ask(app, method="GET", path="/openapi.json").json()
    post = document["paths"]["/explain"]["post"]
    assert post["requestBody"] == document["paths"]["/predict"]["post"]["requestBody"]
    assert set(post["responses"]) == {"200", "400", "408", "409", "413", "415", "422"}
    name = post["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][name]["required"]) == {"task", "model", "version", "method", "output", "caveat", "rows"}


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, "{"), (422, '{"rows": []}'), (422, json.dumps(changed("rows", 3, "close", value=-1.0))), (422, json.dumps({"rows": good_request()["rows"][:20]}))],
)
def test_bad_input_is_refused_as_predict_refuses_it(app: Guard, status: int, body: str) -> None:
    answer = explain(app, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, MEDIA_TYPE)
    assert answer.content == ask(app, body).content


def test_anything_but_plain_json_is_415(app: Guard) -> None:
    assert ask(app, GOOD, path="/explain", headers={"content-type": "text/plain"}).status_code == 415


def many(entities: int) -> str:
    rows = [{"entity": f"e{i:02}", "time": row["time"], "close": row["close"]} for i in range(entities) for row in good_request()["rows"][:80]]
    return json.dumps({"rows": rows})


def test_more_entities_than_allowed_are_refused_with_the_number(app: Guard) -> None:
    assert explain(app, many(MOST_ROWS)).status_code == 200
    refused = explain(app, many(MOST_ROWS + 1))
    assert refused.status_code == 422
    assert str(MOST_ROWS) in refused.json()["detail"]


def test_who_does_not_explain_is_a_409_that_names_who_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Any, batch: Any) -> Explanation:
        raise NotExplained("LogHAR: it keeps its reasons to itself")

    monkeypatch.setattr(catalog.entry(ENTRY).estimator(), "explain", silent)
    refused = explain(guarded(folder))
    assert (refused.status_code, refused.headers["content-type"]) == (409, MEDIA_TYPE)
    detail = refused.json()["detail"]
    assert "keeps its reasons" in detail
    assert "tft (high)" in detail
    assert "log_har (" not in detail
    assert "gru" not in detail


def test_weights_that_are_not_finite_are_refused_and_never_null(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def infinite(self: Any, batch: Any) -> Explanation:
        part = Attribution("features", ("a",), np.full((len(batch), 1), np.inf, np.float32), "m")
        return Explanation("method", "caveat", (part,))

    monkeypatch.setattr(catalog.entry(ENTRY).estimator(), "explain", infinite)
    answer = explain(guarded(folder))
    assert answer.status_code == 422
    assert "not finite" in answer.json()["detail"]


def test_of_very_many_inputs_the_largest_are_told_and_the_rest_summed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = MOST_INPUTS + 50

    def wordy(self: Any, batch: Any) -> Explanation:
        weights = np.tile(np.arange(size, dtype=np.float32), (len(batch), 1))
        weights[:, 0] = np.nan
        return Explanation("method", "caveat", (Attribution("words", tuple(f"w{i}" for i in range(size)), weights, "m"),))

    monkeypatch.setattr(catalog.entry(ENTRY).estimator(), "explain", wordy)
    part = ExplainResponse.model_validate_json(explain(guarded(folder)).content).rows[0].parts[0]
    assert [part.inputs[0].name, part.inputs[-1].name] == [f"w{size - 1}", f"w{size - MOST_INPUTS}"]
    assert part.left_out == size - MOST_INPUTS - 1
    assert part.left_out_weight == sum(range(1, size - MOST_INPUTS))


def test_predictions_go_on_while_one_explanation_at_a_time_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release, running = threading.Event(), []
    slow = explained.explain

    def waits(*arguments: Any) -> ExplainResponse:
        running.append(1)
        assert len(running) == 1, "a second explanation began before the first was done"
        assert release.wait(10)
        running.pop()
        return slow(*arguments)

    monkeypatch.setattr(explained, "explain", waits)
    app = guarded(folder)

    async def both() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            headers = {"content-type": "application/json"}
            slow_ones = [asyncio.create_task(client.post("/explain", content=GOOD, headers=headers)) for _ in range(2)]
            while not running:
                assert not any(task.done() for task in slow_ones)
                await asyncio.sleep(0.01)
            predicted = await client.post("/predict", content=GOOD, headers=headers)
            release.set()
            return [predicted.status_code, *[answer.status_code for answer in await asyncio.gather(*slow_ones)]]

    assert asyncio.run(both()) == [200, 200, 200]


def test_an_entity_that_was_not_asked_about_is_named(folder: Path) -> None:
    request = catalog.task(TASK).request.model_validate_json(GOOD)
    held = artifact.load(folder)
    assert [row.entity for row in explained.explain(held, request, ["bbb"]).rows] == ["bbb"]
    with pytest.raises(UnknownName, match="aab"):
        explained.explain(held, request, ["aab"])


def test_a_warning_is_told_with_the_entity_it_is_about(folder: Path) -> None:
    rows = good_request()["rows"]
    crash = rows[-1] | {"low": 1.0, "close": 1.5}
    request = catalog.task(TASK).request.model_validate_json(json.dumps({"rows": [*rows[:-1], crash]}))
    held = artifact.load(folder)
    assert bars()["entity"].iloc[-1] == "bbb"
    assert explained.explain(held, request, ["bbb"]).warnings
    assert not explained.explain(held, request, ["aaa"]).warnings
