"""Fraud detection: an account's own past, labels that mature, accounts held apart, and an answer that says when to look."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from finml_models.core import catalog
from finml_models.core.batches import Table, Windows
from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Kind
from finml_models.datasets.transactions.synthetic import Simulated, generate
from finml_models.datasets.transactions.vocabulary import TERMINAL
from finml_models.evaluation import placebo, splits
from finml_models.evaluation.audit import truncation_audit
from finml_models.tasks._account_history import EVENTS, HISTORY, LENGTH, NUMBERS, PREVIOUS, pieces
from finml_models.tasks._transactions import CHECK_COST, FraudRequest, Transaction
from finml_models.tasks.fraud_detection import CLASSES, FraudDetection

TASK = FraudDetection()
DAY = pd.Timedelta(days=1)
PAYMENT: dict[str, Any] = {
    "entity": "C1",
    "time": "2023-06-01T09:30:00Z",
    "number": 1,
    "amount": 20.0,
    "terminal": "T1",
    "channel": "chip",
    "category": "groceries",
    "distance_km": 2.0,
    "terminal_count_1d": 3,
    "terminal_count_7d": 20,
    "terminal_reports_28d": 0,
}


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return generate(seed=6, accounts=150, days=180)


@pytest.fixture(scope="module")
def features(simulated: Simulated) -> pd.DataFrame:
    return TASK.features(simulated.frame)


@pytest.fixture(scope="module")
def views(simulated: Simulated, features: pd.DataFrame) -> tuple[Table, Windows]:
    y = TASK.target(simulated.frame)
    return TASK.table(features, y), TASK.windows(features, y)


def asked(*rows: dict[str, Any]) -> Table:
    return TASK.table(TASK.features(TASK.raw(FraudRequest.model_validate_json(json.dumps({"rows": rows})))))


def test_aggregates_are_those_of_a_plain_loop_over_the_fifty_events_before(simulated: Simulated, features: pd.DataFrame) -> None:
    frame = simulated.frame
    for i in np.random.default_rng(0).choice(len(frame), 80, replace=False):
        row, x = frame.iloc[i], features.iloc[i]
        before = frame[(frame["entity"] == row["entity"]) & (frame["time"] < row["time"])].tail(PREVIOUS)
        if before.empty:
            assert x[["amount_vs_own", "log_gap", "new_terminal", "events", "count_30d", "amount_z"]].eq(0).all()
            continue
        logs = np.log(before["amount"])
        assert x["amount_vs_own"] == pytest.approx(np.log(row["amount"]) - logs.mean(), abs=1e-5)
        assert x["amount_z"] == pytest.approx((np.log(row["amount"]) - logs.mean()) / max(logs.std(ddof=0), 0.3), abs=1e-3)
        assert x["log_gap"] == pytest.approx(np.log1p((row["time"] - before["time"].iloc[-1]).total_seconds()))
        for name, hours in (("1h", 1), ("1d", 24), ("7d", 168), ("30d", 720)):
            within = before[before["time"] >= row["time"] - pd.Timedelta(hours=hours)]
            assert x[f"count_{name}"] == pytest.approx(np.log1p(len(within)))
            if f"log_sum_{name}" in x:
                assert x[f"log_sum_{name}"] == pytest.approx(np.log1p(within["amount"].sum()), abs=1e-5)
        week = before[before["time"] >= row["time"] - 7 * DAY]
        assert x["small_7d"] == pytest.approx(np.log1p((week["amount"] < 5).sum()))
        assert x["new_terminal"] == float(row["terminal"] not in set(before["terminal"]))
        assert x["online_vs_own"] == pytest.approx((row["channel"] == "online") - (before["channel"] == "online").mean(), abs=1e-5)
        placed = before["distance_km"].dropna()
        expected = np.log1p(row["distance_km"]) - np.log1p(placed).mean() if len(placed) and np.isfinite(row["distance_km"]) else 0.0
        assert x["distance_vs_own"] == pytest.approx(expected, abs=1e-5)
        assert x["events"] == pytest.approx(np.log1p(len(before)))


def test_features_of_an_account_come_from_its_own_rows_alone_bit_for_bit(simulated: Simulated, features: pd.DataFrame) -> None:
    some = simulated.frame["entity"].isin(simulated.frame["entity"].unique()[::7])
    alone = TASK.features(simulated.frame[some].reset_index(drop=True))
    pd.testing.assert_frame_equal(alone, features[some.to_numpy()].reset_index(drop=True), check_exact=True)


def test_features_never_see_a_label_or_a_report(simulated: Simulated, features: pd.DataFrame) -> None:
    other = simulated.frame.assign(fraud=1 - simulated.frame["fraud"], reported_at=pd.NaT)
    pd.testing.assert_frame_equal(TASK.features(other), features, check_exact=True)


def test_the_newest_hundred_rows_of_an_account_say_all_there_is_to_know(simulated: Simulated, features: pd.DataFrame) -> None:
    frame = simulated.frame
    longest = frame["entity"].value_counts().index[0]
    own = frame[frame["entity"] == longest]
    assert len(own) > HISTORY + 20
    tail = TASK.features(own.tail(HISTORY).reset_index(drop=True))
    assert tail["whole"].to_numpy().nonzero()[0].tolist() == [HISTORY - 1]
    whole = features[features["entity"] == longest].reset_index(drop=True)
    asked_with, trained_on = (TASK.windows(x) for x in (tail, whole))
    assert len(asked_with) == 1
    for name in EVENTS:
        column = EVENTS.index(name)
        np.testing.assert_array_equal(asked_with.gather(column)[-1], trained_on.gather(column)[-1], err_msg=name)
    np.testing.assert_array_equal(TASK.table(tail).inputs[-1], TASK.table(whole).inputs[-1])


def test_windows_hold_the_last_fifty_events_and_short_ones_are_cut_at_the_accounts_first(views: tuple[Table, Windows], simulated: Simulated) -> None:
    windows = views[1]
    amounts, column = np.log(simulated.frame["amount"].to_numpy()), EVENTS.index("log_amount")
    place = {key: i for i, key in enumerate(zip(simulated.frame["entity"], simulated.frame["time"], strict=True))}
    number = simulated.frame["number"].to_numpy()
    for row in np.random.default_rng(1).choice(len(windows), 60, replace=False):
        i = place[windows.entity[row], pd.Timestamp(windows.time[row])]
        events = min(LENGTH, int(number[i]))
        expected = np.concatenate([np.zeros(LENGTH - events), amounts[i - events + 1 : i + 1]])
        np.testing.assert_allclose(windows.take(np.array([row])).gather(column)[0], expected, rtol=1e-6)


def test_long_accounts_are_cut_into_overlapping_pieces_and_no_account_sets_the_width_for_all() -> None:
    sizes = [3, 1_000, 100, 101, 50]
    x = pd.DataFrame({"entity": np.repeat([f"C{i}" for i in range(len(sizes))], sizes)})
    rows, there, series, end = pieces(x)
    assert rows.shape[1] == 2 * LENGTH
    assert there.sum() <= 2 * sum(sizes)
    position, local = np.arange(len(x)), np.concatenate([np.arange(size) for size in sizes])
    np.testing.assert_array_equal(rows[series, end], position)
    first = np.maximum(end - LENGTH + 1, 0)
    np.testing.assert_array_equal(end - first, np.minimum(local, LENGTH - 1))
    np.testing.assert_array_equal(rows[series, first], position - (end - first))
    assert there[series, end].all()


def test_both_views_hold_the_same_rows_and_amounts(views: tuple[Table, Windows], simulated: Simulated) -> None:
    table, windows = views
    np.testing.assert_array_equal(table.time, windows.time)
    np.testing.assert_array_equal(table.entity, windows.entity)
    amounts = simulated.frame.set_index(["entity", "time"])["amount"]
    for batch in views:
        np.testing.assert_array_equal(TASK.facts(batch)["amount"], amounts.loc[list(zip(batch.entity, batch.time, strict=True))])
    with pytest.raises(ValueError, match="no view 'graphs'"):
        TASK.view(Kind.GRAPHS, pd.DataFrame())


def test_frauds_mature_with_the_genuine_rows_of_their_day_and_open_windows_are_left_out(views: tuple[Table, Windows], simulated: Simulated) -> None:
    y = TASK.target(simulated.frame)
    known = y["class"].notna()
    assert (y.loc[known, "until"] == simulated.frame.loc[known, "time"] + 14 * DAY).all()
    assert y.loc[~known, "until"].isna().all()
    assert len(views[0]) == known.sum() < len(simulated.frame) == len(TASK.table(TASK.features(simulated.frame)))


def test_every_row_is_scored_once_by_a_fit_that_knew_neither_its_account_nor_an_open_label(views: tuple[Table, Windows]) -> None:
    for batch in views:
        folds = splits.of_task(FraudDetection, batch)
        assert len(folds) == 4
        for fold in folds:
            learned = np.concatenate([fold.train, fold.valid])
            assert not set(batch.entity[learned]) & set(batch.entity[fold.test])
            day = fold.test_start.astype("datetime64[D]")
            assert batch.until[learned].max() < day
            assert batch.until[fold.train].max() < batch.time[fold.valid].min()
        scored = np.concatenate([fold.test for fold in folds])
        assert len(np.unique(scored)) == len(scored)
        np.testing.assert_array_equal(np.sort(scored), np.flatnonzero(batch.time >= min(fold.test_start for fold in folds)))


def test_nothing_changes_when_the_future_is_cut_away(simulated: Simulated) -> None:
    audit = truncation_audit(TASK, simulated.frame, cuts=3)
    assert audit.passed, audit.leaks
    assert audit.compared > 100_000


def test_labels_that_tell_nothing_release_no_model(simulated: Simulated) -> None:
    pair = catalog.pair("fraud_detection-tabm")
    # Among all accounts: an account that was robbed keeps signs of it in every later row.
    rows = placebo.shuffled_labels(np.random.default_rng(0), placebo.computed(pair, simulated.frame), unit="entity")
    small = pair.entry.card.hyperparameters(members=2, blocks=1, width=16, bins=4, embedding_width=4)
    config = TrainingConfig(max_epochs=2, stride=5, learning_rate=5e-3, device="cpu")
    judged = placebo.judged(pair, rows, config=config, hyperparameters=small)
    assert not judged.gate.passed
    assert "class_prior" in " ".join(judged.gate.failed) or judged.row(pair.entry.id, "pr_auc").value < 0.03


def test_an_answer_says_probability_loss_and_whether_to_look() -> None:
    batch = asked(PAYMENT, {**PAYMENT, "entity": "C2", "amount": 900.0}, {**PAYMENT, "entity": "C3"})
    answer = TASK.respond(batch, Probabilities(np.array([[0.9, 0.1], [0.98, 0.02], [0.2, 0.8]], np.float32), CLASSES), version="v")
    assert answer.check_cost == CHECK_COST
    assert [risk.entity for risk in answer.transactions] == ["C1", "C2", "C3"]
    assert [risk.alert for risk in answer.transactions] == [False, True, True]
    assert [risk.expected_loss for risk in answer.transactions] == pytest.approx([2.0, 18.0, 16.0], rel=1e-6)
    assert answer.transactions[0].as_of.isoformat() == "2023-06-01T09:30:00+00:00"


def test_moments_of_any_zone_are_told_in_utc() -> None:
    assert asked({**PAYMENT, "time": "2023-06-01T11:30:00+02:00"}).times == asked(PAYMENT).times


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"amount": 0.0}, "greater than 0"),
        ({"amount": "20"}, "number"),
        ({"channel": "telepathy"}, "contactless"),
        ({"time": "2023-06-01T09:30:00"}, "timezone"),
        ({"number": 0}, "greater than or equal to 1"),
        ({"terminal_count_1d": 1.5}, "integer"),
        ({"fraud": 0.0}, "Extra inputs"),
    ],
)
def test_a_transaction_that_makes_no_sense_is_refused_with_its_field(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        asked({**PAYMENT, **changed})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"number": 7}], "C1 has 1 transactions from number 7 on; send its newest 100"),
        ([{}, {}], "more than one transaction at 2023-06-01 09:30:00"),
        ([{}, {"number": 3, "time": "2023-06-02T09:30:00Z"}], "number 3 of account C1 does not follow"),
        ([{"number": 2}, {"number": 1, "time": "2023-06-02T09:30:00Z"}], "number 1 of account C1 does not follow"),
    ],
)
def test_a_history_with_a_hole_is_refused(rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        asked(*({**PAYMENT, **row} for row in rows))


def test_a_first_transaction_is_answered_and_what_is_not_known_may_be_left_out() -> None:
    bare = {name: value for name, value in PAYMENT.items() if name not in {"channel", "category", "distance_km"}}
    batch = asked(bare)
    assert np.isfinite(batch.inputs).all()
    assert (batch.codes == 0).all()
    assert batch.inputs[0, NUMBERS.index("no_distance")] == 1


def test_a_request_holds_what_training_saw_and_every_field_has_words_and_an_example() -> None:
    schema = FraudRequest.model_json_schema()["$defs"]["Transaction"]["properties"]
    assert set(schema) == set(Transaction.model_fields) >= set(TERMINAL)
    for name, field in schema.items():
        assert field.get("examples"), name
        assert field.get("description"), name
