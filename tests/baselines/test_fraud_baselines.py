"""Boosted trees, logistic regression and velocity rules on transactions: what they compute, and that they find fraud."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression as Oracle
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from finml_models.baselines.boosted_trees import BoostedTrees, BoostedTreesHyperparameters
from finml_models.baselines.logistic_regression import LogisticRegression, LogisticRegressionHyperparameters
from finml_models.baselines.velocity_rules import RULES, VelocityRules, VelocityRulesHyperparameters
from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.core.estimator import Estimator, Signature
from finml_models.core.spec import Objective
from finml_models.datasets.transactions.synthetic import generate
from finml_models.evaluation import splits
from finml_models.evaluation.metrics.classification import ece, pr_auc
from finml_models.tasks._account_history import NUMBERS
from finml_models.tasks.fraud_detection import FraudDetection

Parts = tuple[Table, Table, Table, Signature, np.ndarray]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Training, validation and scored rows of one fold of 500 accounts, and the truth of the scored ones."""
    simulated, task = generate(seed=3, accounts=500), FraudDetection()
    table = task.table(task.features(simulated.frame), task.target(simulated.frame))
    fold = splits.of_task(FraudDetection, table)[2]
    truth = simulated.truth.set_index(["entity", "time"])["p1"]
    test = table.take(fold.test)
    return table.take(fold.train), table.take(fold.valid), test, task.signature(table), truth.loc[list(zip(test.entity, test.time, strict=True))].to_numpy()


@pytest.fixture(scope="module")
def models(parts: Parts) -> dict[str, Estimator]:
    train, valid, _, signature, _ = parts
    made = {
        "trees": BoostedTrees(BoostedTreesHyperparameters(), signature),
        "logistic": LogisticRegression(LogisticRegressionHyperparameters(), signature),
        "rules": VelocityRules(VelocityRulesHyperparameters(), signature),
    }
    return {name: model.fit(train, valid) for name, model in made.items()}


@pytest.mark.parametrize(("name", "least"), [("trees", 0.25), ("logistic", 0.12), ("rules", 0.03)])
def test_each_finds_fraud_stays_calibrated_and_below_the_ceiling(name: str, least: float, models: dict[str, Estimator], parts: Parts) -> None:
    _, _, test, _, truth = parts
    y, p = test.target[:, 0], models[name].predict(test).values[:, 1]
    assert least < pr_auc(y, p) < pr_auc(y, truth)
    assert pr_auc(y, p) > 3 * y.mean()
    assert ece(y, p) < 0.01


def test_boosted_trees_are_those_of_scikit_learn(models: dict[str, Estimator], parts: Parts) -> None:
    train, valid, test, _, _ = parts
    part = models["trees"].part
    both = train.join(valid)
    oracle = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=len(part.forest.feature),
        max_leaf_nodes=8,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        categorical_features=None,
        random_state=0,
    ).fit(part._inputs(both), both.target[:, 0])
    np.testing.assert_allclose(models["trees"].predict(test).values, oracle.predict_proba(part._inputs(test)), atol=1e-6)


def test_columns_that_are_missing_in_every_row_are_passed_over(parts: Parts) -> None:
    train, valid, test, signature, _ = parts

    def without(batch: Table) -> Table:
        values = batch.values.copy()
        values[:, 3] = np.nan
        return replace(batch, values=values, codes=np.zeros_like(batch.codes))

    model = BoostedTrees(BoostedTreesHyperparameters(trees=30), signature).fit(without(train), without(valid))
    assert not np.isin(model.part.forest.feature[model.part.forest.left != np.arange(model.part.forest.left.shape[1])], [3, 25, 26]).any()
    assert pr_auc(test.target[:, 0], model.predict(without(test)).columns()["p1"]) > 5 * test.target.mean()


def test_boosted_trees_refuse_an_objective_that_they_do_not_answer(parts: Parts) -> None:
    with pytest.raises(NotImplementedError, match="objective score: boosted trees answer classify"):
        BoostedTrees(BoostedTreesHyperparameters(), parts[3].model_copy(update={"objective": Objective.SCORE}))


def test_the_regression_is_that_of_scikit_learn_on_standardised_numbers_and_indicators(models: dict[str, Estimator], parts: Parts) -> None:
    train, valid, test, signature, _ = parts
    both = train.join(valid)
    scaler, hot = StandardScaler().fit(both.values.astype(np.float64)), OneHotEncoder(categories=[range(1, n + 1) for n in signature.category_sizes])
    hot.fit(both.codes)

    def inputs(batch: Table) -> np.ndarray:
        return np.concatenate([np.clip(scaler.transform(batch.values.astype(np.float64)), -10, 10), hot.transform(batch.codes).toarray()], axis=1)

    oracle = Oracle(max_iter=1_000).fit(inputs(both), both.target[:, 0])
    np.testing.assert_allclose(models["logistic"].predict(test).values, oracle.predict_proba(inputs(test)), atol=2e-4)


def test_the_regression_answers_missing_numbers_as_the_mean_and_unknown_categories_as_none(models: dict[str, Estimator], parts: Parts) -> None:
    model, rows = models["logistic"], parts[2].take(np.arange(50))
    missing = replace(rows, values=np.full_like(rows.values, np.nan), codes=np.full_like(rows.codes, 99))
    expected = 1 / (1 + np.exp(-model.intercept[0]))
    np.testing.assert_allclose(model.predict(missing).values[:, 1], expected, rtol=1e-5)


def test_every_rule_reads_columns_that_there_are() -> None:
    assert {column for rule in RULES.values() for column in rule} <= set(NUMBERS)


def test_more_of_what_a_rule_looks_at_fires_it_and_a_rule_that_caught_too_little_never_fires(models: dict[str, Estimator], parts: Parts) -> None:
    model, test = models["rules"], parts[2]
    wild = replace(test.take(np.array([0])), values=np.full((1, len(NUMBERS)), 1e3, np.float32))
    fired = model._fired(wild)[0]
    kept = np.isfinite(np.where(model.thresholds == -np.inf, 0, model.thresholds)).all(axis=1)
    np.testing.assert_array_equal(fired == 1, kept)
    assert kept.sum() >= 3
    assert not model._fired(replace(wild, values=np.full((1, len(NUMBERS)), np.nan, np.float32))).any()
    strict = VelocityRules(VelocityRulesHyperparameters(least_hits=1_000), parts[3]).fit(parts[0], parts[1])
    assert not strict._fired(wild).any()


def test_rules_without_their_columns_are_refused(parts: Parts) -> None:
    other = parts[3].model_copy(update={"feature_names": tuple(f"f{i}" for i in range(len(NUMBERS)))})
    with pytest.raises(DataError, match="none of the rules finds its columns"):
        VelocityRules(VelocityRulesHyperparameters(), other).fit(parts[0], parts[1])


@pytest.mark.parametrize("name", ["trees", "logistic", "rules"])
def test_the_state_rebuilds_the_same_bits(name: str, models: dict[str, Estimator], parts: Parts) -> None:
    model, test = models[name], parts[2]
    other = type(model)(model.hyperparameters, model.signature)
    other.restore(model.state())
    assert np.array_equal(other.predict(test).values, model.predict(test).values)
