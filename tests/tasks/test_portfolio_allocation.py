"""Portfolio allocation: its rules and its convex program against other implementations, its rows, requests, reports, and what may not win."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from finml_models.core import catalog
from finml_models.core.batches import Batch
from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig
from finml_models.core.predictions import Forecast
from finml_models.core.spec import Kind
from finml_models.datasets.market.clean import clean
from finml_models.environments.long_only import best_weights
from finml_models.environments.portfolio import PortfolioMarket, PortfolioWindows
from finml_models.evaluation.allocation import strategy_of
from finml_models.evaluation.backtest import Walk, long_form
from finml_models.evaluation.costs import CostModel
from finml_models.evaluation.metrics import value
from finml_models.evaluation.scores import align
from finml_models.evaluation.strategy_section import MULTIPLES, Tried
from finml_models.evaluation.verdict.judgement import compare

TASK = catalog.task("portfolio_allocation")
COSTS = CostModel(version=TASK.gate.version, **TASK.costs)
QUIET = TrainingConfig(max_epochs=1, device="cpu")


def raw(drifts: tuple[float, ...] = (0.0,) * 5, *, sessions: int = 900, seed: int = 0) -> pd.DataFrame:
    """Closes of independent assets, with these daily means of a return of 1 % volatility."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2010-01-04", periods=sessions).astype("datetime64[us]")
    shocks = rng.standard_normal((sessions, len(drifts))) * 0.01 + drifts
    frames = [
        pd.DataFrame({"entity": f"A{i}", "time": days, "open": np.nan, "high": np.nan, "low": np.nan, "close": 100 * np.exp(np.cumsum(shocks[:, i]))})
        for i in range(len(drifts))
    ]
    return clean(pd.concat(frames, ignore_index=True).assign(volume=np.nan))[0]


@cache
def view(kind: Kind, seed: int = 0) -> Batch:
    rows = raw(seed=seed)
    return TASK().view(kind, TASK().features(rows), TASK().target(rows))


@cache
def predicted(entry: str, seed: int = 0) -> pd.DataFrame:
    pair = catalog.pair(f"portfolio_allocation-{entry}")
    walk = Walk(pair, view(Kind.MARKET, seed), pair.entry.card.hyperparameters(), QUIET, (0,))
    return walk.score(lambda fold, seed: lambda progress: None)[0]


def covariances(n: int = 6, a: int = 12) -> np.ndarray:
    x = np.random.default_rng(3).standard_normal((n, 120, a)) * np.linspace(0.5, 2, a) + np.random.default_rng(4).standard_normal((n, 120, 1))
    return np.einsum("nti,ntj->nij", x, x) / 120


@pytest.mark.parametrize("cost", [0.0, 0.05, 5.0])
def test_the_convex_program_is_solved_as_well_as_by_clarabel(cost: float) -> None:
    import cvxpy as cp

    covariance, rng = covariances(), np.random.default_rng(5)
    mean, held = rng.standard_normal((6, 12)) * 0.3, rng.dirichlet(np.ones(12), 6)
    found = best_weights(mean, covariance, risk_aversion=0.5, held=held, cost=cost)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.min() >= 0

    for i in range(6):
        w = cp.Variable(12)
        worth = mean[i] @ w - 0.25 * cp.quad_form(w, cp.psd_wrap(covariance[i])) - cost * cp.norm1(w - held[i])
        best = cp.Problem(cp.Maximize(worth), [w >= 0, cp.sum(w) == 1]).solve(solver="CLARABEL")
        own = mean[i] @ found[i] - 0.25 * found[i] @ covariance[i] @ found[i] - cost * np.abs(found[i] - held[i]).sum()
        assert own == pytest.approx(best, abs=1e-6)
    if cost == 5.0:
        np.testing.assert_allclose(found, held, atol=1e-9)


def test_an_asset_that_may_not_be_held_is_not() -> None:
    members = np.ones((6, 12), np.bool_)
    members[:, ::2] = False
    found = best_weights(np.ones((6, 12)), covariances(), risk_aversion=1.0, members=members)
    assert not found[~members].any()
    with pytest.raises(DataError, match="no asset"):
        best_weights(np.ones((6, 12)), covariances(), risk_aversion=1.0, members=np.zeros((6, 12), np.bool_))


def estimator(entry: str) -> object:
    e = catalog.baseline(entry)
    return e.estimator()(e.card.hyperparameters(), TASK().signature(view(Kind.MARKET)), QUIET)


