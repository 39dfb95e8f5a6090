"""How forecasts order the assets of a date: rank IC and its Newey-West t."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import stats

from finml_models.evaluation.metrics.ranking import newey_west_t, rank_ic_by_date

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, lattice, named, require, thorough


def panel(draw: Draw) -> Inputs:
    """Dates of one to many assets, in any order; on the first there are two at least."""
    n = draw.n + 2
    days = np.append([0, 0], draw.rng.integers(0, 1 + draw.n // 4, draw.n))
    target = draw.numbers(n)
    point = np.where(draw.rng.random(n) < 0.4, target, draw.numbers(n))
    shuffle = draw.rng.permutation(n)
    return {"target": target[shuffle], "point": point[shuffle], "times": (np.datetime64("2024-01-01") + days)[shuffle]}


def long_panel(draw: Draw) -> Inputs:
    given = panel(Draw(draw.seed, 10 + 2 * draw.n, draw.temper))
    ic = rank_ic_by_date(**given)[1]
    require(len(ic) > 2 and ic.std() > 1e-6)
    return given


def varying_series(draw: Draw) -> Inputs:
    series = draw.numbers(draw.n + 1)
    require(np.ptp(series) > 0)
    given = {"series": series, "lags": draw.seed % min(draw.n + 1, 8)}
    # A negative autocorrelation can leave hardly any variance of the mean, and then nothing but rounding.
    require(abs(t_of_statsmodels(**given)) < 1e3)
    return given


def by_date(target: np.ndarray, point: np.ndarray, times: np.ndarray) -> list[pd.DataFrame]:
    frame = pd.DataFrame({"target": target, "point": point, "time": times})
    return [day for _, day in frame.groupby("time") if len(day) > 1]


def ic_of_scipy(target: np.ndarray, point: np.ndarray, times: np.ndarray) -> np.ndarray:
    ic = [stats.spearmanr(day.target, day.point).statistic if min(np.ptp(day.target), np.ptp(day.point)) > 0 else 0.0 for day in by_date(target, point, times)]
    return np.array(ic)


def ic_of_pandas(target: np.ndarray, point: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.array(
        [day.target.rank().corr(day.point.rank()) if min(np.ptp(day.target), np.ptp(day.point)) > 0 else 0.0 for day in by_date(target, point, times)]
    )


def slow_ic(target: np.ndarray, point: np.ndarray, times: np.ndarray) -> list[float]:
    """Kendall's form of Spearman's coefficient: signs of differences, summed over the others of the date, correlated."""
    rows = []
    for day in by_date(target, point, times):
        a, b = ([sum((x > y) - (x < y) for y in values) for x in values] for values in (day.target.tolist(), day.point.tolist()))
        scale = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
        rows.append(sum(x * y for x, y in zip(a, b, strict=True)) / scale if scale else 0.0)
    return rows


def dated(ic: np.ndarray, times: np.ndarray) -> np.ndarray:
    dates, counts = np.unique(times, return_counts=True)
    return np.stack([dates[counts > 1].astype(np.float64), ic])


def chosen_lags(n: int) -> int:
    return int(4 * (n / 100) ** (2 / 9))


def t_of_statsmodels(series: np.ndarray, lags: int) -> float:
    from statsmodels.api import OLS

    return float(OLS(series, np.ones(len(series))).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}).tvalues[0])


def t_of_arch(series: np.ndarray, lags: int) -> float:
    from arch.covariance.kernel import Bartlett

    return float(series.mean() / np.sqrt(Bartlett(series, bandwidth=lags, force_int=True).cov.long_run.squeeze() / len(series)))


def slow_t(series: np.ndarray, lags: int) -> float:
    n, mean = len(series), sum(series) / len(series)
    variance = 0.0
    for i in range(n):
        for j in range(n):
            variance += max(0.0, 1 - abs(i - j) / (lags + 1)) * (series[i] - mean) * (series[j] - mean)
    return float(mean / (variance**0.5 / n))


DAYS = np.repeat(np.datetime64("2024-01-01") + np.arange(3), 4)
RANKS = np.tile(np.arange(4.0), 3)
NOISE = np.array([0, 1, 2, 3, 0, 1, 3, 2, 0, 2, 1, 3.0])
GOOD, POOR = {"target": RANKS, "point": NOISE, "times": DAYS}, {"target": RANKS, "point": -NOISE, "times": DAYS}

ORACLES = {
    "rank_ic": Checked(
        panel,
        (
            Oracle("scipy.stats.spearmanr by date", lambda **given: ic_of_scipy(**given).mean()),
            Oracle("pandas.Series.rank and corr by date", lambda **given: ic_of_pandas(**given).mean()),
            Oracle("loop over pairs of a date", lambda **given: np.mean(slow_ic(**given))),
        ),
        GOOD,
        POOR,
    ),
    "rank_ic_by_date": Checked(
        panel,
        (
            Oracle("scipy.stats.spearmanr by date", lambda **given: dated(ic_of_scipy(**given), given["times"])),
            Oracle("loop over pairs of a date", lambda **given: dated(np.array(slow_ic(**given)), given["times"])),
        ),
    ),
    "rank_ic_t": Checked(
        long_panel,
        (
            Oracle("scipy.stats.spearmanr, statsmodels OLS HAC", lambda **given: t_of_statsmodels(ic := ic_of_scipy(**given), chosen_lags(len(ic)))),
            Oracle("pandas corr, arch.covariance.kernel.Bartlett", lambda **given: t_of_arch(ic := ic_of_pandas(**given), chosen_lags(len(ic)))),
        ),
        GOOD,
        POOR,
    ),
    "newey_west_t": Checked(
        varying_series,
        (
            Oracle("statsmodels OLS on a constant, HAC", t_of_statsmodels, rtol=1e-7),
            Oracle("arch.covariance.kernel.Bartlett", t_of_arch, rtol=1e-7),
            Oracle("loop over pairs of dates", slow_t, rtol=1e-7),
        ),
    ),
}

FIGURES = (
    Figure("rank_ic", WORKED, GOOD, (1 + 0.8 + 0.8) / 3),
    Figure("rank_ic", WORKED + ", no opinion", {**GOOD, "point": np.ones(12)}, 0.0),
    Figure("newey_west_t", WORKED + ", no lags: mean / (deviation / √n)", {"series": np.array([0.0, 1.0, 2.0]), "lags": 0}, 1 / (np.sqrt(2 / 3) / np.sqrt(3))),
    Figure("newey_west_t", WORKED + ", one lag takes a quarter off", {"series": np.array([0.0, 2.0, 2.0, 0.0, 1.0]), "lags": 1}, 1 / (np.sqrt(4.0 - 1.0) / 5)),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_cross_sections_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_cross_sections_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


@pytest.mark.parametrize("n", [2, 3, 24, 99, 100, 500])
def test_the_lags_chosen_are_those_of_newey_and_west_1994(n: int) -> None:
    series = lattice(n, 37, 509) - 0.3
    assert newey_west_t(series) == pytest.approx(t_of_statsmodels(series, chosen_lags(n)), rel=1e-9)
