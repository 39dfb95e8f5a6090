"""Regime detection: filtered probabilities of the market's state, from trailing windows alone."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class RegimeDetection(Task):
    """Windows or graphs of trailing data to the filtered probability of each regime."""

    name = "Regime detection"
    description = (
        "Windows of 60 sessions of returns, volatility and correlation in; the probability of each regime at the newest of them out: "
        "filtered, never smoothed. Scored by the log-likelihood of the next return given the regime, out of sample. The number of "
        "regimes is chosen on training data, and labels are aligned from refit to refit."
    )
    dataset = "market"
    objective = Objective.REGIMES
    kinds = (Kind.WINDOWS, Kind.GRAPHS)
    horizons = (1,)
    history = 60
    metrics = ("predictive_log_likelihood", "refit_ari", "mean_duration", "next_month_volatility_separation")
    baselines = ("one_regime", "gaussian_hmm", "kmeans", "volatility_terciles")
    gate = Gate(version="regime_detection/1", naive=("one_regime",), margin=0.01, coverage=None)
