"""Weights that could have been held: a decision is filled after it was made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from finml_models.core.errors import DataError
from finml_models.evaluation.holdings import Holdings, fill_at_next_close


def days(n: int) -> np.ndarray:
    return np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "D").astype("timedelta64[us]")


def good(**change: Any) -> Holdings:
    given = {"weights": np.full((3, 2), 0.5), "asset_returns": np.zeros((3, 2)), "times": days(5)[1:], "decided": days(3)}
    return Holdings(**(given | change))


def test_a_decision_earns_the_return_of_the_day_after_its_fill() -> None:
    decisions = np.arange(5.0)[:, None] / 10
    returns = np.array([[np.nan], [np.nan], [0.01], [0.02], [0.03]])
    held = fill_at_next_close(decisions, returns, days(5))
    assert held.weights[:, 0].tolist() == [0.0, 0.1, 0.2]
    assert held.asset_returns[:, 0].tolist() == [0.01, 0.02, 0.03]
    assert (held.times == days(5)[1:]).all()
    assert (held.decided == days(5)[:3]).all()


@pytest.mark.parametrize(("foreknowledge", "earns"), [(0, False), (1, False), (2, True)])
def test_only_foreknowledge_beyond_the_fill_earns_anything(foreknowledge: int, earns: bool) -> None:
    returns = 0.01 * np.random.default_rng(0).standard_normal((2000, 1))
    held = fill_at_next_close(np.sign(np.roll(returns, -foreknowledge, axis=0)), returns, days(2000))
    mean = float((held.weights * held.asset_returns).mean())
    assert (mean > 0.005) == earns
    assert mean > 0.005 or abs(mean) < 0.001


def test_between_trades_weights_drift_and_the_last_decision_counts() -> None:
    rng = np.random.default_rng(1)
    returns = 0.02 * rng.standard_normal((12, 3))
    held = fill_at_next_close(rng.dirichlet(np.ones(3), 12), returns, days(12), every=5)
    assert (held.decided == days(12)[[0, 0, 0, 0, 0, 5, 5, 5, 5, 5]]).all()
    for first in (0, 5):
        values = held.weights[first] * np.cumprod(1 + returns[first + 2 : first + 6], axis=0)
        assert held.weights[first + 1 : first + 5] == pytest.approx(values / values.sum(axis=1, keepdims=True))


def test_holdings_are_copies_that_cannot_be_changed() -> None:
    weights = np.full((3, 2), 0.5)
    held = good(weights=weights)
    weights[:] = 0.0
    assert (held.weights == 0.5).all()
    with pytest.raises(ValueError, match="read-only"):
        held.weights[0] = 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": days(3)}, r"give \(4,\) times"),
        ({"decided": days(4)}, r"\(3,\) moments of decision"),
        ({"decided": days(4)[1:]}, "look-ahead in 3 of 3 rows; row 0"),
        ({"decided": days(5)[[0, 3, 2]]}, "look-ahead in 1 of 3 rows; row 1"),
        ({"times": days(4)[[1, 1, 2, 3]]}, "order rows by time"),
        ({"times": np.array(["2020-01-02", "NaT", "2020-01-04", "2020-01-05"], "datetime64[us]")}, "missing"),
        ({"asset_returns": np.zeros((2, 2))}, "row t of the weights held"),
        ({"weights": np.full((3, 2), np.nan)}, "not finite"),
    ],
)
def test_rows_that_look_ahead_or_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        good(**change)


def test_decisions_of_another_calendar_are_refused() -> None:
    with pytest.raises(DataError, match=r"\(d, assets\) twice"):
        fill_at_next_close(np.zeros((5, 2)), np.zeros((4, 2)), days(5))
    with pytest.raises(DataError, match="at least 3 dates"):
        fill_at_next_close(np.zeros((2, 2)), np.zeros((2, 2)), days(2))
    with pytest.raises(DataError, match="every is 0"):
        fill_at_next_close(np.zeros((5, 2)), np.zeros((5, 2)), days(5), every=0)