@pytest.mark.parametrize("entry", ["minimum_variance", "risk_parity"])
def test_rules_agree_with_skfolio(entry: str) -> None:
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import MeanRisk, RiskBudgeting
    from skfolio.prior import EmpiricalPrior

    past = np.random.default_rng(6).standard_normal((1, 120, 8)) * np.linspace(0.005, 0.02, 8) + np.random.default_rng(7).standard_normal((1, 120, 1)) * 0.01
    theirs = {"minimum_variance": MeanRisk, "risk_parity": RiskBudgeting}[entry](prior_estimator=EmpiricalPrior(covariance_estimator=LedoitWolf()))
    np.testing.assert_allclose(estimator(entry).weights(past)[0], theirs.fit(past[0]).weights_, atol=2e-3)


def test_hierarchical_risk_parity_splits_between_clusters_before_it_splits_within_them() -> None:
    rng = np.random.default_rng(8)
    calm, wild = rng.standard_normal((120, 1)) * 0.01, rng.standard_normal((120, 1)) * 0.02
    # Two clusters, one of twice the volatility, with their names interleaved.
    past = np.tile(np.concatenate([calm, wild], axis=1), 3) + rng.standard_normal((120, 6)) * 0.001
    found = estimator("hierarchical_risk_parity").weights(past[None])[0]
    assert found.sum() == pytest.approx(1)
    share = wild.var() / (calm.var() + wild.var())
    assert found[::2].sum() == pytest.approx(share, abs=0.05)
    # Within a cluster the order is halved into one name and two: alike names get a half, a quarter and a quarter.
    np.testing.assert_allclose(np.sort(found[::2] / found[::2].sum()), [0.25, 0.25, 0.5], atol=0.03)


def test_mean_variance_prefers_the_asset_that_rose_and_shrinks_what_is_noise() -> None:
    past = np.random.default_rng(9).standard_normal((1, 120, 5)) * 0.01
    past -= past.mean(axis=1, keepdims=True)
    level = estimator("mean_variance").weights(past)[0]
    past[:, :, 3] += 0.004
    assert estimator("mean_variance").weights(past)[0, 3] > level[3] + 0.3


@pytest.mark.parametrize("entry", TASK.baselines)
def test_a_rule_decides_the_same_whatever_comes_after(entry: str) -> None:
    market = view(Kind.MARKET)
    assert isinstance(market, PortfolioMarket)
    rows = TASK().view(Kind.MARKET, TASK().features(raw())).take(np.arange(300, 310))
    changed = market.history.returns.copy()
    changed[rows.row.max() + 1 :] = 0.3
    tampered = replace(rows, history=replace(rows.history, returns=changed))
    np.testing.assert_array_equal(estimator(entry).predict(rows).values, estimator(entry).predict(tampered).values)


def test_windows_are_scored_on_the_weeks_of_the_market() -> None:
    market, windows = view(Kind.MARKET), view(Kind.WINDOWS)
    scored = TASK().scored(windows)
    np.testing.assert_array_equal(scored.time, market.time)
    np.testing.assert_array_equal(scored.target, market.target)
    assert len(windows) == 5 * len(market)
    np.testing.assert_array_equal(np.unique(windows.until), np.unique(market.until))


def told(batch: Batch, mean: np.ndarray, spread: float) -> Forecast:
    quantiles = mean[:, None] + spread * np.array([-1.645, -0.674, 0.0, 0.674, 1.645])
    return Forecast(mean[:, None].astype(np.float32), quantiles[:, None].astype(np.float32), TASK.levels)


def test_forecasts_of_the_truth_beat_equal_weight_and_forecasts_of_nothing_trade_little() -> None:
    rows = raw()
    target = TASK().target(rows).set_index(["entity", "time"])["h5"]
    windows = view(Kind.WINDOWS)

    def truth(batch: Batch) -> Forecast:
        known = target.reindex(pd.MultiIndex.from_arrays([batch.entity, pd.DatetimeIndex(batch.time)])).to_numpy()
        return told(batch, np.nan_to_num(known), 1.0)

    def nothing(batch: Batch) -> Forecast:
        return told(batch, np.zeros(len(batch)), 1.0)

    own = TASK().scored(windows)
    knowing, blind = (long_form(own, TASK().decide(windows, predict), (), 0, 0) for predict in (truth, nothing))
    even = long_form(own, estimator("equal_weight").predict(view(Kind.MARKET)), (), 0, 0)
    assert value(knowing, "certainty_equivalent") > value(even, "certainty_equivalent") + 0.2
    assert value(blind, "traded_share") < value(even, "traded_share")
    assert abs(value(blind, "certainty_equivalent") - value(even, "certainty_equivalent")) < 0.02


