"""A version may replace the champion when it beats it on rows that neither was trained on, and the ledger says whether it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from served_cases import NOW, TASK, TRAINED, bars, before, released

from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.challenges import standing
from finml_ledger.watch import challenge_of
from finml_models.core import catalog
from finml_models.core.errors import DataError
from finml_models.core.home import home as state
from finml_models.evaluation import report as reporting
from finml_models.evaluation.backtest import long_form
from finml_models.monitoring.documents import Result
from finml_pipelines import records, steps
from finml_pipelines.challenges import against_champion
from finml_pipelines.records import ModelRecord, ReportRecord


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    opened = Ledger.open(clock=lambda: NOW)
    yield opened
    opened.close()


def test_a_challenge_is_decided_on_rows_that_neither_was_trained_on(ledger: Ledger) -> None:
    champion, challenger = released(ledger, "last_value"), released(ledger, "log_har", sessions=720)
    found = challenge_of(ledger, TASK, champion, challenger, bars())
    assert found.outcome is Result.WON
    assert found.after == str(before(720)["time"].max().to_datetime64().astype("datetime64[s]"))
    assert found.first >= found.after[:10]
    assert (found.rows, found.units) == (3 * 3 * (900 - 22 - 719), 900 - 22 - 719)
    assert found.champion_value > found.challenger_value
    back = challenge_of(ledger, TASK, challenger, champion, bars())
    assert (back.outcome, back.difference) == (Result.LOST, pytest.approx(-found.difference))


def test_without_fresh_rows_nothing_is_decided_and_a_lost_snapshot_is_said(ledger: Ledger) -> None:
    champion, challenger = released(ledger, "last_value"), released(ledger, "log_har", sessions=900)
    found = challenge_of(ledger, TASK, champion, challenger, bars())
    assert (found.outcome, found.rows) == (Result.TOO_FEW, 0)
    few = challenge_of(ledger, TASK, champion, released(ledger, "ewma", sessions=860), bars())
    assert few.outcome is Result.TOO_FEW
    assert "dates are too few" in few.reason
    (state() / "data" / f"snapshot{TRAINED}.parquet").unlink()
    with pytest.raises(DataError, match="restore it or train again"):
        challenge_of(ledger, TASK, champion, challenger, bars())


def test_a_version_does_not_beat_itself(ledger: Ledger) -> None:
    slot = released(ledger, "log_har")
    found = challenge_of(ledger, TASK, slot, slot, bars())
    assert (found.outcome, found.p) == (Result.UNDECIDED, 1.0)


def backtest(slot: Slot, entry: str = "log_har", first: int = 650) -> pd.DataFrame:
    """Out-of-sample predictions of an entry's fit on the first sessions, kept where the pipeline keeps those of a version."""
    pair = catalog.pair(f"{TASK}-{entry}")
    task = pair.task()
    whole = task.view(pair.kind, task.features(bars()), task.target(bars()))
    cut = before(first)["time"].max().to_datetime64()
    train, test = np.flatnonzero(whole.until <= cut), np.flatnonzero(whole.time > cut)
    estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(whole))
    estimator.fit(whole.take(train[:-150]), whole.take(train[-150:]))
    frame = long_form(whole.take(test), estimator.predict(whole.take(test)), task.horizons, 2, 5)
    path = state() / "backtests" / TASK / slot.entry / slot.version / "predictions.parquet"
    path.parent.mkdir(parents=True)
    frame.to_parquet(path)
    return frame


def test_a_version_that_was_trained_on_everything_is_judged_by_its_walk_forward_fits(ledger: Ledger) -> None:
    champion, retrained = released(ledger, "last_value"), released(ledger, "log_har", sessions=900)
    frame = backtest(retrained)
    found = challenge_of(ledger, TASK, champion, retrained, bars())
    assert (found.by, found.outcome) == ("backtest", Result.WON)
    # Behind the champion's training alone: the fits also predicted rows that the champion had learned from.
    assert found.units == 900 - 22 - (TRAINED - 1)
    assert found.units < frame["time"].nunique()
    assert found.first >= found.after[:10]


def test_walk_forward_fits_worse_than_the_champion_lose(ledger: Ledger) -> None:
    champion, retrained = released(ledger, "log_har"), released(ledger, "ewma", sessions=900)
    backtest(retrained, "last_value")
    assert challenge_of(ledger, TASK, champion, retrained, bars()).outcome is Result.LOST


def record(ledger: Ledger, slot: Slot) -> ModelRecord:
    release = ledger.release(TASK, slot.entry, slot.version)
    return ModelRecord(
        task=TASK,
        entry=slot.entry,
        dataset="small",
        snapshot=release.fingerprint["snapshot"],
        version=slot.version,
        artifact=release.artifact,
        predictions="",
        fits="",
        profile="fast",
        seconds=1,
        fingerprint=release.fingerprint,
    )


def judged(ledger: Ledger, slot: Slot) -> ReportRecord:
    release = ledger.release(TASK, slot.entry, slot.version)
    assert release.report is not None
    facts = {"artifact": release.artifact, "report": release.report, "page": "", "verdict": release.verdict, "passed": True}
    return ReportRecord(task=TASK, entry=slot.entry, version=slot.version, **facts)


def test_a_judged_version_is_challenged_and_the_ledger_says_whether_it_may_replace_the_champion(ledger: Ledger) -> None:
    champion, rival = released(ledger, "last_value"), released(ledger, "log_har", sessions=720)
    assert against_champion(ledger, record(ledger, rival), bars()) is None
    assert standing(ledger, TASK, rival).may_replace
    book = Deployments(ledger)
    book.deploy(TASK, champion, actor="test")
    assert "never compared" in standing(ledger, TASK, rival).reason
    assert against_champion(ledger, record(ledger, champion), bars()) is None
    judgement = judged(ledger, rival)
    document = reporting.read(records.locate(judgement.report))
    steps._record(judgement, document, None, "run", record(ledger, rival), bars())
    found = standing(ledger, TASK, rival)
    assert found.may_replace
    assert found.challenge is not None
    assert found.challenge.outcome is Result.WON
    # Packaging writes the release once more, and must not lose what was found.
    steps._record(judgement, document, "bento:1", "run")
    assert standing(ledger, TASK, rival).may_replace
    assert ledger.release(TASK, rival.entry, rival.version).bento_tag == "bento:1"
    # Another champion serves meanwhile: a win against the former one counts for nothing.
    book.promote(TASK, released(ledger, "ewma"), actor="test")
    assert not standing(ledger, TASK, rival).may_replace


def test_a_champion_whose_artifact_is_gone_leaves_the_challenge_undecided_and_the_report_whole(ledger: Ledger) -> None:
    champion, rival = released(ledger, "last_value"), released(ledger, "log_har", sessions=720)
    Deployments(ledger).deploy(TASK, champion, actor="test")
    (state() / "artifacts" / TASK / "last_value" / champion.version / "manifest.json").unlink()
    found = against_champion(ledger, record(ledger, rival), bars())
    assert found is not None
    assert found.outcome is Result.TOO_FEW
    assert "manifest.json" in found.reason
