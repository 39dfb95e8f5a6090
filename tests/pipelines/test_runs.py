"""Whole runs of the pipeline on small data: what they leave behind, and that losing is not failing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from small_market import DATASET, MODELS, materialise, register, training

from finml_ledger import Ledger
from finml_models import datasets
from finml_models.core import artifact, catalog, serving
from finml_models.core.task import Task
from finml_models.evaluation import report
from finml_pipelines import records, steps
from finml_pipelines.records import ModelRecord, ReportRecord, ServiceRecord

TASK = "volatility_forecasting"
Run = tuple[Path, dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The whole pipeline, the LSTM left untrained on purpose."""
    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(folder / "home"))
        patch.setenv("FINML_DATASETS", str(register(folder / "data")))
        patch.delenv("DAGSTER_HOME", raising=False)
        config = training()
        config["model__volatility_forecasting__lstm"]["config"]["training"]["max_epochs"] = 0
        yield folder / "home", materialise(config=config)


def test_a_losing_model_leaves_the_run_green_its_check_red_and_no_bento(untrained: Run) -> None:
    home, result = untrained
    assert result.success
    (gate,) = [check for check in result.get_asset_check_evaluations() if check.asset_key.path == ["report", TASK, "lstm"]]
    assert not gate.passed
    assert gate.severity.value == "WARN"
    assert records.get(("service", TASK, "lstm")) is None
    assert not list((home / "bentoml").glob(f"bentos/{TASK}-lstm/*"))
    (judged,) = Ledger.open().releases(TASK, "lstm")
    assert (judged.gate_passed, judged.bento_tag) == (False, None)
    assert (home / judged.report).is_file()


def test_the_best_baseline_is_released_when_no_model_passes(untrained: Run) -> None:
    rows = steps.rank(TASK)
    champion = next(row for row in rows if row.champion)
    assert champion.is_baseline
    assert champion.release is not None
    record = records.get(("service", TASK, champion.model))
    assert isinstance(record, ServiceRecord)
    assert record.tag == f"{TASK}-{champion.model}:{record.version}"
    assert Ledger.open().newest_release(TASK).bento_tag == record.tag


def test_the_leaderboard_is_made_although_models_lost_and_holds_every_contender(untrained: Run) -> None:
    (made,) = untrained[1].asset_materializations_for_node("leaderboard__volatility_forecasting")
    assert made.metadata["champion"].value in catalog.task(TASK).baselines
    assert {row.model for row in steps.rank(TASK)} == {pair.entry.id for pair in catalog.contenders(TASK)} == {*MODELS, *catalog.task(TASK).baselines}


def test_the_leaderboard_has_a_page_that_links_to_every_report(untrained: Run) -> None:
    home, result = untrained
    (made,) = result.asset_materializations_for_node("leaderboard__volatility_forecasting")
    page = Path(str(made.metadata["page"].value))
    assert page == home / "reports" / TASK / "leaderboard.html"
    text = page.read_text()
    for row in steps.rank(TASK):
        link = f"{row.model}/{row.version}/report.html"
        assert link in text
        assert (page.parent / link).is_file()


def test_a_report_counts_every_fit_of_every_model_of_its_task(untrained: Run) -> None:
    record = records.get(("report", TASK, "gru"))
    document = report.read(records.locate(record.report))
    assert (document.trials.fits, document.trials.configurations) == (4 * len(MODELS), len(MODELS))
    assert document.judgement.tried == len(MODELS)


