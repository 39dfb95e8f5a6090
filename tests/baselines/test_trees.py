"""Monotone boosted trees: the arrays predict what scikit-learn predicts, and no constraint is ever broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from loan_tables import loans, made, parts
from sklearn.ensemble import HistGradientBoostingClassifier

from finml_models.baselines._trees import CategoryOrder, Forest
from finml_models.baselines.monotone_boosted_trees import MonotoneBoostedTrees, MonotoneBoostedTreesHyperparameters
from finml_models.core.errors import DataError
from finml_models.evaluation.metrics.classification import auc


@pytest.fixture(scope="module")
def fitted() -> MonotoneBoostedTrees:
    table, signature, _ = loans()
    train, valid, _ = parts(table)
    return MonotoneBoostedTrees(MonotoneBoostedTreesHyperparameters(), signature).fit(train, valid)


@pytest.mark.parametrize(("leaves", "trees"), [(2, 1), (6, 80), (31, 30)])
def test_the_arrays_score_as_scikit_learn_does_missing_values_included(leaves: int, trees: int) -> None:
    rng = np.random.default_rng(leaves)
    x = rng.normal(size=(3_000, 5))
    x[rng.random(x.shape) < 0.2] = np.nan
    y = rng.random(3_000) < 1 / (1 + np.exp(-np.nan_to_num(x[:, 0]) + np.isnan(x[:, 1])))
    model = HistGradientBoostingClassifier(max_leaf_nodes=leaves, max_iter=trees, early_stopping=False, categorical_features=None).fit(x, y)
    forest = Forest.of(model)
    np.testing.assert_allclose(forest.score(x), model.decision_function(x), atol=1e-9)
    wild = np.concatenate([np.full((1, 5), np.inf), np.full((1, 5), -np.inf), np.full((1, 5), np.nan)])
    np.testing.assert_allclose(forest.score(wild), model.decision_function(wild), atol=1e-9)
    assert len(forest.score(x[:0])) == 0


def test_probabilities_are_those_of_the_same_boosting_fitted_by_hand(fitted: MonotoneBoostedTrees) -> None:
    table, _, _ = loans()
    train, valid, test = parts(table)
    both = train.join(valid)
    oracle = fitted._boosting(len(fitted.forest.feature)).fit(fitted._inputs(both), both.target[:, 0])
    np.testing.assert_allclose(fitted.predict(test).values, oracle.predict_proba(fitted._inputs(test)), atol=1e-6)


def test_it_ranks_loans_nearly_as_well_as_the_truth(fitted: MonotoneBoostedTrees) -> None:
    table, _, truth = loans()
    test = parts(table)[2]
    y = test.target[:, 0]
    assert auc(y, fitted.predict(test).values[:, 1]) > auc(y, truth[-len(y) :]) - 0.04


def risks(model: MonotoneBoostedTrees, column: int, grid: np.ndarray) -> np.ndarray:
    rows = loans()[0].take(np.arange(400))
    return np.stack([model.predict(replace(rows, values=_with(rows.values, column, value))).values[:, 1] for value in grid])


def _with(values: np.ndarray, column: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[:, column] = value
    return changed


def test_more_of_what_is_expected_to_harm_never_helps_and_without_constraints_it_does(fitted: MonotoneBoostedTrees) -> None:
    table, signature, _ = loans()
    train, valid, _ = parts(table)
    free = MonotoneBoostedTrees(MonotoneBoostedTreesHyperparameters(constrained=False, leaves=16), signature).fit(train, valid)
    broken = 0
    for column, sign in enumerate(signature.monotone):
        if sign:
            grid = np.nanquantile(table.values[:, column], np.linspace(0, 1, 30))
            assert (np.diff(risks(fitted, column, grid), axis=0) * sign >= -1e-6).all()
            broken += bool((np.diff(risks(free, column, grid), axis=0) * sign < -1e-4).any())
    assert broken > 3


def test_categories_are_parted_by_their_share_and_unknown_ones_count_as_missing() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 6, (4_000, 1))
    share = np.array([0.0, 0.1, 0.5, 0.12, 0.6, 0.08])
    y = rng.random(4_000) < share[codes[:, 0]]
    table, signature = made(rng.normal(size=(4_000, 1)), y, codes, (5,))
    order = CategoryOrder.of(codes, y.astype(float), (5,))
    assert order.apply(np.array([[0]])).shape == (1, 1)
    assert np.isnan(order.apply(np.array([[0]]))[0, 0])
    assert list(np.argsort(order.rank[0, 1:])) == list(np.argsort([y[codes[:, 0] == c].mean() for c in range(1, 6)]))
    model = MonotoneBoostedTrees(MonotoneBoostedTreesHyperparameters(), signature).fit(table, table)
    p = model.predict(table).values[:, 1]
    for code in range(1, 6):
        assert p[codes[:, 0] == code].mean() == pytest.approx(share[code], abs=0.06)
    assert np.isfinite(model.predict(replace(table, codes=np.full_like(codes, 9))).values).all()


def test_one_class_alone_is_refused() -> None:
    table, signature = made(np.random.default_rng(0).normal(size=(50, 2)), np.ones(50))
    with pytest.raises(DataError, match="give rows of both"):
        MonotoneBoostedTrees(MonotoneBoostedTreesHyperparameters(), signature).fit(table, table)


def test_the_state_rebuilds_the_same_bits(fitted: MonotoneBoostedTrees) -> None:
    table, signature, _ = loans()
    other = MonotoneBoostedTrees(MonotoneBoostedTreesHyperparameters(), signature)
    other.restore(fitted.state())
    assert np.array_equal(other.predict(table).values, fitted.predict(table).values)
