"""A strategy's result has been counted and has paid its costs, and says what is left at several multiples of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from finml_ledger import Ledger
from finml_ledger.trials import LedgerTrials
from finml_models.core.errors import Conflict, DataError
from finml_models.evaluation.costs import CostModel, cost_series
from finml_models.evaluation.holdings import Holdings, fill_at_next_close
from finml_models.evaluation.metrics.returns import certainty_equivalent, drawdown, sharpe, turnover
from finml_models.evaluation.statistics import probabilistic_sharpe
from finml_models.evaluation.strategy import Limits, StrategyResult, StrategySection, Tried, evaluate, section
from finml_models.evaluation.strategy_section import MULTIPLES
from finml_models.evaluation.trials import MemoryTrials

COSTS = CostModel(version="test/1", fee_bp=5, half_spread_bp=2, borrow_rate=0.01)
ONCE = Tried(count=1)
LONG_SHORT = Limits(gross=2, long_only=False)


def market(seed: int, d: int = 300, n: int = 3, drift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(d, n) daily returns of independent random walks, and (d,) dates."""
    rng = np.random.default_rng(seed)
    dates = np.datetime64("2015-01-01", "us") + np.arange(d) * np.timedelta64(1, "D").astype("timedelta64[us]")
    return drift + 0.01 * rng.standard_normal((d, n)), dates


def portfolio(seed: int, **size: Any) -> Holdings:
    """Long-only weights that change at random every day."""
    returns, dates = market(seed, **size)
    return fill_at_next_close(np.random.default_rng([seed, 1]).dirichlet(np.ones(returns.shape[1]), len(returns)), returns, dates)


def equal_weights(holdings: Holdings) -> Holdings:
    n = holdings.weights.shape[1]
    return Holdings(np.full_like(holdings.weights, 1 / n), holdings.asset_returns, holdings.times, holdings.decided)


def result_of(holdings: Holdings, **options: Any) -> StrategyResult:
    with MemoryTrials().open(None, 0) as trial:
        return evaluate(holdings, **({"costs": COSTS, "tried": ONCE, "trial": trial} | options))


def test_a_result_without_costs_cannot_be_made() -> None:
    held = portfolio(0)
    made = result_of(held)
    with pytest.raises(TypeError, match="has paid its costs"):
        StrategyResult(object(), COSTS, made.times, made.gross, made.charged, made.figures)
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(made, gross=made.gross + 1)
    with MemoryTrials().open(None, 0) as trial:
        with pytest.raises(TypeError, match="costs"):
            evaluate(held, trial=trial, tried=ONCE)  # type: ignore[call-arg]  # that it is refused is what is tested
        with pytest.raises(TypeError, match="a result without costs is none"):
            evaluate(held, costs=None, trial=trial, tried=ONCE)  # type: ignore[arg-type]  # likewise
        for free in (COSTS.model_copy(update={"fee_bp": 0, "half_spread_bp": 0}), CostModel.model_construct(version="free", fee_bp=0.0)):
            with pytest.raises(DataError, match="trading is free"):
                evaluate(held, costs=free, trial=trial, tried=ONCE)
        with pytest.raises(DataError, match="traded for nothing"):
            evaluate(held, costs=CostModel(version="by asset", half_spread_bp=None), half_spread_bp=np.zeros(3), trial=trial, tried=ONCE)
        assert trial.result is None


