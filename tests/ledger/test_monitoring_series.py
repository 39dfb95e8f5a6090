"""Series of latency, failures, traffic and freshness over tens of thousands of rows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from served_cases import NOW, TASK, keep, prediction
from sqlalchemy import insert

from finml_ledger import Ledger, Slot
from finml_ledger.models import ServedPrediction
from finml_ledger.monitoring import freshness, sessions_since, totals, traffic
from finml_models.core.errors import DataError

OLD, NEW = Slot(entry="log_har", version="a" * 16), Slot(entry="gru", version="b" * 16)
HOUR = timedelta(hours=1)
DAY = {"since": NOW, "until": NOW + timedelta(days=1), "bucket": HOUR}


def about(as_of: str) -> dict[str, Any]:
    return {"assets": [{"entity": "A", "as_of": as_of}]}


def test_quantiles_are_nearest_ranks_of_the_requests_that_did_not_fail(ledger: Ledger) -> None:
    rng = np.random.default_rng(1)
    ms = rng.permutation(np.arange(1.0, 101.0))
    keep(ledger, [prediction(i, OLD, milliseconds=value) for i, value in enumerate(ms)])
    keep(ledger, [prediction(200 + i, OLD, milliseconds=9_999.0, status=503) for i in range(25)])
    (point,) = traffic(ledger, TASK, **DAY)
    assert (point.requests, point.failed, point.error_rate) == (125, 25, 0.2)
    assert (point.p50, point.p95, point.p99) == (50.0, 95.0, 99.0)
    assert totals(ledger, TASK, OLD.version, slow=90.0) == (125, 25, 10, 95.0)


def test_a_refused_request_is_the_clients_and_no_failure_of_ours(ledger: Ledger) -> None:
    keep(ledger, [prediction(1, OLD, status=422), prediction(2, OLD)])
    assert traffic(ledger, TASK, **DAY)[0].failed == 0


def test_windows_begin_where_they_should_and_shares_leave_shadows_out(ledger: Ledger) -> None:
    rows = [prediction(i, OLD) for i in range(90)]
    rows += [prediction(100 + i, NEW, role="challenger") for i in range(10)]
    rows += [prediction(200 + i, Slot(entry="lstm", version="c" * 16), role="shadow") for i in range(100)]
    rows += [prediction(300, OLD, at=NOW + timedelta(hours=2, seconds=5))]
    keep(ledger, rows)
    found = {(point.at, point.role): point for point in traffic(ledger, TASK, **DAY)}
    assert found[NOW, "champion"].traffic == 0.9
    assert found[NOW, "challenger"].traffic == 0.1
    assert found[NOW, "shadow"].traffic is None
    assert found[NOW + 2 * HOUR, "champion"].traffic == 1.0
    assert len(found) == 4


def test_versions_without_a_good_answer_have_no_quantiles_and_other_use_cases_no_part(ledger: Ledger) -> None:
    keep(ledger, [prediction(1, OLD, status=500), prediction(2, OLD, task="price_forecasting")])
    (point,) = traffic(ledger, TASK, **DAY)
    assert (point.requests, point.p50) == (1, None)
    assert totals(ledger, TASK, "nobody") == (0, 0, 0, None)


def test_twenty_thousand_rows_are_aggregated_within_two_seconds(ledger: Ledger) -> None:
    rng = np.random.default_rng(2)
    rows = [
        {
            "id": f"{i}",
            "task": TASK,
            "entry": "log_har",
            "version": "ab"[i % 2] * 16,
            "role": "champion",
            "key": "k",
            "revision": 1,
            "status": 200,
            "milliseconds": float(ms),
            "request": {},
            "answer": about("2020-05-29"),
            "at": NOW + timedelta(seconds=i),
        }
        for i, ms in enumerate(rng.gamma(2, 3, 20_000))
    ]
    with ledger.write() as session:
        session.execute(insert(ServedPrediction), rows)
    began = time.process_time()
    points = traffic(ledger, TASK, **DAY)
    fresh = freshness(ledger, TASK, **DAY)
    assert time.process_time() - began < 2
    assert sum(point.requests for point in points) == 20_000
    hour = [row["milliseconds"] for row in rows[:3_600:2]]
    assert points[0].p95 == pytest.approx(np.quantile(hour, 0.95, method="inverted_cdf"))
    assert len(fresh) == 12


def test_a_series_of_too_many_steps_is_refused(ledger: Ledger) -> None:
    with pytest.raises(DataError, match="make the steps longer"):
        traffic(ledger, TASK, since=NOW, until=NOW + timedelta(days=30), bucket=timedelta(minutes=1))
    with pytest.raises(DataError, match="empty"):
        freshness(ledger, TASK, since=NOW, until=NOW, bucket=HOUR)


def test_age_is_counted_in_sessions_of_the_exchange_where_there_is_one(ledger: Ledger) -> None:
    # Monday 1 June 2020, noon UTC: the session of Friday has closed, Monday's has not begun.
    keep(ledger, [prediction(1, OLD, answer=about("2020-05-29")), prediction(2, NEW, answer=about("2020-05-26"), role="challenger")])
    assert [(point.entry, point.sessions) for point in freshness(ledger, TASK, **DAY)] == [("log_har", 0), ("gru", 3)]
    keep(ledger, [prediction(3, OLD, task="credit_risk", answer={"applicants": [{"entity": "A", "as_of": "2020-05-29"}]}, at=NOW)])
    (loan,) = freshness(ledger, "credit_risk", **DAY)
    assert (loan.sessions, loan.age_seconds) == (None, 3.5 * 86_400)


def test_holidays_and_weekends_are_no_sessions() -> None:
    # Thanksgiving 2020 was Thursday 26 November; the exchange closed early on Friday, 18:00 UTC.
    before, after = datetime(2020, 11, 27, 17, 59, tzinfo=UTC), datetime(2020, 11, 29, tzinfo=UTC)
    assert sessions_since(datetime(2020, 11, 25, tzinfo=UTC), before) == 0
    assert sessions_since(datetime(2020, 11, 25, tzinfo=UTC), after) == 1
    assert sessions_since(after, before) == 0
