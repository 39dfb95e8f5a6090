"""Explanation by replacement: Shapley values where there are closed forms, sums that always hold, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any, Self

import numpy as np
import pytest

from finml_models.core.batches import Batch, Table, Windows
from finml_models.core.errors import NotExplained
from finml_models.core.estimator import Estimator, OnProgress, Signature, ignore
from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.predictions import Forecast, Probabilities
from finml_models.core.spec import Hyperparameters, Kind, Objective
from finml_models.core.texts import Texts

NAMES = ("a", "b", "c", "d")
TYPICAL = {"middle": np.array([1.0, 0.0, np.nan, 2.0], np.float32), "common": np.array([2], np.int64)}
Of = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Formula(Estimator[Hyperparameters]):
    """A forecast by a formula of a row's numbers (n, 4), missing ones 0, and categories (n, 1)."""

    def __init__(self, of: Of, *, kind: Kind = Kind.TABLE, length: int = 0) -> None:
        names = {} if kind is Kind.WINDOWS else {"category_names": ("k",), "category_sizes": (3,)}
        super().__init__(
            Hyperparameters(), Signature(kind=kind, objective=Objective.FORECAST, feature_names=NAMES, horizons=(1, 5), levels=(0.5,), length=length, **names)
        )
        self.of, self.typical = of, TYPICAL

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        raise NotImplementedError

    def predict(self, batch: Batch) -> Forecast:
        if isinstance(batch, Windows):
            first = np.maximum(batch.end - batch.length + 1, 0)
            point = np.array(
                [
                    self.of(np.nan_to_num(batch.panel[s, a : b + 1].mean(axis=0, keepdims=True)), np.zeros((1, 1)))[0]
                    for s, a, b in zip(batch.series, first, batch.end, strict=True)
                ]
            )
        else:
            point = self.of(np.nan_to_num(batch.values.astype(np.float64)), batch.codes)
        point = np.stack([point, point * 0], axis=1)
        return Forecast(point, point[:, :, None], (0.5,))

    def state(self) -> Mapping[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError


def rows(n: int = 5) -> Table:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(n, 4)).astype(np.float32)
    values[0, 2] = np.nan
    times = np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "D")
    return Table(values, NAMES, times, np.array([f"r{i}" for i in range(n)]), codes=rng.integers(0, 4, (n, 1)))


def shapley(of: Of, row: np.ndarray, code: int) -> np.ndarray:
    """The mean over all orders of the inputs, of which one is the category."""
    own, usual = np.append(np.nan_to_num(row.astype(np.float64)), code), np.append(np.nan_to_num(TYPICAL["middle"].astype(np.float64)), 2)
    found = np.zeros(5)
    for order in permutations(range(5)):
        held = usual.copy()
        for column in order:
            before = of(held[None, :4], held[None, 4:])[0]
            held[column] = own[column]
            found[column] += of(held[None, :4], held[None, 4:])[0] - before
    return found / 120


def test_a_linear_model_gives_back_coefficient_times_distance_from_typical() -> None:
    batch = rows()
    found = Formula(lambda x, k: x @ np.array([2.0, -1.0, 3.0, 0.0]) + (k[:, 0] == 3)).explain(batch)
    (part,) = found.parts
    assert part.names == (*NAMES, "k")
    distance = np.nan_to_num(batch.values) - np.nan_to_num(TYPICAL["middle"])
    np.testing.assert_allclose(part.weights[:, :4], distance * [2, -1, 3, 0], atol=1e-5)
    np.testing.assert_array_equal(part.weights[:, 4], batch.codes[:, 0] == 3)
    assert found.output == "point forecast at horizon 1"


def test_pairs_get_their_shapley_values() -> None:
    def of(x: np.ndarray, k: np.ndarray) -> np.ndarray:
        return x[:, 0] * x[:, 3] + np.abs(x[:, 1] - x[:, 2]) + x[:, 0] * (k[:, 0] == 1) + np.sin(3 * x[:, 1])

    batch = rows(8)
    weights = Formula(of).explain(batch).parts[0].weights
    for i in range(8):
        np.testing.assert_allclose(weights[i], shapley(of, batch.values[i], int(batch.codes[i, 0])), atol=1e-5)