def test_what_a_result_holds_cannot_be_changed() -> None:
    made = result_of(portfolio(0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.gross = made.net  # type: ignore[misc]  # that it is refused is what is tested
    for array in (made.gross, made.times, made.charged.fee, made.charged.traded):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_strategy_is_counted_and_its_trial_keeps_the_sharpe_ratio() -> None:
    trials, held = MemoryTrials(), portfolio(1)
    with trials.open(None, 0) as trial:
        made = evaluate(held, costs=COSTS, trial=trial, tried=ONCE)
        with pytest.raises(Conflict, match="scored already"):
            evaluate(held, costs=COSTS, trial=trial, tried=ONCE)
    with pytest.raises(Conflict, match="has ended"):
        evaluate(held, costs=COSTS, trial=trial, tried=ONCE)
    with pytest.raises(TypeError, match="nothing is scored that was not counted"):
        evaluate(held, costs=COSTS, trial=None, tried=ONCE)  # type: ignore[arg-type]  # that it is refused is what is tested
    (kept,) = trials.kept.values()
    likely = probabilistic_sharpe(made.net)
    assert kept.result is not None
    assert (kept.result.trial, kept.result.metric, kept.result.samples) == (made.figures.trial, "period_sharpe", len(made.net))
    assert kept.result.value == pytest.approx(likely.sharpe)
    # The variance is that of the ratio's influence function, so that the ledger knows the error of what it compares.
    assert np.sqrt(kept.result.variance / kept.result.samples) == pytest.approx(likely.se, rel=0.01)


def test_the_ledger_counts_strategies_and_says_how_their_sharpe_ratios_vary(tmp_path: Path) -> None:
    facts = {
        "task": "portfolio_allocation",
        "entry": "ppo",
        "hyperparameters": {},
        "config": {},
        "data_snapshot": "1",
        "code_version": "1",
        "fingerprint_id": "1",
    }
    ledger, ratios = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}"), []
    for attempt in range(4):
        trials = LedgerTrials(ledger=ledger, metric="certainty_equivalent", config_hash=str(attempt), **facts)
        with trials.open(None, 0) as trial:
            made = evaluate(portfolio(attempt), costs=COSTS, trial=trial, tried=ONCE)
        ratios.append(made.figures.net(1).sharpe / np.sqrt(252))
    found = ledger.trial_statistics("portfolio_allocation", None, "period_sharpe")
    ledger.close()
    assert found.configurations == 4
    assert found.variance_between == pytest.approx(np.var(ratios, ddof=1))
    deflated = result_of(portfolio(4), tried=Tried(count=found.configurations + 1, variance=found.variance_between)).figures
    assert 0 < deflated.deflated_benchmark < 4 * np.sqrt(252 * found.variance_between)


def test_figures_are_the_metrics_of_the_series_at_each_multiple() -> None:
    held = portfolio(2)
    made = result_of(held, periods=250)
    charged = cost_series(COSTS, held.weights, held.asset_returns, periods=250)
    gross = (held.weights * held.asset_returns).sum(axis=1)
    assert made.net == pytest.approx(gross - charged.total)
    for multiple in MULTIPLES:
        net, figures = gross - multiple * charged.total, section(made).net(multiple)
        assert made.net_at(multiple) == pytest.approx(net)
        assert figures.mean == pytest.approx(250 * net.mean())
        assert figures.volatility == pytest.approx(np.sqrt(250) * net.std(ddof=1))
        assert figures.sharpe == pytest.approx(sharpe(net, 250))
        assert figures.certainty_equivalent == pytest.approx(certainty_equivalent(net, 3, 250))
        assert figures.drawdown == pytest.approx(drawdown(net))
    assert made.figures.turnover == pytest.approx(turnover(held.weights, held.asset_returns))
    assert made.figures.split.fee == pytest.approx(250 * charged.fee.mean())
    assert made.figures.split.total == pytest.approx(250 * charged.total.mean())


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), low=st.floats(0, 5), more=st.floats(0, 5))
def test_costs_only_ever_take(seed: int, low: float, more: float) -> None:
    made = result_of(portfolio(seed, d=60))
    assert (made.net <= made.gross).all()
    assert (made.net_at(low + more) <= made.net_at(low)).all()
    means = [figures.mean for figures in made.figures.at]
    assert means == sorted(means, reverse=True)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), drift=st.floats(-0.002, 0.002))
def test_nothing_is_left_at_the_break_even_cost(seed: int, drift: float) -> None:
    held = portfolio(seed, d=60, drift=drift)
    short = Holdings(held.weights - 0.5, held.asset_returns, held.times, held.decided)
    made = result_of(short, limits=LONG_SHORT)
    even = made.figures.break_even
    assert made.net_at(even.multiple).mean() == pytest.approx(0, abs=1e-12)
    assert (made.gross - made.charged.traded * even.bp / 1e4).mean() == pytest.approx(0, abs=1e-12)
    assert (even.multiple > 1) == (made.net.mean() > 0)


def test_the_break_even_is_exact_for_costs_that_are_not_linear_in_size() -> None:
    held = portfolio(3, drift=0.001)
    model = CostModel(version="impact", impact=1, capital=1e6)
    inputs = {"volatility": np.full(3, 0.01), "adv": np.full(3, 1e8)}
    made = result_of(held, costs=model, **inputs)
    assert made.net_at(made.figures.break_even.multiple).mean() == pytest.approx(0, abs=1e-14)
    stronger = model.model_copy(update={"impact": 2.0})
    assert result_of(held, costs=stronger, **inputs).figures.break_even.multiple == pytest.approx(made.figures.break_even.multiple / 2)