def test_a_written_waiver_releases_what_the_gate_refused_and_the_report_shows_it(untrained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = report.read(records.locate(records.get(("report", TASK, "lstm")).report)).gate
    reason = "A test of the waiver itself, on data that somebody made up for it."
    today = dt.datetime.now(dt.UTC).date()
    (tmp_path / f"{TASK}-lstm.toml").write_text(
        f'task = "{TASK}"\nentry = "lstm"\ngate = "{refused.version}"\nchecks = {list(refused.failed)}\nreason = "{reason}"\n'
        f'author = "A name that can be asked"\ndate = {today}\nexpiry = {today + dt.timedelta(days=30)}\n'
    )
    monkeypatch.setenv("FINML_WAIVERS", str(tmp_path))
    assert materialise(f"report/{TASK}/lstm", config={}).success
    waived = report.read(records.locate(records.get(("report", TASK, "lstm")).report)).gate
    assert waived.passed_by_waiver
    assert waived.waiver.reason == reason
    monkeypatch.delenv("FINML_WAIVERS")
    assert materialise(f"report/{TASK}/lstm", config={}).success
    assert not report.read(records.locate(records.get(("report", TASK, "lstm")).report)).gate.passed


def test_every_fit_is_a_trial(untrained: Run) -> None:
    _, result = untrained
    trials = Ledger.open().trials(TASK, "gru", run_id=result.run_id)
    assert [(trial.fold, trial.seed) for trial in trials] == [(0, 0), (1, 0), (2, 0), (None, 0)]
    assert all(trial.value is not None and trial.samples for trial in trials if trial.fold is not None)
    assert len({trial.fingerprint_id for trial in trials}) == 1


def test_a_report_says_where_its_numbers_come_from(untrained: Run) -> None:
    record = records.get(("report", TASK, "gru"))
    assert isinstance(record, ReportRecord)
    document = report.read(records.locate(record.report))
    assert document.data.dataset == DATASET
    assert document.fingerprint["snapshot"] == document.data.snapshot
    assert document.fingerprint["config"]["max_epochs"] == 1
    assert document.version == record.version
    assert DATASET in document.reproduce


def test_a_second_run_of_the_same_configuration_makes_the_same_version(untrained: Run) -> None:
    before = records.get(("model", TASK, "gru"))
    assert materialise(f"model/{TASK}/gru", config={k: v for k, v in training().items() if k.endswith("gru")}).success
    after = records.get(("model", TASK, "gru"))
    assert isinstance(before, ModelRecord)
    assert isinstance(after, ModelRecord)
    assert after.version == before.version


def test_an_artifact_answers_from_raw_rows(untrained: Run) -> None:
    record = records.get(("model", TASK, "gru"))
    held = artifact.load(records.locate(record.artifact))
    rows = datasets.load(DATASET).frame.groupby("entity").tail(80)
    request = catalog.task(TASK).request.model_validate(
        {"rows": tuple({"entity": r.entity, "time": r.time.date(), "close": r.close} for r in rows.itertuples())}
    )
    answer = serving.answer(held, request)
    assert [asset.entity for asset in answer.assets] == ["AAA", "BBB", "CCC"]
    assert answer.version == record.version
    for asset in answer.assets:
        assert [f.horizon for f in asset.forecasts] == [1, 5, 22]
        assert all(0 < f.low < f.high and f.volatility > 0 for f in asset.forecasts)


def test_an_unknown_dataset_fails_its_asset_with_the_near_matches(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path)))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    result = materialise("raw/market", config={"raw__market": {"config": {"dataset": "smal_market"}}})
    assert not result.success
    failure = result.failure_data_for_node("raw__market")
    assert "small_market" in failure.user_failure_data.description


def test_reports_refuse_baselines_of_another_snapshot(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path)))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    chain = ("raw/market", f"features/{TASK}")
    models = tuple(f"model/{TASK}/{name}" for name in catalog.task(TASK).baselines)
    assert materialise(*chain, *models, config={}).success
    register(tmp_path, seed=4)
    assert materialise(*chain, f"model/{TASK}/log_har", config={}).success
    result = materialise(f"report/{TASK}/log_har", config={})
    assert not result.success
    assert "another snapshot" in result.failure_data_for_node(f"report__{TASK}__log_har").user_failure_data.description


def test_a_leak_in_the_features_stops_the_run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path)))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    task = catalog.task(TASK)
    honest = task.features

    def centred(self: Task, raw: pd.DataFrame) -> pd.DataFrame:
        x = honest(self, raw)
        return x.assign(return_d=x.groupby("entity")["return_d"].transform(lambda s: s.rolling(3, center=True).mean()))

    monkeypatch.setattr(task, "features", centred)
    result = materialise("raw/market", f"features/{TASK}", f"model/{TASK}/log_har", config={})
    assert not result.success
    (audit,) = result.get_asset_check_evaluations()
    assert (audit.check_name, audit.passed, audit.severity.value) == ("truncation_audit", False, "ERROR")
    assert "return_d" in str(audit.metadata["leaks"].value)
    assert not result.get_step_success_events() or all("log_har" not in event.step_key for event in result.get_step_success_events())
