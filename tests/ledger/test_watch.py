"""What is said of a deployed version: drift, decay against its report, the A/B test, the challenge, and one alarm a cause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_cases import NOW, TASK, TRAINED, answer, asked, bars, keep, prediction, released

from finml_ledger import Deployments, Ledger, Slot
from finml_ledger.alarms import alarms, evaluate, unanswered
from finml_ledger.alarms import answer as answered_by
from finml_ledger.models import ServedPrediction
from finml_ledger.outcomes import OutcomeReport, record_known, record_outcomes
from finml_ledger.watch import decay_of, drift_of, experiment_of
from finml_models.core import catalog
from finml_models.core.home import home as state
from finml_models.monitoring.documents import Decision, Design, Quality

SERVED = range(TRAINED, TRAINED + 30)


@pytest.fixture
def ledger(home: Path, address: str) -> Iterator[Ledger]:
    opened = Ledger.open(address, clock=lambda: NOW)
    yield opened
    opened.close()


def serve(ledger: Ledger, slot: Slot, sessions: range, *, shift: float = 0.0, first: int = 0) -> None:
    requests = [asked(session, shift) for session in sessions]
    keep(ledger, [prediction(first + i, slot, request=r, answer=answer(slot, r)) for i, r in enumerate(requests)])


def test_requests_like_the_training_have_not_drifted_and_wilder_ones_have(ledger: Ledger) -> None:
    slot = released(ledger, "log_har")
    assert "at least 50" in drift_of(ledger, TASK, slot).reason
    serve(ledger, slot, SERVED)
    calm = drift_of(ledger, TASK, slot)
    assert (calm.rows, calm.drifted) == (90, ())
    assert {one.feature for one in calm.features} >= {"log_var_d", "return_d"}
    serve(ledger, slot, range(TRAINED + 30, TRAINED + 80), shift=0.002, first=500)
    wild = drift_of(ledger, TASK, slot)
    assert "return_d" in wild.drifted
    assert wild.features[0].drifted


def scored(number: int, slot: Slot, loss: float, *, day: int, entity: str = "A", **facts: Any) -> ServedPrediction:
    """An answer whose QLIKE is about `loss` once the log variance turned out as 0."""
    time = (NOW + timedelta(days=day)).date().isoformat()
    variance = float(np.exp(-np.sqrt(2 * loss)))
    forecasts = [{"horizon": h, "low": 0.1, "high": 0.2, "variance": variance} for h in (1, 5, 22)]
    return prediction(number, slot, answer={"assets": [{"entity": entity, "as_of": time, "forecasts": forecasts}]}, **facts)


def all_zero(ledger: Ledger, days: range, entities: str = "A") -> None:
    start = NOW.replace(hour=0)
    values = {"h1": 0.0, "h5": 0.0, "h22": 0.0}
    record_outcomes(ledger, [OutcomeReport(task=TASK, entity=e, time=start + timedelta(days=day), values=values) for day in days for e in entities])


def test_a_version_decays_when_its_realised_loss_lies_beyond_the_promise(ledger: Ledger) -> None:
    slot = released(ledger, "log_har", promised=0.5)
    days = range(22 * 52)
    rng = np.random.default_rng(1)
    keep(ledger, [scored(i, slot, 0.4 * rng.random(), day=i) for i in days])
    early, course = decay_of(ledger, TASK, slot)
    assert (early.state, course) == (Quality.TOO_FEW, ())
    all_zero(ledger, days)
    kept, course = decay_of(ledger, TASK, slot)
    assert (kept.state, kept.units, len(course)) == (Quality.KEPT, 52, 24)
    assert kept.promise.low < 0.5 < kept.promise.high * 1.5
    worse = released(ledger, "ewma", promised=0.1)
    keep(ledger, [scored(5_000 + i, worse, 0.4 + 0.4 * rng.random(), day=i) for i in days])
    found, _ = decay_of(ledger, TASK, worse)
    assert found.state is Quality.DECAYED
    assert found.low is not None
    assert found.low > found.promise.high
    assert "worse than the promise" in found.reason


def deploy(ledger: Ledger, share: float = 0.5) -> tuple[Slot, Slot]:
    champion, challenger = released(ledger, "log_har"), released(ledger, "ewma")
    book = Deployments(ledger)
    book.deploy(TASK, champion, actor="test")
    book.deploy(TASK, challenger, actor="test")
    book.split(TASK, challenger, share, actor="test")
    return champion, challenger


def test_an_experiment_of_pairs_is_read_by_blocks_of_dates(ledger: Ledger) -> None:
    champion, challenger = deploy(ledger)
    days, rng = range(22 * 52), np.random.default_rng(2)
    level = rng.random(len(days))
    rows = [scored(i, champion, 0.5 + level[i] + 0.1 * rng.random(), day=i, revision=3) for i in days]
    rows += [scored(9_000 + i, challenger, 0.4 + level[i] + 0.1 * rng.random(), day=i, revision=3, role="challenger") for i in days]
    keep(ledger, rows)
    assert experiment_of(ledger, TASK).comparison.decision is Decision.TOO_EARLY
    all_zero(ledger, days)
    found = experiment_of(ledger, TASK)
    assert (found.running, found.share, found.stop, found.champion, found.challenger) == (True, 0.5, False, champion, challenger)
    assert (found.comparison.design, found.comparison.unit, found.comparison.units) == (Design.PAIRED, "blocks of 22 dates", 52)
    assert found.comparison.decision is Decision.BETTER
    assert "at any time" in found.comparison.read


def test_entities_that_one_version_alone_answered_are_compared_as_the_split_drew_them(ledger: Ledger) -> None:
    champion, challenger = deploy(ledger, share=0.3)
    rng = np.random.default_rng(3)
    rows, names = [], []
    for i in range(900):
        mine = rng.random() < 0.3
        names.append(f"E{i}")
        slot, role = (challenger, "challenger") if mine else (champion, "champion")
        rows.append(scored(i, slot, 0.5 + 0.3 * mine + 0.3 * rng.random(), day=i % 5, entity=names[-1], role=role, revision=3))
    keep(ledger, rows)
    start = NOW.replace(hour=0)
    values = {"h1": 0.0, "h5": 0.0, "h22": 0.0}
    record_outcomes(ledger, [OutcomeReport(task=TASK, entity=name, time=start + timedelta(days=i % 5), values=values) for i, name in enumerate(names)])
    found = experiment_of(ledger, TASK).comparison
    assert (found.design, found.units, found.decision) == (Design.RANDOMISED, 900, Decision.WORSE)
    # A loss of 0.5 to 0.8 is an error of 1 to 1.26, one of 0.8 to 1.1 an error of 1.26 to 1.48.
    assert found.low < 0.62 < found.high


@pytest.mark.parametrize(("facts", "rail"), [({"status": 500}, "errors"), ({"milliseconds": 900.0}, "latency")])
def test_a_challenger_that_fails_or_is_slow_stops_the_experiment_and_raises_one_alarm(ledger: Ledger, facts: dict[str, Any], rail: str) -> None:
    champion, challenger = deploy(ledger)
    keep(ledger, [prediction(i, champion, revision=3) for i in range(100)])
    keep(ledger, [prediction(200 + i, challenger, role="challenger", revision=3, **(facts if i % 2 else {})) for i in range(100)])
    found = experiment_of(ledger, TASK)
    assert found.stop
    assert [one.name for one in found.rails if one.broken] == [rail]
    assert rail in found.reason
    written, trouble = evaluate(ledger, TASK)
    assert ([(alarm.kind, alarm.version) for alarm in written], trouble) == ([(rail, challenger.version)], None)
    assert evaluate(ledger, TASK) == ([], None)
    assert unanswered(ledger) == []


def test_a_healthy_pair_breaks_no_guard_rail_and_without_a_challenger_there_is_no_experiment(ledger: Ledger) -> None:
    champion, challenger = deploy(ledger)
    keep(ledger, [prediction(i, slot, role=role, revision=3) for i, (slot, role) in enumerate([(champion, "champion"), (challenger, "challenger")] * 200)])
    assert not experiment_of(ledger, TASK).stop
    Deployments(ledger).promote(TASK, challenger, actor="test")
    alone = experiment_of(ledger, TASK)
    assert (alone.running, alone.champion) == (False, challenger)


def test_what_was_served_before_the_two_met_is_no_part_of_their_experiment(ledger: Ledger) -> None:
    champion, challenger = deploy(ledger)
    keep(ledger, [scored(1, champion, 0.1, day=1, revision=1), scored(2, challenger, 0.1, day=1, revision=3, role="challenger")])
    all_zero(ledger, range(2))
    assert experiment_of(ledger, TASK).comparison.design is Design.RANDOMISED


def test_drift_raises_an_alarm_once_and_a_run_answers_it_once(ledger: Ledger) -> None:
    slot = released(ledger, "log_har")
    Deployments(ledger).deploy(TASK, slot, actor="test")
    serve(ledger, slot, range(TRAINED, TRAINED + 40), shift=0.002)
    (alarm, stale), trouble = evaluate(ledger, TASK)
    assert (alarm.kind, alarm.entry, stale.kind, trouble) == ("drift", "log_har", "freshness", None)
    assert "return_d" in alarm.detail["inputs"]
    assert evaluate(ledger, TASK) == ([], None)
    assert [one.sequence for one in unanswered(ledger)] == [alarm.sequence]
    answered_by(ledger, alarm.sequence, "run-1")
    answered_by(ledger, alarm.sequence, "run-2")
    assert unanswered(ledger) == []
    assert [one.run_id for one in alarms(ledger, TASK)] == [None, "run-1"]


def test_old_data_raise_an_alarm(ledger: Ledger) -> None:
    slot = released(ledger, "log_har")
    Deployments(ledger).deploy(TASK, slot, actor="test")
    keep(ledger, [prediction(1, slot, answer={"assets": [{"entity": "A", "as_of": "2020-05-15"}]}, at=NOW)])
    ((alarm,), _) = evaluate(ledger, TASK)
    assert (alarm.kind, alarm.detail["sessions"]) == ("freshness", 9)


def test_an_artifact_that_is_gone_is_told_and_stops_nothing(ledger: Ledger) -> None:
    slot = released(ledger, "log_har")
    Deployments(ledger).deploy(TASK, slot, actor="test")
    (state() / "artifacts" / TASK / "log_har" / slot.version / "manifest.json").unlink()
    written, trouble = evaluate(ledger, TASK)
    assert written == []
    assert "manifest.json" in trouble


def test_realised_answers_of_a_real_version_keep_what_was_measured(ledger: Ledger) -> None:
    """From requests to the decay document, the losses are those of the task's own metric."""
    slot = released(ledger, "log_har")
    serve(ledger, slot, SERVED)
    record_known(ledger, catalog.task(TASK), bars())
    found, course = decay_of(ledger, TASK, slot)
    assert (found.units, found.state) == (1, Quality.TOO_FEW)
    assert 0.01 < np.mean([point.value for point in course]) < 2