def test_the_deflated_sharpe_ratio_falls_with_what_was_tried() -> None:
    held = portfolio(4, drift=0.001)
    tries = [1, 2, 10, 100, 1000]
    deflated = [result_of(held, tried=Tried(count=n, variance=0.001)).figures.deflated_sharpe for n in tries]
    assert deflated == sorted(deflated, reverse=True)
    assert len(set(deflated)) == len(tries)
    once = result_of(held).figures
    assert once.deflated_sharpe == once.probabilistic_sharpe
    assert once.deflated_benchmark == 0
    assert result_of(held, tried=Tried(count=10, variance=0.004)).figures.deflated_sharpe < deflated[2]


def test_without_a_variance_the_trials_are_taken_for_worthless_ones() -> None:
    held = portfolio(4, drift=0.001)
    assumed = result_of(held, tried=Tried(count=50)).figures
    stated = result_of(held, tried=Tried(count=50, variance=1 / (len(held.weights) - 1))).figures
    assert assumed.deflated_sharpe == stated.deflated_sharpe < assumed.probabilistic_sharpe


def test_the_track_record_that_is_needed_is_shorter_for_a_better_strategy() -> None:
    weak, strong = (result_of(equal_weights(portfolio(5, drift=drift))).figures.minimum_track_record for drift in (0.0015, 0.004))
    assert strong is not None
    assert weak is not None
    assert strong < weak
    assert result_of(portfolio(5, drift=-0.002)).figures.minimum_track_record is None


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ([0.8, 0.4], {}, "sum to 1.2, over limits.gross of 1"),
        ([0.8, -0.1], {}, "holds -0.1 of asset 1"),
        ([1.5, -0.9], {"limits": LONG_SHORT}, "sum to 2.4"),
        ([0.0, 0.0], {}, "nothing is traded"),
        ([30.0, 0.0], {"limits": Limits(gross=20)}, "sum to 30"),
    ],
)
def test_weights_beyond_the_stated_limits_are_refused(weights: list[float], options: dict[str, Any], message: str) -> None:
    returns, dates = market(0, 50, 2)
    with pytest.raises(DataError, match=message):
        result_of(fill_at_next_close(np.tile(weights, (50, 1)), 0.1 * returns, dates), **options)


def test_weights_may_drift_past_a_limit_that_they_were_chosen_within() -> None:
    returns, dates = market(0, 50, 2)
    returns[:, 0], returns[:, 1] = -0.01, 0.01
    held = fill_at_next_close(np.tile([0.5, -0.5], (50, 1)), returns + 0.001 * market(1, 50, 2)[0], dates, every=10)
    assert np.abs(held.weights).sum(axis=1).max() > 1.01
    made = result_of(held, limits=Limits(gross=1, long_only=False))
    assert (made.charged.traded > 1e-9).sum() == 5


def test_costs_that_take_everything_are_no_result() -> None:
    returns, dates = market(0, 50, 2)
    decisions = np.where(np.arange(50)[:, None] % 2, [10.0, -10.0], [-10.0, 10.0])
    with pytest.raises(DataError, match="more than everything"):
        result_of(fill_at_next_close(decisions, 0.1 * returns, dates), costs=CostModel(version="dear", fee_bp=500), limits=Limits(gross=20, long_only=False))


def test_a_strategy_ruined_at_five_times_its_costs_still_has_a_report() -> None:
    returns, dates = market(0, 50, 2)
    decisions = np.where(np.arange(50)[:, None] % 2, [3.0, -3.0], [-3.0, 3.0])
    made = result_of(fill_at_next_close(decisions, 0.1 * returns, dates), costs=CostModel(version="dear", fee_bp=200), limits=Limits(gross=6, long_only=False))
    assert made.net_at(5).min() < -1
    assert made.figures.net(5).drawdown == 1


