"""Outcomes are reported once or many times, the newest counts, and each meets the answers that it scores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from served_cases import answer, asked, bars, before, keep, prediction, released
from sqlalchemy import func, select

from finml_ledger import Ledger, Slot
from finml_ledger.models import Outcome
from finml_ledger.outcomes import OutcomeReport, joined, outcomes, record_known, record_outcomes
from finml_models.core import catalog
from finml_models.core.errors import DataError, NoOutcome, UnknownName
from finml_models.core.realised import answered
from finml_models.monitoring.losses import by_answer, long_form

DAY = datetime(2020, 1, 6, tzinfo=UTC)
SLOT = Slot(entry="log_har", version="a" * 16)


def told(entity: str = "A", *, time: datetime = DAY, task: str = "credit_risk", **values: Any) -> OutcomeReport:
    return OutcomeReport(task=task, entity=entity, time=time, values=values or {"defaulted": False})


def rows(ledger: Ledger) -> int:
    with ledger.read() as session:
        return session.scalar(select(func.count()).select_from(Outcome)) or 0


def test_the_same_report_twice_is_one_and_a_later_one_corrects_it(ledger: Ledger) -> None:
    assert record_outcomes(ledger, [told(), told("B")]).recorded == 2
    again = record_outcomes(ledger, [told(), told("B")])
    assert (again.recorded, again.unchanged, rows(ledger)) == (0, 2, 2)
    record_outcomes(ledger, [told(defaulted=True)])
    assert outcomes(ledger, "credit_risk", [("A", DAY), ("B", DAY), ("C", DAY)]) == {("A", DAY): {"defaulted": True}, ("B", DAY): {"defaulted": False}}
    record_outcomes(ledger, [told()])
    assert outcomes(ledger, "credit_risk", [("A", DAY)]) == {("A", DAY): {"defaulted": False}}


def test_a_moment_is_the_same_in_every_zone(ledger: Ledger) -> None:
    record_outcomes(ledger, [told(task="fraud_detection", fraud=True)])
    other = DAY.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert record_outcomes(ledger, [told(task="fraud_detection", time=other, fraud=True)]).unchanged == 1


@pytest.mark.parametrize(
    ("report", "error", "words"),
    [
        (told(defaulted="perhaps"), DataError, r"outcomes\[1\]\.values: defaulted"),
        (told(fraud=True), DataError, "give defaulted"),
        (told(task="volatility_forecasting", h1=float("nan"), h5=0.0, h22=0.0), DataError, "h1"),
        (told(task="regime_detection", regime=1), NoOutcome, "nobody ever observes a regime"),
        (told(task="fraud"), UnknownName, "fraud_detection"),
    ],
)
def test_what_is_no_outcome_is_refused_with_its_place_and_nothing_is_kept(ledger: Ledger, report: OutcomeReport, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        record_outcomes(ledger, [told(), report])
    assert rows(ledger) == 0


def test_more_entities_than_a_query_may_name_are_found(ledger: Ledger) -> None:
    record_outcomes(ledger, [told(f"A{i}", defaulted=i % 2 == 0) for i in range(1_300)])
    found = outcomes(ledger, "credit_risk", [(f"A{i}", DAY) for i in range(1_300)])
    assert sum(values["defaulted"] for values in found.values()) == 650


ANSWERS: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "credit_risk": ({"applicants": [{"entity": "A", "as_of": "2020-01-06", "probability": 0.3}]}, {"defaulted": True}, 0.49),
    "fraud_detection": ({"transactions": [{"entity": "A", "as_of": "2020-01-06T00:00:00Z", "probability": 0.2}]}, {"fraud": False}, 0.04),
    "news_analysis": (
        {"texts": [{"entity": "A", "as_of": "2020-01-06T00:00:00Z", "probabilities": {"negative": 0.5, "neutral": 0.3, "positive": 0.2}}]},
        {"label": "neutral"},
        0.25 + 0.49 + 0.04,
    ),
    "price_forecasting": (
        {
            "assets": [
                {
                    "entity": "A",
                    "as_of": "2020-01-06",
                    "forecasts": [{"horizon": h, "point": 0.0, "quantiles": [{"level": 0.5, "value": 0.0}]} for h in (1, 5, 20)],
                }
            ]
        },
        {"h1": 0.1, "h5": 0.2, "h20": -0.3},
        0.1,
    ),
    "volatility_forecasting": (
        {
            "assets": [
                {"entity": "A", "as_of": "2020-01-06", "forecasts": [{"horizon": h, "low": 0.1, "high": 0.3, "variance": 1.0} for h in (1, 5, 22)]},
            ]
        },
        {"h1": 0.0, "h5": 0.0, "h22": 1.0},
        (2.718281828 - 2) / 3,
    ),
}


@pytest.mark.parametrize("task", ANSWERS)
def test_an_answer_meets_its_outcome_and_has_the_loss_of_the_use_case(ledger: Ledger, task: str) -> None:
    said, values, loss = ANSWERS[task]
    keep(ledger, [prediction(1, SLOT, task=task, answer=said), prediction(2, SLOT, task=task, status=500)])
    assert joined(ledger, task, SLOT.version) == []
    record_outcomes(ledger, [told(task=task, **values)])
    (found,) = joined(ledger, task, SLOT.version)
    assert (found.sequence, found.realised.entity, found.realised.time) == (1, "A", DAY)
    assert by_answer(catalog.task(task), [found.realised])["loss"].to_list() == pytest.approx([loss])


@pytest.mark.parametrize("task", [task for task in catalog.tasks() if catalog.task(task).outcome is None])
def test_a_use_case_without_outcomes_says_why(ledger: Ledger, task: str) -> None:
    with pytest.raises(NoOutcome, match=catalog.task(task).unscored.split(";")[0]):
        joined(ledger, task, SLOT.version)


def test_only_the_asked_version_role_and_time_are_joined(ledger: Ledger) -> None:
    said = ANSWERS["credit_risk"][0]
    other = Slot(entry="tabm", version="b" * 16)
    keep(
        ledger,
        [
            prediction(i, slot, task="credit_risk", answer=said, role=role)
            for i, (slot, role) in enumerate([(SLOT, "champion"), (SLOT, "shadow"), (other, "challenger")])
        ],
    )
    record_outcomes(ledger, [told()])
    assert len(joined(ledger, "credit_risk", SLOT.version)) == 2
    assert len(joined(ledger, "credit_risk", SLOT.version, roles=("shadow",))) == 1
    assert len(joined(ledger, "credit_risk", SLOT.version, since=datetime(2021, 1, 1, tzinfo=UTC))) == 0
    assert len(joined(ledger, "credit_risk", SLOT.version, revision=2)) == 0


def test_newer_raw_rows_tell_the_outcomes_of_served_answers(ledger: Ledger, home: Path) -> None:
    slot = released(ledger, "log_har")
    keep(ledger, [prediction(i, slot, answer=answer(slot, asked(720 + i))) for i in range(3)])
    task = catalog.task("volatility_forecasting")
    assert record_known(ledger, task, before(735)).recorded == 0
    assert record_known(ledger, task, before(743)).recorded == 3
    assert record_known(ledger, task, bars()).recorded == 6
    assert record_known(ledger, task, bars()).recorded == 0
    found = joined(ledger, "volatility_forecasting", slot.version)
    assert len(found) == 9
    target = task().target(bars()).set_index(["entity", "time"])
    for row in long_form(one.realised for one in found).itertuples():
        assert row.target == pytest.approx(target.loc[(row.entity, row.time), f"h{row.horizon}"])
    assert answered(answer(slot, asked(720)))[0][0] == "aaa"