def test_contributions_add_up_for_any_function_and_the_ignored_has_none() -> None:
    def of(x: np.ndarray, k: np.ndarray) -> np.ndarray:
        return np.floor(3 * x[:, 0]) * np.maximum(x[:, 1], x[:, 3]) ** 2 + k[:, 0] * (x[:, 0] > 0)

    batch = rows(20)
    estimator = Formula(of)
    found = estimator.explain(batch)
    np.testing.assert_allclose(found.value, estimator.predict(batch).point[:, 0])
    np.testing.assert_allclose(found.start, of(np.nan_to_num(TYPICAL["middle"])[None].astype(np.float64), np.array([[2]]))[0])
    np.testing.assert_allclose(found.gap, 0, atol=1e-4)
    assert not found.parts[0].weights[:, 2].any()


def test_a_planted_input_gets_the_most_and_a_row_is_the_same_alone() -> None:
    estimator, batch = Formula(lambda x, k: 5 * np.tanh(x[:, 1]) + 0.1 * x[:, 0] + 0 * k[:, 0]), rows(30)
    weights = estimator.explain(batch).parts[0].weights
    assert np.abs(weights).mean(axis=0).argmax() == 1
    np.testing.assert_array_equal(estimator.explain(batch.take(np.array([7]))).parts[0].weights[0], weights[7])


def test_an_input_of_a_window_is_replaced_in_all_of_its_rows_and_padding_stays_out() -> None:
    panel = np.random.default_rng(2).normal(size=(2, 9, 4)).astype(np.float32)
    days = np.broadcast_to(np.datetime64("2020-01-01", "us") + np.arange(9) * np.timedelta64(1, "D"), (2, 9))
    batch = Windows(panel, days, np.array(["A", "B"]), np.array([0, 1, 1]), np.array([8, 5, 1]), 4)
    estimator = Formula(lambda x, k: x @ np.array([2.0, -1.0, 3.0, 0.0]) + 0 * k[:, 0], kind=Kind.WINDOWS, length=4)
    means = np.stack([panel[0, 5:9].mean(axis=0), panel[1, 2:6].mean(axis=0), panel[1, :2].mean(axis=0)])
    found = estimator.explain(batch)
    np.testing.assert_allclose(found.parts[0].weights, (means - np.nan_to_num(TYPICAL["middle"])) * [2, -1, 3, 0], atol=1e-5)
    np.testing.assert_allclose(found.value, estimator.predict(batch).point[:, 0], atol=1e-6)


def test_what_cannot_be_replaced_is_refused() -> None:
    estimator = Formula(lambda x, k: x[:, 0] + 0 * k[:, 0])
    with pytest.raises(NotExplained, match="no rows"):
        estimator.explain(rows().take(np.arange(0)))
    with pytest.raises(NotExplained, match="Texts"):
        estimator.explain(Texts(np.array(["a"], object), rows(1).time, rows(1).entity))
    for typical in (None, {"low": np.zeros(4)}):
        estimator.typical = typical
        with pytest.raises(NotExplained, match="typical inputs"):
            estimator.explain(rows())


def test_probabilities_are_explained_in_log_odds_of_the_last_class() -> None:
    class Odds(Formula):
        def predict(self, batch: Batch) -> Probabilities:
            p = 1 / (1 + np.exp(-super().predict(batch).point[:, 0]))
            return Probabilities(np.stack([1 - p, p], axis=1).astype(np.float32), ("no", "yes"))

    estimator = Odds(lambda x, k: x @ np.array([2.0, -1.0, 0.0, 0.0]) + 0 * k[:, 0])
    estimator.signature = estimator.signature.model_copy(update={"classes": ("no", "yes")})
    found = estimator.explain(rows())
    assert found.output == "log odds of 'yes'"
    np.testing.assert_allclose(found.parts[0].weights[:, 0], 2 * (rows().values[:, 0] - 1), atol=1e-4)


def test_an_explanation_that_adds_up_to_nothing_cannot_be_made() -> None:
    part = Attribution("features", ("a",), np.ones((1, 1), np.float32), "m", adds=True)
    with pytest.raises(ValueError, match="value and start"):
        Explanation("method", "caveat", (part,))
    with pytest.raises(ValueError, match="value and start"):
        Explanation("method", "caveat", (replace(part, adds=False),), "o", np.ones(1), np.zeros(1))
    assert Explanation("method", "caveat", (part,), "o", np.full(1, 3.0), np.ones(1)).gap == pytest.approx([1.0])