def test_a_strategy_is_compared_at_every_multiple_and_the_section_survives_a_file() -> None:
    held = portfolio(6, d=500)
    base = result_of(equal_weights(held), name="equal weight")
    made = result_of(held, reference=base, name="random")
    against = made.figures.versus
    assert against is not None
    assert against.reference == "equal weight"
    for at, own, other in zip(against.at, made.figures.at, base.figures.at, strict=True):
        assert at.mean.value == pytest.approx(own.mean - other.mean)
        assert at.sharpe.value == pytest.approx(own.sharpe - other.sharpe, rel=0.01)
        assert at.certainty_equivalent.value == pytest.approx(own.certainty_equivalent - other.certainty_equivalent)
        for difference in (at.mean, at.sharpe, at.certainty_equivalent):
            assert difference.low < difference.value < difference.high
        assert at.information_ratio == pytest.approx(sharpe(made.net_at(at.multiple) - base.net_at(at.multiple)))
    # It trades its whole value a day, equal weight hardly any: what it pays decides.
    assert against.at[1].mean.p > 0.9
    assert against.at[3].mean.value < against.at[2].mean.value < against.at[1].mean.value < against.at[0].mean.value
    assert StrategySection.model_validate_json(made.figures.model_dump_json()) == made.figures


def test_a_strategy_does_not_differ_from_itself() -> None:
    base = result_of(portfolio(7), name="itself")
    against = result_of(portfolio(7), reference=base).figures.versus
    assert against is not None
    for at in against.at:
        for difference in (at.mean, at.sharpe, at.certainty_equivalent):
            assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)
        assert at.information_ratio == 0


def test_a_reference_with_other_dates_or_costs_is_refused() -> None:
    base = result_of(portfolio(8), name="base")
    with pytest.raises(DataError, match="evaluate both over the same dates"):
        result_of(portfolio(8, d=299), reference=base)
    with pytest.raises(DataError, match="evaluate both over the same dates"):
        result_of(portfolio(8), reference=base, periods=365)
    with pytest.raises(DataError, match="at the same costs"):
        result_of(portfolio(8), reference=base, costs=COSTS.model_copy(update={"fee_bp": 6}))


def test_a_section_whose_figures_are_not_net_of_its_costs_is_refused() -> None:
    data = result_of(portfolio(9)).figures.model_dump()
    assert StrategySection(**data)
    flattered = [{**figures, "mean": data["at"][0]["mean"]} for figures in data["at"]]
    with pytest.raises(ValidationError, match="less the costs"):
        StrategySection(**{**data, "at": flattered})
    with pytest.raises(ValidationError, match="times the costs"):
        StrategySection(**{**data, "at": data["at"][:2]})
    with pytest.raises(ValidationError, match="cost nothing"):
        StrategySection(**{**data, "at": flattered, "split": dict.fromkeys(data["split"], 0.0)})
    with pytest.raises(ValidationError, match="trading is free"):
        StrategySection(**{**data, "costs": {"version": "free/1"}})


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 5, "variance": 0.0}, {"count": 5, "variance": -1.0}])
def test_trials_cannot_be_made_harmless(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Tried(**wrong)


def random_signal(seed: int) -> Holdings:
    returns, dates = market(seed, d=502, n=1)
    return fill_at_next_close(np.random.default_rng([seed, 2]).choice([-1.0, 1.0], (502, 1)), returns, dates)


def test_random_signals_on_random_walks_lose_their_costs_and_rarely_pass() -> None:
    made = [result_of(random_signal(seed), limits=Limits(long_only=False), tried=Tried(count=10)) for seed in range(300)]
    before, after = (np.array([r.figures.net(multiple).sharpe for r in made]) for multiple in (0, 1))
    assert abs(before.mean()) < 0.15
    assert after.mean() < -0.5
    assert np.mean([r.figures.deflated_sharpe > 0.95 for r in made]) < 0.01
    # Before costs the probabilistic ratio passes as often as it promises; the deflated one pays for ten looks.
    gross = [probabilistic_sharpe(r.gross).probability > 0.95 for r in made]
    assert 0.02 < np.mean(gross) < 0.09


def test_a_planted_signal_survives_its_costs_and_its_trials() -> None:
    rng = np.random.default_rng(0)
    returns, dates = market(0, d=2002, n=1)
    signal = rng.choice([-1.0, 1.0], (2002, 1))
    returns[2:] += 0.002 * signal[:-2]
    made = result_of(fill_at_next_close(signal, returns, dates), limits=Limits(long_only=False), tried=Tried(count=10)).figures
    assert made.deflated_sharpe > 0.95
    assert made.net(1).sharpe > 1
    assert 20 * 0.6 < made.break_even.bp < 20 * 1.4
