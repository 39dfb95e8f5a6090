"""The job `tune`: through Dagster, with its trials in the ledger, its progress as observations and its result in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_market import DATASET, materialise, register

from finml_ledger import Ledger
from finml_models.core.errors import FinmlError, UnknownName
from finml_models.core.profile import ProfileName
from finml_models.training import tuning_report
from finml_pipelines.definitions import build
from finml_pipelines.instance import instance
from finml_pipelines.run import Order, _run_config
from finml_pipelines.tuning import tune

PAIR = "volatility_forecasting-dlinear"


@pytest.fixture
def market(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path / "data")))
    return home


def launch(**config: Any) -> dg.ExecuteInProcessResult:
    job = build(pool=None).resolve_job_def("tune")
    with instance() as home:
        given = {"pair": PAIR, "trials": 3, "dataset": DATASET, **config}
        return job.execute_in_process(instance=home, run_config={"ops": {"tune": {"config": given}}}, raise_on_error=False)


def failure(result: dg.ExecuteInProcessResult) -> str:
    return str(result.failure_data_for_node("tune").user_failure_data.description)


def test_every_fit_is_a_row_of_the_ledger_and_every_step_an_observation(market: Path) -> None:
    result = launch()
    assert result.success
    report = tuning_report.read(result.run_id)
    assert (report.task, report.entry, report.dataset, len(report.attempts)) == ("volatility_forecasting", "dlinear", DATASET, 3)
    ledger = Ledger.open()
    trials = ledger.trials("volatility_forecasting", "dlinear", run_id=result.run_id)
    assert len(trials) == sum(len(attempt.folds) for attempt in report.attempts) == 9
    assert {trial.data_snapshot for trial in trials} == {report.snapshot}
    assert {trial.config["tuning"] for trial in trials} == {report.study}
    assert ledger.count_configurations("volatility_forecasting", "dlinear", report.snapshot) == 3
    ledger.close()
    seen = [event.asset_observation_data.asset_observation for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    steps = [{name: held.value for name, held in observation.metadata.items()} for observation in seen if "attempt" in observation.metadata]
    assert {observation.asset_key.to_user_string() for observation in seen} == {"model/volatility_forecasting/dlinear"}
    assert [(step["attempt"], step["fold"]) for step in steps if step["state"] == "running"] == [(a, f) for a in (1, 2, 3) for f in (1, 2, 3)]
    assert steps[-1]["best"] == report.best.value
    assert steps[-1]["attempts"] == 3


def test_a_run_with_the_chosen_hyperparameters_is_not_paid_for_twice(market: Path) -> None:
    report = tune(PAIR, trials=3, dataset=DATASET)
    chosen = report.attempts[1].hyperparameters
    keys = ("raw/market", "features/volatility_forecasting", "model/volatility_forecasting/dlinear")
    order = Order(("volatility_forecasting",), ("dlinear",), DATASET, ProfileName.FAST, {"hyperparameters": chosen})
    config = {name: {"config": given} for name, given in _run_config(order) if name == "model__volatility_forecasting__dlinear"}
    assert materialise(*keys, config=config).success
    ledger = Ledger.open()
    trained = [trial for trial in ledger.trials("volatility_forecasting", "dlinear") if trial.fold is None]
    assert [trial.hyperparameters for trial in trained] == [chosen]
    assert ledger.count_configurations("volatility_forecasting", "dlinear", report.snapshot) == 3
    ledger.close()


def test_settings_reach_the_one_model_that_is_named() -> None:
    settings = {"hyperparameters": {"hidden": 16}, "training": {"max_epochs": 1}}
    given = dict(_run_config(Order(("volatility_forecasting",), ("gru",), None, ProfileName.FULL, settings)))
    assert given["model__volatility_forecasting__gru"] == {"profile": "FULL", **settings}
    assert given["model__volatility_forecasting__dlinear"] == {"profile": "FULL"}


def test_the_job_takes_turns_with_trainings() -> None:
    (op,) = build().resolve_job_def("tune").nodes
    assert op.name == "tune"
    assert op.definition.pool == "training"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pair": "volatility_forecasting-grru"}, "did you mean"),
        ({"pair": "volatility_forecasting-last_value"}, "nothing to tune"),
        ({"dataset": "no_such"}, "no_such"),
        ({"dataset": "simulated_loans"}, "needs market"),
        ({"only": ["rigde"]}, "ridge"),
    ],
)
def test_what_cannot_be_tuned_fails_with_the_remedy(market: Path, given: dict[str, Any], said: str) -> None:
    result = launch(**given)
    assert not result.success
    assert said in failure(result)


def test_the_same_is_refused_before_a_run_is_made(market: Path) -> None:
    with pytest.raises(UnknownName, match="dlinear"):
        tune("volatility_forecasting-dlinaer", dataset=DATASET)
    with pytest.raises(FinmlError, match="needs market"):
        tune(PAIR, dataset="simulated_loans")
    with pytest.raises(UnknownName, match="ridge"):
        tune(PAIR, only=["rigde"], dataset=DATASET)
    assert not market.exists()


def test_a_run_that_fails_says_why(market: Path) -> None:
    register(market.parent / "data", sessions=250)
    with pytest.raises(FinmlError, match="history"):
        tune(PAIR, trials=2, dataset=DATASET)
