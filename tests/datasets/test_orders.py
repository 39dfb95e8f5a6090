"""Raw orders: the contract of their frame, and what the simulated ones hold of markets."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from finml_models.core.errors import DataError
from finml_models.datasets.orders import schema
from finml_models.datasets.orders.synthetic import CONSTANT, FEWEST, MOST, Simulated, World, generate
from finml_models.datasets.orders.vocabulary import COLUMNS
from finml_models.environments.execution import Rules


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    return generate(seed=0, orders=3_000, days=250)


@pytest.fixture(scope="module")
def frame(simulated: Simulated) -> pd.DataFrame:
    return schema.check(simulated.frame)


def test_the_default_orders_are_enough_to_score_two_thousand_and_are_made_in_two_seconds() -> None:
    began = time.process_time()
    made = generate().frame
    assert time.process_time() - began < 2
    arrivals = made[made["interval"] == 0]
    first_scored = np.quantile(arrivals["time"].unique().astype("int64"), 0.7)
    assert (arrivals["time"].astype("int64") > first_scored).sum() >= 2_000
    assert arrivals["intervals"].between(FEWEST, MOST).all()


def test_a_seed_is_a_world(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(generate(seed=0, orders=3_000, days=250).frame, frame, check_exact=True)
    assert not generate(seed=1, orders=3_000, days=250).frame.equals(frame)


def test_a_frame_has_the_documented_columns_and_everything_was_known_at_its_moment(frame: pd.DataFrame) -> None:
    assert tuple(frame.columns) == tuple(COLUMNS)
    assert (frame["known_at"] <= frame["time"]).all()


def swapped(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame.iloc[1:2], frame.iloc[:1], frame.iloc[2:]], ignore_index=True)


def changed(column: str, value: float, row: int = 3) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        other = frame.copy()
        other[column] = other[column].astype(type(value)) if isinstance(value, float) else other[column]
        other.loc[row, column] = value
        return other

    return change


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (changed("price", float("nan")), "price"),
        (changed("volume", -1.0), "not negative"),
        (changed("imbalance", 1.5), "in_range"),
        (changed("side", 0), "isin"),
        (changed("remaining", 1e15), "no more remains"),
        (changed("daily_volume", 1.0), "keeps its"),
        (changed("expected_volume", 0.0), "usual volume in every interval"),
        (changed("expected_rest", 1.0), "holds the next interval"),
        (changed("price", 1.0, row=0), "arrival price is the price of interval 0"),
        (lambda f: f.drop(index=2).reset_index(drop=True), "without a gap"),
        (lambda f: f.iloc[1:].reset_index(drop=True), "from 0"),
        (lambda f: f.assign(time=f["time"].where(f.index != 3, f["time"] + pd.Timedelta(minutes=1))), "one length"),
        (lambda f: f.assign(known_at=f["known_at"] + pd.Timedelta(minutes=1)), "known at its moment"),
        (lambda f: f.drop(columns="spread_bp"), "spread_bp"),
        (lambda f: f.assign(alpha=1.0), "alpha"),
        (swapped, "sorted"),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_with_the_reason(
    frame: pd.DataFrame, break_it: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    with pytest.raises(DataError, match=r"not a raw frame of orders") as refused:
        schema.check(break_it(frame.head(200).pipe(lambda f: f[f["entity"] < f["entity"].iloc[-1]]).reset_index(drop=True)))
    assert reason in str(refused.value)


def test_volume_is_u_shaped_over_the_day_and_volatility_highest_at_the_open(frame: pd.DataFrame) -> None:
    minute = frame["time"].dt.hour * 60 + frame["time"].dt.minute
    share = (frame["volume"] / frame["daily_volume"]).groupby(minute).mean()
    level = frame["volatility_bp"].groupby(minute).mean()
    early, middle, late = share.index < 600, (share.index > 740) & (share.index < 800), share.index > 930
    assert share[early].mean() > 1.2 * share[middle].mean()
    assert share[late].mean() > 1.2 * share[middle].mean()
    assert level[early].mean() > level[late].mean() > 0.9 * level[middle].mean()


def test_volume_and_volatility_persist_move_together_and_widen_the_spread(frame: pd.DataFrame) -> None:
    volume, volatility = np.log(frame["volume"] / frame["usual_volume"]), np.log(frame["volatility_bp"] / frame["expected_volatility_bp"])
    same = (frame["entity"] == frame["entity"].shift()).to_numpy()
    assert np.corrcoef(volume[same], volume.shift()[same])[0, 1] > 0.8
    assert np.corrcoef(volume, volatility)[0, 1] > 0.3
    spread = np.log(frame["spread_bp"])
    within = spread - spread.groupby(frame["entity"]).transform("mean")
    moved = volatility - volatility.groupby(frame["entity"]).transform("mean")
    assert np.corrcoef(within, moved)[0, 1] > 0.1


def test_days_differ_more_than_orders_of_one_day(frame: pd.DataFrame) -> None:
    deviation = np.log(frame["volume"] / frame["usual_volume"]).groupby(frame["entity"]).mean()
    day = frame.groupby("entity")["time"].first().dt.normalize()
    assert deviation.groupby(day).mean().var() > 1.5 * deviation.groupby(day).var().mean() / deviation.groupby(day).size().mean()


def test_the_imbalance_tells_a_little_and_nothing_else_does() -> None:
    frame = generate(seed=2, orders=6_000).frame
    move = frame["price"].shift(-1) / frame["price"] - 1
    inside = (frame["interval"] < frame["intervals"]).to_numpy()
    scaled = move[inside] / frame["volatility_bp"].shift(-1)[inside]
    errors = 1 / np.sqrt(inside.sum())
    assert 0.05 < np.corrcoef(scaled, frame["imbalance"][inside])[0, 1] < 0.1
    for name in ("spread_bp", "volatility_bp", "volume", "remaining"):
        assert abs(np.corrcoef(scaled, frame[name][inside])[0, 1]) < 4 * errors


def test_orders_are_as_large_as_asked_for_and_worked_to_nothing() -> None:
    frame = generate(seed=3, orders=500, days=50, world=World(size=(0.05, 0.1))).frame
    start, end = frame[frame["interval"] == 0], frame[frame["interval"] == frame["intervals"]]
    size = start["quantity"] / start["expected_rest"]
    assert size.between(0.0499, 0.1001).all()
    assert (end["remaining"] == 0).all()
    assert (start["remaining"] == start["quantity"]).all()


def test_the_constant_world_has_a_known_optimum_and_the_other_has_none(simulated: Simulated) -> None:
    solved = generate(seed=1, orders=200, days=30, world=CONSTANT)
    assert len(solved.truth) == 200
    assert (solved.truth["filled"] == 1).all()
    paid = solved.truth["side"] * (solved.truth["average"] / solved.truth["arrival"] - 1) * 1e4
    np.testing.assert_allclose(paid, solved.truth["shortfall"], atol=1e-6)
    per_order = solved.frame.groupby("entity")[["volatility_bp", "spread_bp", "usual_volume"]]
    assert ((per_order.max() / per_order.min()) - 1).max().max() < 1e-9
    assert not len(simulated.truth)
    assert not len(generate(seed=1, orders=20, days=5, world=CONSTANT, rules=Rules()).truth)
