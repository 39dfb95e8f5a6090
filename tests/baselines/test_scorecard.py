"""The scorecard: bins that keep their order, weights of evidence by their formula, and scikit-learn's own logistic regression."""

from __future__ import annotations

import numpy as np
import pytest
from loan_tables import loans, made, parts
from sklearn.linear_model import LogisticRegression

from finml_models.baselines._binning import bins_of, edges_of, weight_of_evidence
from finml_models.baselines.scorecard import BASE_ODDS, BASE_POINTS, DOUBLING, Scorecard, ScorecardHyperparameters
from finml_models.core.errors import DataError
from finml_models.evaluation.metrics.classification import auc


@pytest.fixture(scope="module")
def fitted() -> Scorecard:
    table, signature, _ = loans()
    train, valid, _ = parts(table)
    return Scorecard(ScorecardHyperparameters(), signature).fit(train, valid)


@pytest.mark.parametrize("sign", [-1, 1])
def test_default_rates_rise_or_fall_from_bin_to_bin_as_expected(sign: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=4_000)
    y = (rng.random(4_000) < 1 / (1 + np.exp(2 - sign * x + np.sin(4 * x)))).astype(float)
    bins = bins_of(x, edges_of(x, y, sign, 0.03))
    rates = np.array([y[bins == b].mean() for b in range(1, bins.max() + 1)])
    assert len(rates) > 4
    assert (np.diff(rates) * sign > 0).all()
    assert min(np.bincount(bins)[1:]) >= 0.03 * len(x)


def test_an_expectation_that_the_data_contradict_leaves_one_bin() -> None:
    x = np.linspace(0, 1, 1_000)
    y = (np.random.default_rng(0).random(1_000) < 0.1 + 0.6 * x).astype(float)
    assert len(edges_of(x, y, -1, 0.03)) <= 1


def test_without_an_expectation_a_bend_survives() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 4_000)
    y = (rng.random(4_000) < np.clip(0.05 + 0.15 * x**2, 0, 1)).astype(float)
    bins = bins_of(x, edges_of(x, y, 0, 0.03))
    rates = [y[bins == b].mean() for b in range(1, bins.max() + 1)]
    assert rates[0] > 2 * min(rates) < rates[-1]


def test_the_weight_of_evidence_is_the_log_of_the_shares_ratio_and_an_empty_bin_says_nothing() -> None:
    bins = np.repeat([1, 2], [60_000, 40_000])
    y = np.concatenate([np.arange(60_000) < 3_000, np.arange(40_000) < 8_000]).astype(float)
    woe, information = weight_of_evidence(bins, y, 4)
    good, bad = np.array([57_000, 32_000]) / 89_000, np.array([3_000, 8_000]) / 11_000
    np.testing.assert_allclose(woe[1:3], np.log(good / bad), atol=2e-3)
    assert information == pytest.approx(((good - bad) * np.log(good / bad)).sum(), abs=2e-3)
    assert woe[0] == woe[3] == pytest.approx(0, abs=1e-12)


def test_the_probabilities_are_those_of_scikit_learns_regression_on_the_weights_of_evidence(fitted: Scorecard) -> None:
    table, _, _ = loans()
    train, valid, test = parts(table)
    both = train.join(valid)
    y, bins = both.target[:, 0].astype(np.float64), fitted._bins(both)
    used = np.flatnonzero((fitted.worth != 0).any(axis=1))
    evidence = [weight_of_evidence(bins[:, column], y, fitted.worth.shape[1])[0] for column in used]

    def design(part: object) -> np.ndarray:
        return np.column_stack([own[fitted._bins(part)[:, column]] for own, column in zip(evidence, used, strict=True)])

    oracle = LogisticRegression(C=1.0, tol=1e-8, max_iter=1_000).fit(design(both), y)
    np.testing.assert_allclose(fitted.predict(test).values, oracle.predict_proba(design(test)), atol=1e-6)
    assert (oracle.coef_ <= 0).all()


def test_it_ranks_loans_nearly_as_well_as_the_truth(fitted: Scorecard) -> None:
    table, _, truth = loans()
    test = parts(table)[2]
    y = test.target[:, 0]
    assert auc(y, fitted.predict(test).values[:, 1]) > auc(y, truth[-len(y) :]) - 0.05


def test_more_of_what_is_expected_to_harm_never_helps(fitted: Scorecard) -> None:
    table, signature, _ = loans()
    rows = table.take(np.arange(300))
    for column, sign in enumerate(signature.monotone):
        grid = np.nanquantile(table.values[:, column], np.linspace(0, 1, 40))
        risks = []
        for value in grid:
            values = rows.values.copy()
            values[:, column] = value
            moved = type(rows)(values, rows.columns, rows.times, rows.entities, codes=rows.codes)
            risks.append(fitted.predict(moved).values[:, 1])
        assert (np.diff(risks, axis=0) * sign >= -1e-6).all() or sign == 0


def test_the_points_of_a_row_sum_to_the_scale_that_they_promise(fitted: Scorecard) -> None:
    table, _, _ = loans()
    bins, points = fitted._bins(table), fitted.points()
    score = points[np.arange(len(points)), bins].sum(axis=1)
    p = fitted.predict(table).values.astype(np.float64)
    np.testing.assert_allclose(score, BASE_POINTS + DOUBLING * np.log2(p[:, 0] / p[:, 1] / BASE_ODDS), atol=1e-2)


def test_missing_and_unknown_values_have_a_bin_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(4_000, 1)), rng.integers(1, 3, (4_000, 1))
    missing = rng.random(4_000) < 0.3
    y = rng.random(4_000) < np.where(missing, 0.5, 0.1)
    table, signature = made(np.where(missing[:, None], np.nan, x), y, codes, (2,))
    model = Scorecard(ScorecardHyperparameters(), signature).fit(table, table)
    p = model.predict(table).values[:, 1]
    assert p[missing].mean() == pytest.approx(0.5, abs=0.05)
    unknown = model.predict(type(table)(table.values, table.columns, table.times, table.entities, codes=np.full_like(codes, 9))).values[:, 1]
    assert np.isfinite(unknown).all()


def test_one_class_alone_is_refused() -> None:
    table, signature = made(np.random.default_rng(0).normal(size=(50, 2)), np.zeros(50))
    with pytest.raises(DataError, match="give rows of both"):
        Scorecard(ScorecardHyperparameters(), signature).fit(table, table)


def test_the_state_rebuilds_the_same_bits(fitted: Scorecard) -> None:
    table, signature, _ = loans()
    other = Scorecard(ScorecardHyperparameters(), signature)
    other.restore(fitted.state())
    assert np.array_equal(other.predict(table).values, fitted.predict(table).values)