def test_forecasts_are_made_from_windows_that_end_at_the_decision() -> None:
    windows, seen = view(Kind.WINDOWS), []

    def spy(batch: PortfolioWindows) -> Forecast:
        seen.append(batch)
        return told(batch, np.zeros(len(batch)), 1.0)

    few = windows.take(np.flatnonzero(windows.end == windows.end[-1]))
    TASK().decide(few, spy)
    assert seen[0].end.max() == few.end.max()


def test_every_session_of_the_test_period_is_scored_once() -> None:
    frame = predicted("equal_weight")
    times = np.sort(frame["time"].to_numpy())
    sessions = np.unique(raw()["time"])
    np.testing.assert_array_equal(times, sessions[(sessions >= times[0]) & (sessions <= times[-1])])


@pytest.mark.parametrize("seed", range(2))
def test_no_rule_beats_equal_weight_where_returns_are_noise(seed: int) -> None:
    scores = align({entry: predicted(entry, seed) for entry in TASK.baselines}, TASK.metrics)
    even = scores["equal_weight"].losses("certainty_equivalent")
    for entry in TASK.baselines[1:]:
        assert compare(scores[entry].losses("certainty_equivalent"), even, horizon=None).p > TASK.gate.alpha


def test_a_strategy_section_shows_all_multiples_and_pays_for_what_was_tried() -> None:
    frame, even = predicted("mean_variance"), predicted("equal_weight")
    few, many = (
        strategy_of(frame, name="mean_variance", trial="t", costs=COSTS, tried=Tried(count=count), reference=("equal_weight", even)) for count in (1, 100)
    )
    assert tuple(at.multiple for at in few.at) == MULTIPLES
    means = [at_cost.mean for at_cost in few.at]
    assert means == sorted(means, reverse=True)
    assert len(set(means)) == len(means)
    assert few.net(1.0).certainty_equivalent == pytest.approx(value(frame, "certainty_equivalent"))
    assert few.net(1.0).sharpe - value(even, "sharpe") == pytest.approx(value(frame, "sharpe_difference"))
    assert few.versus is not None
    assert many.deflated_sharpe < few.deflated_sharpe == few.probabilistic_sharpe


def test_a_result_that_did_not_pay_has_no_section() -> None:
    frame = predicted("mean_variance")
    with pytest.raises(DataError, match="a result without costs is none"):
        strategy_of(frame.drop(columns="cost"), name="x", trial="t", costs=COSTS, tried=Tried(count=1))
    with pytest.raises(DataError, match="says it paid 0"):
        strategy_of(frame.assign(cost=0.0), name="x", trial="t", costs=COSTS, tried=Tried(count=1))


def rows_of(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{"entity": r.entity, "time": str(r.time.date()), "close": r.close} for r in frame.groupby("entity").tail(TASK.history).itertuples()]


def ask(rows: list[dict[str, object]], weights: dict[str, float] | None = None, entry: str = "minimum_variance") -> object:
    request = TASK.request.model_validate_json(pd.io.json.ujson_dumps({"rows": rows, "weights": weights}))
    task = TASK()
    states = task.view(Kind.MARKET, task.features(task.raw(request)))
    return task.respond(states, estimator(entry).predict(states), version="v")


def test_a_request_is_answered_with_weights_and_the_cost_of_moving_there() -> None:
    rows = rows_of(raw())
    answer = ask(rows, {"A0": 1.0}, entry="equal_weight")
    assert [asset.weight for asset in answer.weights] == pytest.approx([0.2] * 5)
    assert [asset.held for asset in answer.weights] == [1.0, 0, 0, 0, 0]
    assert answer.traded == pytest.approx(1.6)
    assert answer.expected_cost_bp == pytest.approx(16.0)
    assert str(answer.as_of) == rows[-1]["time"]
    assert sum(asset.weight for asset in ask(rows).weights) == pytest.approx(1)


