"""The regime baselines: filtered like hmmlearn, never smoothed, named by volatility, and near the truth where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from finml_models.baselines.gaussian_hmm import GaussianHMM, GaussianHMMHyperparameters, estimated, filtered, stationary
from finml_models.baselines.kmeans import KMeans, KMeansHyperparameters
from finml_models.baselines.one_regime import OneRegime, OneRegimeHyperparameters
from finml_models.baselines.volatility_terciles import VolatilityTerciles, VolatilityTercilesHyperparameters
from finml_models.core.batches import Windows
from finml_models.datasets.market.switching import Switching, switching
from finml_models.datasets.market.synthetic import random_walk
from finml_models.evaluation.metrics.clustering import ari
from finml_models.evaluation.metrics.forecast import predictive_log_likelihood
from finml_models.tasks._regimes import MARKET
from finml_models.tasks.regime_detection import RegimeDetection
from finml_models.training.regimes import Laws

TASK = RegimeDetection()
ALL = [
    (OneRegime, OneRegimeHyperparameters),
    (GaussianHMM, GaussianHMMHyperparameters),
    (KMeans, KMeansHyperparameters),
    (VolatilityTerciles, VolatilityTercilesHyperparameters),
]


@cache
def planted() -> Switching:
    return switching(np.random.default_rng(2))


@cache
def parts() -> tuple[Windows, Windows, Windows]:
    """Training, validation and test windows of the planted regimes."""
    raw = planted().frame
    batch = TASK.windows(TASK.features(raw), TASK.target(raw))
    cuts = np.split(np.arange(len(batch)), [1000, 1300])
    return batch.take(cuts[0]), batch.take(cuts[1]), batch.take(cuts[2])


@cache
def fitted(position: int) -> OneRegime | GaussianHMM | KMeans | VolatilityTerciles:
    estimator, hyperparameters = ALL[position]
    train, valid, _ = parts()
    return estimator(hyperparameters(), TASK.signature(train)).fit(train, valid)


def likelihood(position: int) -> float:
    test = parts()[2]
    found = fitted(position).predict(test)
    return float(predictive_log_likelihood(test.target[:, 0], found.probabilities, found.mean, found.std).mean())


def truth() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the test rows: the best density's log-likelihood, its likeliest regime of the next session, and the true regime of today."""
    test, perfect = parts()[2], planted().truth()
    rows = np.searchsorted(perfect["time"].to_numpy(), test.time)
    columns = [perfect[[f"{name}{i}" for i in range(2)]].to_numpy()[rows] for name in ("p", "mean", "std")]
    return predictive_log_likelihood(test.target[:, 0], *columns), columns[0].argmax(axis=1), planted().regime[rows]


