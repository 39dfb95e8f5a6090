"""Trading execution from rows to answers: what is seen when, what a request may say, and what is answered in shares."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from finml_models.core import catalog, serving
from finml_models.core.batches import newest
from finml_models.core.errors import DataError
from finml_models.core.predictions import Actions
from finml_models.core.spec import Kind
from finml_models.datasets.orders.synthetic import generate
from finml_models.environments.execution import OrderStates, Rules
from finml_models.evaluation.audit import truncation_audit
from finml_models.tasks._orders import FEATURES

TASK = catalog.task("trading_execution")


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return generate(seed=6, orders=400, days=60).frame


def body(frame: pd.DataFrame) -> dict[str, Any]:
    return {"rows": frame.drop(columns="known_at").assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")).to_dict("records")}


def ask(frame: pd.DataFrame) -> OrderStates:
    request = TASK.request.model_validate_json(json.dumps(body(frame)))
    states = TASK().view(Kind.MARKET, TASK().features(TASK().raw(request)))
    assert isinstance(states, OrderStates)
    return states


def answer(states: OrderStates, action: float) -> Any:
    return TASK().respond(states, Actions(np.full((len(states), 1), action, np.float32), ("participation",)), version="v")


def test_episodes_are_the_orders_that_are_done_and_states_all_that_is_left_to_decide(raw: pd.DataFrame) -> None:
    names = raw["entity"].unique()
    cut = raw[(raw["entity"] != names[5]) | (raw["interval"] < 6)].reset_index(drop=True)
    cut = cut[(cut["entity"] != names[9]) | (cut["interval"] > 0)].reset_index(drop=True)
    x, y = TASK().features(cut), TASK().target(cut)
    market, states = TASK().view(Kind.MARKET, x, y), TASK().view(Kind.MARKET, x)
    assert set(names) - set(market.entity.tolist()) == {names[5], names[9]}
    assert len(states) == ((cut["interval"] < cut["intervals"]) & (cut["remaining"] > 0)).sum()
    assert (np.diff(market.time) >= np.timedelta64(0)).all()
    ends = cut[cut["interval"] == cut["intervals"]].set_index("entity")["time"]
    np.testing.assert_array_equal(market.until, ends.loc[market.entity].to_numpy())
    np.testing.assert_allclose(market.target[:, 0], cut.groupby("entity")["arrival"].first().loc[market.entity], rtol=1e-6)
    only = cut[cut["entity"] == names[5]].reset_index(drop=True)
    x, y = TASK().features(only), TASK().target(only)
    with pytest.raises(DataError, match="none of 1 has all its rows"):
        TASK().view(Kind.MARKET, x, y)


def test_a_row_sees_nothing_but_itself(raw: pd.DataFrame) -> None:
    whole = TASK().features(raw)
    for row in (0, 7, 100, len(raw) - 1):
        alone = TASK().features(raw.iloc[[row]].reset_index(drop=True))
        pd.testing.assert_frame_equal(alone, whole.iloc[[row]].reset_index(drop=True), check_exact=True)
    assert truncation_audit(TASK(), raw).passed


def test_what_a_policy_sees_at_arrival_is_what_the_record_says(raw: pd.DataFrame) -> None:
    x, y = TASK().features(raw), TASK().target(raw)
    market = TASK().view(Kind.MARKET, x, y)
    first = x[x["interval"] == 0].set_index("entity").loc[market.entity, list(FEATURES)]
    np.testing.assert_allclose(market.inputs, first, rtol=1e-5, atol=1e-6)


def test_a_purchase_and_a_sale_are_seen_with_the_same_eyes(raw: pd.DataFrame) -> None:
    mirrored = raw.assign(side=-raw["side"], imbalance=-raw["imbalance"], price=2 * raw["arrival"] - raw["price"])
    pd.testing.assert_frame_equal(TASK().features(raw)[list(FEATURES)], TASK().features(mirrored)[list(FEATURES)], rtol=1e-9, atol=1e-9)


def test_the_shares_that_are_answered_keep_the_cap_and_the_order(raw: pd.DataFrame) -> None:
    states = newest(ask(raw[raw["interval"] == raw["intervals"] // 2]))
    for action in (0.0, 0.5, 0.9, 1.0):
        for i, decided in enumerate(answer(states, action).orders):
            assert decided.entity == states.entity[i]
            assert decided.shares == round(decided.shares)
            assert decided.shares + decided.remaining_after == pytest.approx(states.left[i])
            assert decided.participation <= Rules().cap + 1 / states.expected_volume[i]
            assert not decided.final
    vwap = answer(states, 0.5).orders
    assert all(abs(d.shares - d.pace * states.expected_volume[i]) <= 0.6 for i, d in enumerate(vwap) if d.pace < Rules().cap)
    assert all(d.shares == 0 for d in answer(states, 0.0).orders)


def test_the_last_interval_trades_all_that_is_left_whatever_the_policy_says(raw: pd.DataFrame) -> None:
    last = raw[(raw["interval"] == raw["intervals"] - 1) & (raw["remaining"] > 0)]
    for action in (0.0, 1.0):
        for decided in answer(newest(ask(last)), action).orders:
            assert decided.final
            assert decided.remaining_after == 0
            assert decided.shares == last.set_index("entity").loc[decided.entity, "remaining"]


def test_one_row_of_an_order_is_enough_and_of_several_the_newest_is_decided(raw: pd.DataFrame) -> None:
    one = raw[raw["entity"] == raw["entity"].iloc[0]]
    several, single = newest(ask(one[one["interval"] < 5])), newest(ask(one[one["interval"] == 4]))
    assert several.time.tolist() == single.time.tolist()
    np.testing.assert_array_equal(several.inputs, single.inputs)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"interval": 16, "intervals": 16}, "nothing is decided at the order's end"),
        ({"remaining": 1e9}, "give what is left"),
        ({"expected_rest": 1.0}, "which is a part of it"),
        ({"side": 0}, "side"),
        ({"side": "buy"}, "side"),
        ({"imbalance": 1.1}, "imbalance"),
        ({"price": float("nan")}, "price"),
        ({"remaining": 0.0}, "remaining"),
        ({"time": "2019-07-15T11:30:00+02:00"}, "time"),
        ({"surprise": 1}, "extra_forbidden"),
    ],
)
def test_rows_that_make_no_sense_are_refused_by_the_field(raw: pd.DataFrame, change: dict[str, Any], reason: str) -> None:
    (row,) = body(raw.iloc[[2]])["rows"]
    with pytest.raises(ValidationError) as refused:
        TASK.request.model_validate_json(json.dumps({"rows": [{**row, **change}]}))
    assert reason in str(refused.value)


def test_two_rows_of_one_moment_are_refused(raw: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="more than one row"):
        ask(pd.concat([raw.iloc[[2]], raw.iloc[[2]]]))


def test_orders_at_work_lie_inside_the_range_of_recorded_states(raw: pd.DataFrame) -> None:
    reference = serving.training_range(TASK().view(Kind.MARKET, TASK().features(generate(seed=7, orders=3_000, days=200).frame)))
    states = ask(raw[(raw["interval"] == raw["intervals"] // 2)].head(100))
    assert len(serving.outside(states, FEATURES, reference)) <= 5


def test_every_field_of_a_request_is_explained_with_an_example() -> None:
    fields = TASK.request.model_json_schema()["$defs"]["OrderState"]["properties"]
    assert all(field.get("description") and field.get("examples") for field in fields.values())
    example = {name: field["examples"][0] for name, field in fields.items()}
    assert TASK.request.model_validate_json(json.dumps({"rows": [example]}))
