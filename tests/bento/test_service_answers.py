"""What the service says to a good request, and what it says of itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_cases import ENTRY, FINGERPRINT, TASK, ask, changed, good_request, guarded

from bento.guard import ROUTES, Guard
from bento.problem import MEDIA_TYPE
from finml_models.core import artifact, catalog, serving


def test_the_answer_is_the_offline_answer_to_the_bit(app: Guard, folder: Path) -> None:
    body = json.dumps(good_request())
    offline = serving.answer(artifact.load(folder), catalog.task(TASK).request.model_validate_json(body))
    answer = ask(app, body)
    assert answer.status_code == 200
    assert answer.json() == offline.model_dump(mode="json")
    assert answer.json()["version"] == folder.name
    assert [asset["entity"] for asset in answer.json()["assets"]] == ["aaa", "bbb"]


def test_rows_in_another_order_and_columns_in_another_order_change_nothing(app: Guard) -> None:
    rows = [dict(reversed(row.items())) for row in good_request()["rows"]]
    np.random.default_rng(3).shuffle(rows)
    assert ask(app, json.dumps({"rows": rows})).json() == ask(app, json.dumps(good_request())).json()


def test_inputs_outside_the_training_range_are_answered_with_a_warning(app: Guard) -> None:
    rows = good_request()["rows"]
    crash = rows[-1] | {"open": rows[-1]["open"], "low": 1.0, "close": 1.5}
    answer = ask(app, json.dumps({"rows": [*rows[:-1], crash]}))
    assert answer.status_code == 200
    assert any("outside the training range" in warning for warning in answer.json()["warnings"])


def test_metadata_says_what_answers(app: Guard, folder: Path) -> None:
    said = ask(app, method="GET", path="/metadata").json()
    assert (said["task"], said["entry"], said["version"], said["fingerprint_id"]) == (TASK, ENTRY, folder.name, FINGERPRINT["id"])
    assert said["signature"]["horizons"] == [1, 5, 22]


def test_the_openapi_document_describes_the_request_and_resolves(app: Guard) -> None:
    document = ask(app, method="GET", path="/openapi.json").json()
    reference = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert document["components"]["schemas"][reference.rpartition("/")[2]]["required"] == ["rows"]
    for name in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"]
    assert set(document["paths"]["/predict"]["post"]["responses"]) == {"200", "400", "408", "413", "415", "422"}


def test_the_page_loads_nothing_from_elsewhere(app: Guard) -> None:
    page = ask(app, method="GET", path="/")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?:|//|<script|<img|<iframe", page.text.replace("<!doctype html>", ""))
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/docs.json", "/schema.json", "/static_content/index.css", "/assets/x", "/../etc/passwd", "/%2e%2e/x", "/predict/", "/" + "x" * 300]
)
def test_every_other_address_is_a_404_problem(app: Guard, path: str) -> None:
    answer = ask(app, method="GET", path=path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, MEDIA_TYPE)


@pytest.mark.parametrize(("method", "path"), [(m, p) for p, allowed in ROUTES.items() for m in ("GET", "POST", "PUT", "DELETE", "PATCH") if m not in allowed])
def test_every_other_method_is_a_405_problem_that_names_the_right_one(app: Guard, method: str, path: str) -> None:
    answer = ask(app, "{}", method=method, path=path)
    assert (answer.status_code, answer.headers["content-type"]) == (405, MEDIA_TYPE)
    assert answer.headers["allow"] == ", ".join(ROUTES[path])


def test_a_fault_of_ours_says_nothing_of_itself_and_is_logged(folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("secret path /etc/key")

    monkeypatch.setattr(serving, "answer", breaks)
    answer = ask(guarded(folder), json.dumps(good_request()))
    assert (answer.status_code, answer.headers["content-type"]) == (500, MEDIA_TYPE)
    assert "secret" not in answer.text
    assert "secret path" in caplog.text


def test_a_prediction_that_is_not_finite_is_refused_and_never_null(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from finml_models.core.predictions import Forecast

    app = guarded(folder)
    monkeypatch.setattr(
        artifact.catalog.entry(ENTRY).estimator(),
        "predict",
        lambda self, b: Forecast(np.full((len(b), 3), np.nan), np.full((len(b), 3, 5), np.nan), self.signature.levels),
    )
    answer = ask(app, json.dumps(good_request()))
    assert answer.status_code == 422
    assert "null" not in answer.text


def test_a_closes_only_request_is_answered(app: Guard) -> None:
    rows = [{name: row[name] for name in ("entity", "time", "close")} for row in good_request()["rows"]]
    assert ask(app, json.dumps({"rows": rows})).status_code == 200


def test_an_asset_that_never_moved_is_answered_too(app: Guard) -> None:
    flat = [{"entity": "flat", "time": row["time"], "close": 100.0} for row in good_request()["rows"][:80]]
    answer = ask(app, json.dumps({"rows": [*good_request()["rows"], *flat]}))
    assert [asset["entity"] for asset in answer.json()["assets"]] == ["aaa", "bbb", "flat"]


def test_an_asset_without_a_usable_newest_row_is_named_and_not_left_out(app: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    task = catalog.task(TASK)
    newest = task.newest

    def from_an_older_row(self: Any, request: Any, kind: Any) -> Any:
        batch, last = newest(self, request, kind)
        return batch, {**last, "bbb": last["bbb"] + np.timedelta64(1, "D")}

    monkeypatch.setattr(task, "newest", from_an_older_row)
    answer = ask(app, json.dumps(good_request()))
    assert (answer.status_code, "(bbb)" in answer.json()["detail"]) == (422, True)


def test_changed_is_a_copy() -> None:
    assert changed("rows", 0, "close", value=1.0) != good_request()