def delays(regime: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sessions from each change of the true regime to the first label that has noticed it, of stays of ten and more."""
    changes = np.append(np.flatnonzero(np.diff(regime)) + 1, len(regime))
    found = []
    for start, end in pairwise(changes):
        if end - start >= 10:
            noticed = np.flatnonzero(labels[start:end] == regime[start])
            found.append(int(noticed[0]) if len(noticed) else end - start)
    return np.array(found)


def test_the_filter_is_hmmlearns_posterior_of_the_newest_day_moved_one_step() -> None:
    from hmmlearn.hmm import GaussianHMM as Reference

    rng = np.random.default_rng(0)
    laws, transition = Laws(np.array([0.001, -0.002, 0.0]), np.array([0.005, 0.01, 0.03])), np.array([[0.9, 0.08, 0.02], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
    windows = 0.015 * rng.standard_normal((20, 60))
    reference = Reference(3, covariance_type="diag")
    reference.startprob_, reference.transmat_ = stationary(transition), transition
    reference.means_, reference.covars_ = laws.mean[:, None], laws.std[:, None] ** 2
    # Of the newest day, and of it alone, smoothed and filtered are the same.
    expected = np.stack([reference.predict_proba(window[:, None])[-1] for window in windows]) @ transition
    np.testing.assert_allclose(filtered(windows, laws, transition), expected, atol=1e-10)


def test_the_stationary_law_stays() -> None:
    transition = np.array([[0.9, 0.1], [0.3, 0.7]])
    np.testing.assert_allclose(stationary(transition) @ transition, stationary(transition), atol=1e-12)
    np.testing.assert_allclose(stationary(transition), [0.75, 0.25], atol=1e-12)


def test_the_hmm_finds_the_planted_chain() -> None:
    data = planted()
    laws, transition = estimated(data.market, 2)
    np.testing.assert_allclose(laws.std, data.std, rtol=0.1)
    np.testing.assert_allclose(transition.diagonal(), data.transition.diagonal(), atol=0.03)


def test_the_hmm_is_near_the_ceiling_and_nothing_is_above_it() -> None:
    best, labels, regime = truth()
    ceiling = float(best.mean())
    assert ceiling - 0.02 < likelihood(1)
    assert all(likelihood(position) < ceiling + 0.002 for position in range(len(ALL)))
    found = fitted(1).predict(parts()[2]).probabilities
    assert found.shape[1] == 2  # the number that was planted, of up to four
    assert ari(regime, found.argmax(axis=1)) > 0.95 * ari(regime, labels) > 0.5
    assert np.median(delays(regime, found.argmax(axis=1))) <= np.median(delays(regime, labels)) + 1 <= 5


def test_every_baseline_that_knows_regimes_beats_one_regime_on_planted_ones() -> None:
    assert min(likelihood(position) for position in (1, 2, 3)) > likelihood(0) + 0.02


def test_terciles_notice_a_change_weeks_after_the_hmm() -> None:
    _, _, regime = truth()
    wild = fitted(3).predict(parts()[2]).probabilities.argmax(axis=1) == 2
    hmm = fitted(1).predict(parts()[2]).probabilities.argmax(axis=1) == 1
    assert np.mean(delays(regime, wild.astype(int))) > np.mean(delays(regime, hmm.astype(int))) + 2


@pytest.mark.parametrize("position", range(4))
def test_probabilities_are_filtered_and_never_smoothed(position: int) -> None:
    test = parts()[2]
    middle = test.take(np.arange(200, 240))
    after = middle.times > middle.time.max()
    wild = replace(middle, panel=np.where(after[:, :, None], np.float32(-7.0), middle.panel))
    np.testing.assert_array_equal(fitted(position).predict(wild).probabilities, fitted(position).predict(middle).probabilities)


@pytest.mark.parametrize("position", range(4))
def test_regimes_keep_their_order_from_refit_to_refit(position: int) -> None:
    train, _, test = parts()
    estimator, hyperparameters = ALL[position]
    again = estimator(hyperparameters(), TASK.signature(train)).fit(train.take(np.arange(500)), train.take(np.arange(500, 1000)))
    for one in (again, fitted(position)):
        assert (np.diff(one.predict(test).std[0]) >= 0).all()
    if position in (0, 1, 3):
        before, after = (one.predict(test).probabilities.argmax(axis=1) for one in (again, fitted(position)))
        assert ari(before, after) > 0.6


@pytest.mark.parametrize("position", range(4))
def test_state_and_restore_answer_the_same_bits(position: int) -> None:
    estimator, hyperparameters = ALL[position]
    fresh = estimator(hyperparameters(), fitted(position).signature)
    fresh.restore(fitted(position).state())
    first, again = fitted(position).predict(parts()[2]).columns(), fresh.predict(parts()[2]).columns()
    assert all(np.array_equal(again[name], values) for name, values in first.items())


def test_nothing_beats_one_regime_by_more_than_luck_on_a_random_walk() -> None:
    raw = random_walk(np.random.default_rng(4), entities=4, sessions=1600)
    batch = TASK.windows(TASK.features(raw), TASK.target(raw))
    train, valid, test = (batch.take(rows) for rows in np.split(np.arange(len(batch)), [800, 1000]))
    values = []
    for estimator, hyperparameters in ALL:
        found = estimator(hyperparameters(), TASK.signature(batch)).fit(train, valid).predict(test)
        values.append(float(predictive_log_likelihood(test.target[:, 0], found.probabilities, found.mean, found.std).mean()))
    assert max(values[1:]) < values[0] + 0.005


def test_terciles_are_thirds_of_the_training_days() -> None:
    train, valid, _ = parts()
    share = fitted(3).predict(train.join(valid)).probabilities.mean(axis=0)
    np.testing.assert_allclose(share, 1 / 3, atol=0.01)


def test_one_regime_is_the_moments_of_the_returns() -> None:
    train, valid, test = parts()
    following = np.concatenate([train.target, valid.target]).astype(np.float64)
    found = fitted(0).predict(test)
    assert found.mean[0, 0] == pytest.approx(following.mean(), rel=0.05)
    assert found.std[0, 0] == pytest.approx(following.std(), rel=1e-3)


def test_kmeans_gives_the_nearest_centre() -> None:
    test, held = parts()[2], fitted(2)
    distance = np.square((test.inputs - held.mean) / held.scale - held.centres[:, None]).sum(axis=2)
    np.testing.assert_array_equal(held.predict(test).probabilities.argmax(axis=1), distance.argmin(axis=0))
    assert held.centres.shape[1] == len(MARKET)
