"""What was tried stays known, in order, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_rows import RELEASE, TRIAL

from finml_ledger import Ledger, Status, TrialStatistics
from finml_models.core.errors import Conflict, DataError, LedgerUnavailable, UnknownName


def test_a_trial_goes_from_running_to_finished(ledger: Ledger) -> None:
    trial_id = ledger.start_trial(**TRIAL, run_id="r1")
    (running,) = ledger.trials()
    assert (running.id, running.status, running.finished_at, running.value) == (trial_id, Status.RUNNING, None, None)
    ledger.finish_trial(trial_id, metric="qlike", value=0.25, variance=0.5, samples=800, seconds=3.5)
    (finished,) = ledger.trials()
    assert (finished.status, finished.metric, finished.value, finished.variance, finished.samples) == (Status.FINISHED, "qlike", 0.25, 0.5, 800)
    assert finished.finished_at is not None
    assert finished.finished_at >= finished.started_at
    assert finished.started_at.tzinfo is UTC


def test_failed_and_running_trials_are_counted(ledger: Ledger) -> None:
    for _ in range(3):
        trial_id = ledger.start_trial(**TRIAL)
    ledger.fail_trial(trial_id, "the loss became NaN in epoch 2\0\udc80")
    ledger.start_trial(**TRIAL | {"entry": "lstm"})
    assert ledger.count_trials() == 4
    assert ledger.count_trials("volatility_forecasting", "gru") == 3
    assert ledger.count_trials("fraud_detection") == 0
    (failed,) = ledger.trials(status=Status.FAILED)
    assert failed.error == "the loss became NaN in epoch 2??"


def test_trials_are_filtered_and_paged(ledger: Ledger) -> None:
    for seed in range(5):
        ledger.start_trial(**TRIAL | {"seed": seed}, run_id="even" if seed % 2 == 0 else "odd")
    assert [t.seed for t in ledger.trials(run_id="even")] == [0, 2, 4]
    first = ledger.trials(limit=2)
    assert [t.seed for t in first] == [0, 1]
    assert [t.seed for t in ledger.trials(after=first[-1].sequence)] == [2, 3, 4]


def test_the_final_fit_has_no_fold_and_no_value(ledger: Ledger) -> None:
    ledger.finish_trial(ledger.start_trial(**TRIAL | {"fold": None}), metric="qlike", seconds=2.0)
    (trial,) = ledger.trials()
    assert (trial.fold, trial.value, trial.status) == (None, None, Status.FINISHED)


def test_json_comes_back_as_it_went_in(ledger: Ledger) -> None:
    document = {"text": "ρ → ∞ 🙂 \x00 \u202e", "float": 0.1 + 0.2, "big": 2**63, "none": None, "nested": {"list": [1, 1.0, True, "1"]}}
    ledger.start_trial(**TRIAL | {"hyperparameters": document, "config": {}})
    (trial,) = ledger.trials()
    assert trial.hyperparameters == document
    assert isinstance(trial.hyperparameters["nested"]["list"][1], float)
    assert trial.config == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_not_finite_is_refused(ledger: Ledger, value: float) -> None:
    trial_id = ledger.start_trial(**TRIAL)
    with pytest.raises(DataError, match="fail_trial"):
        ledger.finish_trial(trial_id, metric="qlike", value=value, variance=0.1, samples=10, seconds=1.0)
    assert ledger.trials()[0].status == Status.RUNNING


@pytest.mark.parametrize("missing", ["variance", "samples"])
def test_a_value_without_what_tests_need_of_it_is_refused(ledger: Ledger, missing: str) -> None:
    trial_id = ledger.start_trial(**TRIAL)
    outcome = {"value": 0.25, "variance": 0.5, "samples": 800} | {missing: None}
    with pytest.raises(DataError, match="record all three"):
        ledger.finish_trial(trial_id, metric="qlike", seconds=1.0, **outcome)
    assert ledger.trials()[0].status == Status.RUNNING


def finished(ledger: Ledger, value: float | None, **facts: object) -> None:
    outcome = {} if value is None else {"value": value, "variance": 0.5, "samples": 800}
    ledger.finish_trial(ledger.start_trial(**TRIAL | facts), metric="qlike", seconds=1.0, **outcome)


def test_configurations_are_counted_apart_from_their_folds_and_seeds(ledger: Ledger) -> None:
    for entry, config, fold, seed in [("gru", "a", 0, 0), ("gru", "a", 1, 0), ("gru", "a", 0, 1), ("gru", "b", 0, 0), ("lstm", "a", 0, 0)]:
        finished(ledger, 0.3, entry=entry, config_hash=config, fold=fold, seed=seed)
    # One that failed and one that was killed were tried as well.
    ledger.fail_trial(ledger.start_trial(**TRIAL | {"config_hash": "c"}), "diverged")
    ledger.start_trial(**TRIAL | {"config_hash": "d"})
    ledger.start_trial(**TRIAL | {"config_hash": "e", "data_snapshot": "another"})
    task = TRIAL["task"]
    assert ledger.count_configurations(task, "gru", TRIAL["data_snapshot"]) == 4
    assert ledger.count_configurations(task, "gru") == 5
    assert ledger.count_configurations(task, data_snapshot=TRIAL["data_snapshot"]) == 5
    assert ledger.count_configurations("fraud_detection") == 0


def test_statistics_of_trials_are_those_of_their_values(ledger: Ledger) -> None:
    for config, values in {"a": (1.0, 3.0), "b": (5.0, 7.0)}.items():
        for fold, value in enumerate(values):
            finished(ledger, value, config_hash=config, fold=fold)
    finished(ledger, None, config_hash="a", fold=None)
    finished(ledger, 100.0, entry="lstm")
    ledger.fail_trial(ledger.start_trial(**TRIAL), "diverged")
    found = ledger.trial_statistics(TRIAL["task"], "gru", "qlike")
    assert (found.count, found.mean, found.configurations) == (4, 4.0, 2)
    assert found.variance == pytest.approx(20 / 3)
    assert found.variance_between == pytest.approx(8.0)
    everyone = ledger.trial_statistics(TRIAL["task"], None, "qlike")
    assert (everyone.count, everyone.configurations) == (5, 3)
    assert ledger.trial_statistics(TRIAL["task"], "gru", "pinball") == TrialStatistics(0, None, None, 0, None)


def test_a_trial_ends_once(ledger: Ledger) -> None:
    trial_id = ledger.start_trial(**TRIAL)
    ledger.fail_trial(trial_id, "killed")
    with pytest.raises(Conflict, match="already failed"):
        ledger.finish_trial(trial_id, metric="qlike", value=0.2, variance=0.1, samples=10, seconds=1.0)
    assert ledger.trials()[0].error == "killed"


def test_an_unknown_trial_is_named(ledger: Ledger) -> None:
    with pytest.raises(UnknownName, match="nowhere"):
        ledger.fail_trial("nowhere", "killed")


def test_order_is_by_sequence_when_the_clock_steps_back(address: str) -> None:
    start = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    moments = iter(start - timedelta(hours=h) for h in range(100))
    ledger = Ledger.open(address, clock=lambda: next(moments))
    for seed in range(4):
        ledger.start_trial(**TRIAL | {"seed": seed})
    for version in ("a" * 16, "b" * 16):
        ledger.record_release(**RELEASE | {"version": version})
    trials = ledger.trials()
    assert [t.seed for t in trials] == [0, 1, 2, 3]
    assert trials[0].started_at > trials[-1].started_at
    newest = ledger.newest_release("volatility_forecasting")
    assert newest is not None
    assert newest.version == "b" * 16
    ledger.close()


def test_recording_the_same_release_again_keeps_one_row(ledger: Ledger) -> None:
    first = ledger.record_release(**RELEASE)
    second = ledger.record_release(**RELEASE)
    assert (first.sequence, first.created_at) == (second.sequence, second.created_at)
    assert len(ledger.releases()) == 1


def test_a_newer_judgement_of_the_same_version_replaces_the_older(ledger: Ledger) -> None:
    ledger.record_release(**RELEASE)
    ledger.record_release(**RELEASE | {"gate_passed": True, "verdict": "better", "bento_tag": "volatility_forecasting-gru:0123456789abcdef"})
    (release,) = ledger.releases()
    assert (release.gate_passed, release.verdict, release.bento_tag) == (True, "better", "volatility_forecasting-gru:0123456789abcdef")


def test_releases_of_other_entries_are_left_out(ledger: Ledger) -> None:
    ledger.record_release(**RELEASE)
    ledger.record_release(**RELEASE | {"entry": "log_har"})
    assert [r.entry for r in ledger.releases("volatility_forecasting")] == ["gru", "log_har"]
    newest = ledger.newest_release("volatility_forecasting", "gru")
    assert newest is not None
    assert newest.entry == "gru"
    assert ledger.newest_release("fraud_detection") is None


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "artifacts/../../outside"])
def test_a_path_that_leaves_the_state_folder_is_refused(ledger: Ledger, path: str) -> None:
    with pytest.raises(DataError, match="relative"):
        ledger.record_release(**RELEASE | {"artifact": path})


def test_the_default_ledger_lies_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_LEDGER_URL", raising=False)
    monkeypatch.setenv("FINML_HOME", str(tmp_path / "new" / "home"))
    Ledger.open().close()
    assert (tmp_path / "new" / "home" / "ledger.sqlite").is_file()


def test_the_environment_names_another_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_LEDGER_URL", f"sqlite:///{tmp_path / 'other.sqlite'}")
    Ledger.open().close()
    assert (tmp_path / "other.sqlite").is_file()


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match=r"missing/ledger\.sqlite.*unable to open"):
        Ledger.open(f"sqlite:///{tmp_path / 'missing' / 'ledger.sqlite'}")


def test_a_state_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.delenv("FINML_LEDGER_URL", raising=False)
    monkeypatch.setenv("FINML_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(LedgerUnavailable, match="FINML_HOME"):
        Ledger.open()


def test_a_read_only_ledger_answers_and_refuses_to_write(address: str, ledger: Ledger, tmp_path: Path) -> None:
    ledger.start_trial(**TRIAL)
    read_only = Ledger.open(f"sqlite:///file:{tmp_path / 'ledger.sqlite'}?mode=ro&uri=true")
    assert read_only.count_trials() == 1
    with pytest.raises(LedgerUnavailable, match="readonly"):
        read_only.start_trial(**TRIAL)
    read_only.close()


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"these bytes are not a database" * 100)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")


@pytest.mark.parametrize("url", ["ledger.sqlite", "mysql://localhost/x", "nonsense://x"])
def test_an_unusable_address_says_what_to_write(url: str) -> None:
    with pytest.raises(LedgerUnavailable, match="sqlite:///path"):
        Ledger.open(url)
