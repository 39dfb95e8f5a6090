"""Forecasts of a number or a density: QLIKE, log variance, R² against zero, predictive likelihood, value at risk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from scipy import special, stats
from sklearn.metrics import mean_gamma_deviance, mean_squared_error

from finml_models.core.errors import DataError
from finml_models.evaluation.metrics.forecast import predictive_log_likelihood

from .metric_oracles import WORKED, Checked, Draw, Figure, Inputs, Oracle, assert_agrees, assert_meets, cases, draws, named, thorough


def points(draw: Draw) -> Inputs:
    return {"target": np.clip(draw.numbers(draw.n), -50, 50), "point": np.clip(draw.numbers(draw.n), -50, 50)}


def nonzero(draw: Draw) -> Inputs:
    return {**points(draw), "target": np.clip(draw.numbers(draw.n), -50, 50) + 1e-3}


def fitted(draw: Draw) -> Inputs:
    """Points that a regression without a constant fitted to the targets."""
    y, x = draw.numbers(draw.n) + 1e-3, draw.rng.standard_normal(draw.n)
    return {"target": y, "point": x * (x @ y) / (x @ x)}


def mixtures(draw: Draw) -> Inputs:
    k = 1 + draw.seed % 4
    given = {"target": draw.numbers(draw.n), "means": draw.numbers(k), "deviations": 0.2 + draw.rng.random(k)}
    return {**given, "probabilities": draw.rng.dirichlet(np.ones(k), draw.n)}


def log_variances(draw: Draw) -> Inputs:
    return {"log_variance": np.clip(draw.numbers(draw.n), -30, 30), "wanted": (0.01, 0.05, 0.5), "degrees": (None, 3.0, 8.5)[draw.seed % 3]}


def uncentred_r2(target: np.ndarray, point: np.ndarray) -> float:
    from statsmodels.api import OLS

    return float(OLS(target, point, hasconst=False).fit().rsquared)


def of_gaussian_mixture(target: np.ndarray, probabilities: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> list[float]:
    from sklearn.mixture import GaussianMixture

    found = []
    for y, weights in zip(target, probabilities, strict=True):
        mixture = GaussianMixture(len(means))
        mixture.weights_, mixture.means_, mixture.precisions_cholesky_ = weights, means[:, None], 1 / deviations[:, None, None]
        found.append(float(mixture.score_samples([[y]])[0]))
    return found


def row_likelihood(target: np.ndarray, probabilities: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> list[float]:
    # The largest term is taken out first: far in the tail a density is below the smallest float.
    rows = []
    for y, weights in zip(target, probabilities, strict=True):
        terms = [math.log(p) + float(stats.norm.logpdf(y, m, d)) for p, m, d in zip(weights, means, deviations, strict=True)]
        rows.append(max(terms) + math.log(math.fsum(math.exp(term - max(terms)) for term in terms)))
    return rows


def of_arch(log_variance: np.ndarray, wanted: tuple[float, ...], degrees: float | None) -> np.ndarray:
    from arch.univariate import Normal, StudentsT

    z = Normal().ppf(list(wanted)) if degrees is None else StudentsT().ppf(list(wanted), np.array([degrees]))
    return np.sqrt(np.exp(log_variance))[:, None] * z


def of_scipy(log_variance: np.ndarray, wanted: tuple[float, ...], degrees: float | None) -> np.ndarray:
    law = stats.norm() if degrees is None else stats.t(degrees)
    return np.exp(log_variance / 2)[:, None] * law.ppf(wanted) / law.std()


Y = np.array([-0.5, 0.0, 0.9])
ON, OFF = {"target": Y, "point": Y + 0.1}, {"target": Y, "point": Y - 2}
REGIME = {"target": Y, "probabilities": np.ones((3, 1)), "deviations": np.ones(1)}

ORACLES = {
    "qlike": Checked(
        points,
        (
            Oracle("scipy.special.kl_div(1, realised / forecast)", lambda target, point: special.kl_div(1.0, np.exp(target - point))),
            Oracle("sklearn.metrics.mean_gamma_deviance / 2", lambda target, point: mean_gamma_deviance(np.exp(target), np.exp(point)) / 2),
        ),
        ON,
        OFF,
    ),
    "log_variance_mse": Checked(
        points,
        (
            Oracle(
                "sklearn.metrics.mean_squared_error", lambda target, point: np.array([mean_squared_error([y], [f]) for y, f in zip(target, point, strict=True)])
            ),
        ),
        ON,
        OFF,
    ),
    "oos_r2": Checked(
        nonzero,
        (
            Oracle("statsmodels OLS without constant, rsquared", uncentred_r2, fitted),
            Oracle(
                "sklearn.metrics.mean_squared_error against 0",
                lambda target, point: 1 - mean_squared_error(target, point) / mean_squared_error(target, 0 * target),
            ),
        ),
        ON,
        OFF,
    ),
    "predictive_log_likelihood": Checked(
        mixtures,
        (
            Oracle("sklearn.mixture.GaussianMixture.score_samples", of_gaussian_mixture),
            Oracle("loop over regimes", row_likelihood),
        ),
        {**REGIME, "means": np.zeros(1)},
        {**REGIME, "means": np.full(1, 3.0)},
    ),
    "value_at_risk": Checked(
        log_variances, (Oracle("arch.univariate Normal and StudentsT, ppf", of_arch), Oracle("scipy.stats norm and t, ppf / std", of_scipy))
    ),
}

FIGURES = (
    Figure("qlike", WORKED, {"target": np.log([2.0]), "point": np.zeros(1)}, [1 - math.log(2)]),
    Figure("log_variance_mse", WORKED, {"target": np.zeros(1), "point": np.log([1.6487212707])}, [0.25]),
    Figure("oos_r2", WORKED, {"target": np.array([0.02, -0.02]), "point": np.array([0.01, -0.01])}, 0.75),
    Figure(
        "predictive_log_likelihood",
        WORKED,
        {"target": np.zeros(1), "probabilities": np.array([[0.5, 0.5]]), "means": np.zeros(2), "deviations": np.array([1.0, 0.5])},
        [math.log(1.5 / math.sqrt(2 * math.pi))],
    ),
    Figure("value_at_risk", WORKED, {"log_variance": np.log([0.0004]), "wanted": (0.05,)}, [[-1.6448536269514722 * 0.02]]),
)


@pytest.mark.parametrize(("name", "oracle"), cases(ORACLES))
@given(draw=draws)
@thorough
def test_a_metric_of_points_equals_its_oracle(name: str, oracle: Oracle, draw: Draw) -> None:
    assert_agrees(name, oracle, ORACLES[name], draw)


@pytest.mark.parametrize("figure", FIGURES, ids=named)
def test_a_metric_of_points_meets_a_known_figure(figure: Figure) -> None:
    assert_meets(figure)


@pytest.mark.parametrize(
    ("probabilities", "deviations", "message"),
    [([[0.5, 0.6]], [1.0, 1.0], r"the sum 1\.1"), ([[1.2, -0.2]], [1.0, 1.0], r"from -0\.2"), ([[0.5, 0.5]], [1.0, 0.0], "a deviation of 0")],
)
def test_a_mixture_that_is_no_density_has_no_likelihood(probabilities: list[list[float]], deviations: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        predictive_log_likelihood(np.zeros(1), np.array(probabilities), np.zeros(2), np.array(deviations))
