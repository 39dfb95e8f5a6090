"""Searches over REST: started as a job of Dagster, followed by the trials of the ledger."""

from __future__ import annotations

import time

import pytest
from fake_dagster import TASK, FakeDagster, application, ask
from fastapi import FastAPI

from finml_ledger import Ledger

FOLDS = (0, 1)


@pytest.fixture
def app(book: Ledger, fake: FakeDagster) -> FastAPI:
    return application(book, fake)


def tried(ledger: Ledger, run_id: str, hidden: int, values: tuple[float | None, ...]) -> None:
    """Trials of one configuration, a fold each; None is one that still runs."""
    for fold, value in zip(FOLDS, values, strict=False):
        trial = ledger.start_trial(
            task=TASK,
            entry="gru",
            fold=fold,
            seed=0,
            config_hash=str(hidden),
            hyperparameters={"hidden": hidden},
            config={},
            data_snapshot="s",
            code_version="c",
            fingerprint_id=f"{hidden}",
            run_id=run_id,
        )
        if value is not None:
            ledger.finish_trial(trial, metric="qlike", value=value, variance=1.0, samples=10, seconds=1.0)


def start(app: FastAPI, **more: object) -> dict[str, object]:
    answer = ask(app, "POST", "/v1/tuning", json={"model_id": "gru", "use_case": TASK, "trials": 4, **more})
    assert answer.status_code == 202, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_search_is_launched_as_the_job_tune(app: FastAPI, fake: FakeDagster) -> None:
    accepted = start(app, profile="full", timeout_seconds=60)
    launched = fake.launched[0]
    assert launched["selector"]["pipelineName"] == "tune"
    assert "assetSelection" not in launched["selector"]
    config = {"pair": f"{TASK}-gru", "trials": 4, "dataset": "us_market", "profile": "FULL", "timeout_seconds": 60.0}
    assert launched["runConfigData"] == {"ops": {"tune": {"config": config}}}
    assert accepted["links"]["status"] == f"/v1/tuning/{accepted['job_id']}"  # type: ignore[index]


def test_the_best_so_far_is_the_least_loss_over_whole_configurations(app: FastAPI, fake: FakeDagster, book: Ledger) -> None:
    run_id = str(start(app)["job_id"])
    nothing = ask(app, "GET", f"/v1/tuning/{run_id}").json()
    assert (nothing["trials"], nothing["trials_done"], nothing["best"]) == (4, 0, None)
    tried(book, run_id, 16, (0.5, 0.7))
    tried(book, run_id, 32, (0.4, 0.4))
    tried(book, run_id, 64, (0.1,))
    tried(book, "another run", 8, (0.0, 0.0))
    fake.tell(run_id, "RunStartEvent")
    time.sleep(0.02)
    fake.observe(run_id, "tune", attempt=3, attempts=4, fold=1, folds=2, state="running")
    found = ask(app, "GET", f"/v1/tuning/{run_id}").json()
    assert (found["state"], found["trials_done"], found["percentage"]) == ("running", 2, pytest.approx(62.5))
    assert found["best"] == {"hyperparameters": {"hidden": 32}, "metric": "qlike", "value": pytest.approx(0.4)}


def test_a_training_is_no_search_and_what_cannot_be_searched_is_refused(app: FastAPI, fake: FakeDagster) -> None:
    training = fake.start(tags={"finml/config_id": "0" * 16})
    assert ask(app, "GET", f"/v1/tuning/{training}").status_code == 404
    for body, status in [({"model_id": "gruu"}, 404), ({"use_case": "credit_risk"}, 404), ({"trials": 0}, 422), ({"data_source": "/etc/passwd"}, 422)]:
        assert ask(app, "POST", "/v1/tuning", json={"model_id": "gru", "use_case": TASK, **body}).status_code == status, body
    nothing_to_search = ask(app, "POST", "/v1/tuning", json={"model_id": "last_value", "use_case": TASK})
    assert nothing_to_search.status_code == 422
    assert fake.launched == []