@pytest.mark.parametrize(
    ("weights", "said"), [({"A0": 0.5}, "sum to 0.5"), ({"A0": 0.5, "Z": 0.5}, "Z is held and has no rows"), ({"A0": 0.7, "A1": 0.7}, "sum to 1.4")]
)
def test_weights_that_are_no_portfolio_are_refused(weights: dict[str, float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        ask(rows_of(raw()), weights)


def test_assets_that_end_apart_and_too_few_assets_are_refused() -> None:
    rows = rows_of(raw())
    two = rows_of(raw((0.0,) * 2))
    with pytest.raises(DataError, match="at least 3"):
        ask(two)
    frame = raw()
    behind = frame[~((frame["entity"] == "A1") & (frame["time"] == frame["time"].max()))]
    with pytest.raises(DataError, match="A1 ends on"):
        ask(rows_of(behind))
    assert len(rows) == 5 * TASK.history


def test_a_policy_is_asked_about_some_of_its_assets_and_not_about_others() -> None:
    e, task = catalog.entry("ppo"), TASK()
    untrained = TrainingConfig(max_epochs=0, device="cpu")
    market = view(Kind.MARKET)
    policy = e.estimator()(e.card.hyperparameters(), task.signature(market), untrained).fit(market.take(np.arange(20)), market.take(np.arange(20, 30)))
    some = raw()[lambda frame: frame["entity"] != "A3"]
    states = task.view(Kind.MARKET, task.features(some)).take(np.array([-1]))
    wide = states.laid_out(policy.signature.actions)
    answer = task.respond(wide, policy.predict(states), version="v")
    assert [asset.entity for asset in answer.weights] == ["A0", "A1", "A2", "A4"]
    assert sum(asset.weight for asset in answer.weights) == pytest.approx(1)
    with pytest.raises(DataError, match="A5"):
        policy.predict(task.view(Kind.MARKET, task.features(raw((0.0,) * 6))))


def learned(drifts: tuple[float, ...]) -> dict[str, pd.DataFrame]:
    """Held-out sessions of PPO and of equal weight, on assets with these daily means."""
    rows = raw(drifts, sessions=1500)
    market = TASK().view(Kind.MARKET, TASK().features(rows), TASK().target(rows))
    e = catalog.entry("ppo")
    policy = e.estimator()(e.card.hyperparameters(), TASK().signature(market), TrainingConfig(max_epochs=6, device="cpu"))
    policy.fit(market.take(np.arange(150)), market.take(np.arange(160, 200)))
    held_out = market.take(np.arange(210, len(market)))
    found = {"ppo": policy.predict(held_out), "equal_weight": estimator("equal_weight").predict(held_out)}
    return {entry: long_form(held_out, rollout, (), 0, 0) for entry, rollout in found.items()}


@pytest.mark.slow
def test_ppo_finds_the_asset_that_dominates() -> None:
    # About 1.0; rounding, which differs between processors, moves what is learned.
    assert value(learned((0.004, 0.0, 0.0, 0.0, 0.0))["ppo"], "sharpe_difference") > 0.8


@pytest.mark.slow
def test_ppo_does_not_beat_equal_weight_where_returns_are_noise() -> None:
    scores = align(learned((0.0,) * 5), TASK.metrics)
    assert compare(*(scores[entry].losses("certainty_equivalent") for entry in ("ppo", "equal_weight")), horizon=None).p > TASK.gate.alpha


@pytest.mark.parametrize("entry", ["equal_weight", "risk_parity", "minimum_variance"])
def test_an_allocation_is_explained_by_the_risk_that_each_asset_brings(entry: str) -> None:
    states = TASK().view(Kind.MARKET, TASK().features(raw())).take(np.array([3, 20]))
    market = view(Kind.MARKET)
    pair = catalog.pair(f"portfolio_allocation-{entry}")
    rule = pair.entry.estimator()(pair.entry.card.hyperparameters(), TASK().signature(market), QUIET)
    (part,) = rule.explain(states).parts
    assert part.names == ("A0", "A1", "A2", "A3", "A4")
    np.testing.assert_allclose(part.weights.sum(axis=1), 1, rtol=1e-5)
    if entry == "risk_parity":
        np.testing.assert_allclose(part.weights, 0.2, atol=0.01)
    if entry == "minimum_variance":
        weights = np.stack(list(rule.predict(states).columns().values()), axis=1)
        np.testing.assert_allclose(part.weights, weights / weights.sum(axis=1, keepdims=True), atol=0.01)  # at the minimum both are equal
    if entry == "equal_weight":
        assert np.ptp(part.weights) > 0.02
