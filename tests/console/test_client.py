"""The typed client: every route by a method, problems as the errors of finml, changes done once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from console_cases import ADDRESS, GRU_1, GRU_2, HAR, ROWS, TASK, FakeGateway, InProcess, application, http
from fastapi import FastAPI

from finml_console.client import ApiError, Client, NotAllowed, NotFound, Overtaken, Refused, Unavailable
from finml_ledger import Deployments, Ledger
from finml_models.core.errors import Conflict, DataError, ServiceFailed, UnknownName

TOKEN = "a-secret-of-some-length"  # noqa: S105


@pytest.fixture
def finml(app: FastAPI) -> Iterator[Client]:
    with Client(ADDRESS, actor="ada", http=http(app)) as client:
        yield client


def test_the_lifecycle_of_a_version_through_the_client(finml: Client) -> None:
    assert finml.models(use_case=TASK, production_ready=True).models[0].id == "gru"
    assert finml.model("gru").measurements[0].source.version == "g2"
    assert finml.recommend(TASK).recommendations[0].id == "gru"
    assert (finml.categories().count, finml.use_cases().count) == (6, 10)
    assert finml.datasets().count > 3
    assert finml.compare(TASK, ["gru", "log_har"]).best == "gru"
    newest, *_ = finml.versions(use_case=TASK, gate_passed=True).items
    assert finml.report(TASK, "gru", newest.version).version == newest.version
    assert finml.card(TASK, "gru", newest.version).version == finml.version(TASK, "gru", newest.version)

    first = finml.deploy(TASK, "log_har", "h1", expected=0).deployment
    assert finml.predict("log_har", ROWS, key="k").version == "h1"
    assert finml.split(TASK, "gru", "g1", 0.1, expected=first.revision).deployment.state.share == 0.1
    assert finml.shadow(TASK, "gru", "g2").deployment.state.shadow == GRU_2
    assert finml.end_shadow(TASK).deployment.state.shadow is None
    promoted = finml.promote(TASK, "gru", "g1", reason="better").deployment
    assert (promoted.state.champion, promoted.actor, promoted.reason) == (GRU_1, "ada", "better")
    assert finml.explain("gru", ROWS, use_case=TASK).explanation.version == "g1"
    assert {row.role for row in finml.deployed().deployed} == {"champion"}
    assert finml.roll_back(TASK).deployment.state.champion == HAR
    assert finml.deployment(TASK).revision == 6
    assert [held.revision for held in finml.history(TASK, limit=2).items] == [6, 5]
    assert finml.deployed_at(TASK, datetime(2001, 1, 1, tzinfo=UTC)).revision == 0
    assert finml.withdraw(TASK).deployment.state.champion is None
    assert {row.actor for row in finml.audit(subject=TASK).items} == {"ada"}
    assert finml.predictions().items == ()
    assert next(cell for cell in finml.matrix().cells if (cell.use_case, cell.model_id) == (TASK, "gru")).gate_passed
    assert finml.health().status == "ok"
    assert finml.readiness().gateway


def test_a_configuration_is_named_by_its_content_and_training_without_dagster_says_so(finml: Client) -> None:
    first = finml.configure("gru", use_case=TASK, hyperparameters={"hidden": 32})
    assert finml.configure("gru", use_case=TASK, hyperparameters={"hidden": 32}).config_id == first.config_id
    with pytest.raises(Refused) as refused:
        finml.configure("gru", hyperparameters={"hidden": 3, "layers": 99})
    assert "hidden" in str(refused.value)
    assert "layers" in str(refused.value)
    for away in (
        lambda: finml.train("gru", first.config_id),
        lambda: finml.training_status("5f9d2c1e-0b9d-4a57-9a53-0d3c0f6a7e11"),
        finml.runs,
        lambda: list(finml.events("5f9d2c1e-0b9d-4a57-9a53-0d3c0f6a7e11")),
    ):
        with pytest.raises(Unavailable, match="Dagster"):
            away()


def test_problems_are_raised_as_the_errors_that_they_are(finml: Client) -> None:
    with pytest.raises(UnknownName) as missing:
        finml.model("gruu")
    assert isinstance(missing.value, NotFound)
    assert "gru" in missing.value.near
    with pytest.raises(Conflict):
        finml.predict("gru", ROWS)
    with pytest.raises(DataError):
        finml.split(TASK, "gru", "g1", 2.0)
    finml.deploy(TASK, "log_har", "h1")
    with pytest.raises(Overtaken) as late:
        finml.promote(TASK, "gru", "g1", expected=0)
    assert (late.value.problem.model_extra or {})["deployment"]["revision"] == 1


def test_an_error_survives_the_way_to_another_process(finml: Client) -> None:
    with pytest.raises(NotFound) as missing:
        finml.model("gruu")
    # A copy is made by the protocol that a process pool sends an error with.
    again = copy.copy(missing.value)
    assert (str(again), again.near, again.problem) == (str(missing.value), missing.value.near, missing.value.problem)


def test_the_token_is_sent_with_every_request(ledger: Ledger, gateway: FakeGateway) -> None:
    app = application(ledger, gateway, token=TOKEN)
    assert Client(http=http(app), token=TOKEN).deploy(TASK, "log_har", "h1").deployment.revision == 1
    with pytest.raises(NotAllowed, match="token"):
        Client(http=http(app)).withdraw(TASK)


class Breaking(InProcess):
    """Loses the first answers on their way back."""

    def __init__(self, app: FastAPI, times: int) -> None:
        super().__init__(app)
        self.times = times
        self.sent = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        self.sent += 1
        if self.sent <= self.times:
            raise httpx.ReadError("connection reset")
        return response


def test_a_change_whose_answer_was_lost_is_sent_again_and_done_once(app: FastAPI, deployments: Deployments) -> None:
    transport = Breaking(app, times=2)
    finml = Client(ADDRESS, http=httpx.Client(transport=transport, base_url=ADDRESS))
    assert finml.deploy(TASK, "log_har", "h1").deployment.revision == 1
    assert transport.sent == 3
    assert deployments.now(TASK).revision == 1


def test_a_prediction_whose_answer_was_lost_is_not_sent_again(app: FastAPI, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    transport = Breaking(app, times=1)
    with pytest.raises(ServiceFailed, match="broke"):
        Client(ADDRESS, http=httpx.Client(transport=transport, base_url=ADDRESS)).predict("log_har", ROWS)
    assert transport.sent == 1


def test_where_nothing_answers_the_remedy_is_told() -> None:
    with Client("http://127.0.0.1:9") as finml, pytest.raises(ServiceFailed, match="finml up"):
        finml.health()


@pytest.mark.parametrize(("status", "kind"), [(500, ApiError), (502, ApiError), (429, Unavailable), (413, Refused)])
def test_an_answer_that_is_no_problem_document_is_raised_all_the_same(status: int, kind: type[ApiError]) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, text="<html>proxy</html>"))
    with pytest.raises(kind, match=f"status {status} without a reason"):
        Client(http=httpx.Client(transport=transport, base_url=ADDRESS)).health()


def test_an_answer_of_another_version_is_told_as_such() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"status": "ok", "version": "9", "mood": "good"}))
    with pytest.raises(ServiceFailed, match="update both"):
        Client(http=httpx.Client(transport=transport, base_url=ADDRESS)).health()
