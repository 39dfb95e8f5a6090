"""A rare class: fewer of the others train, and the probabilities are still those of all rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from finml_models.core.batches import Table
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.tabular.tabm.card import TabMHyperparameters
from finml_models.tabular.tabm.model import TabM
from finml_models.training.rare import COMMON, Rarity


def rows(n: int, share: float, seed: int = 0) -> Table:
    """Log odds rise by 2 with the first of two columns around those of a share."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(-np.log(share / (1 - share)) - 2 * x[:, 0]))).astype(np.float32)
    times = np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(1, "m")
    return Table(x, ("a", "b"), times, np.array([f"E{i}" for i in range(n)]), target=y[:, None], until=times)


SIGNATURE = Signature(kind=Kind.TABLE, objective=Objective.CLASSIFY, feature_names=("a", "b"), classes=("no", "yes"))


def test_classes_that_are_not_rare_change_nothing() -> None:
    assert Rarity.of(rows(2_000, 0.08), 2, 5) is None


def test_common_rows_are_thinned_by_the_stride_and_never_below_ten_a_rare_one() -> None:
    batch = rows(20_000, 0.004)
    rare = int(batch.target.sum())
    for stride in (1, 3, 50):
        found = Rarity.of(batch, 2, stride)
        kept = found.thin(batch)
        assert kept.target.sum() == rare
        least = max((len(batch) - rare) / stride, COMMON * rare)
        assert 0.95 * least < len(kept) - rare < 1.5 * least
        assert (np.diff(kept.times) > np.timedelta64(0)).all()
        np.testing.assert_allclose(np.exp(found.true), np.array([len(batch) - rare, rare]) / len(batch), atol=1e-4)
        np.testing.assert_allclose(np.exp(found.seen)[1], rare / len(kept), rtol=0.02)


def test_a_class_that_was_never_seen_is_not_impossible() -> None:
    batch = rows(300, 0.0001)
    assert batch.target.sum() == 0
    found = Rarity.of(batch, 2, 5)
    assert np.isfinite(found.true).all()
    assert np.isfinite(found.seen).all()


@pytest.fixture(scope="module")
def fitted() -> TabM:
    small = TabMHyperparameters(members=2, blocks=1, width=32, dropout=0.0, bins=4, embedding_width=4)
    config = TrainingConfig(max_epochs=8, stride=5, learning_rate=5e-3, calibrate=False, device="cpu")
    return TabM(small, SIGNATURE, config).fit(rows(20_000, 0.003), rows(5_000, 0.003, seed=1))


def test_probabilities_are_those_of_all_rows_without_any_calibration(fitted: TabM) -> None:
    test = rows(40_000, 0.003, seed=2)
    p = fitted.predict(test).values[:, 1]
    assert p.mean() == pytest.approx(test.target.mean(), rel=0.25)  # uncorrected, it would be several times that
    top = np.argsort(p)[-8_000:]
    assert p[top].mean() == pytest.approx(test.target[top].mean(), rel=0.25)


def test_shares_are_part_of_the_state(fitted: TabM) -> None:
    other, batch = TabM(fitted.hyperparameters, SIGNATURE, fitted.config), rows(500, 0.01, seed=3)
    state: Mapping[str, np.ndarray] = fitted.state()
    assert state["log_shares"].shape == (2,)
    other.restore(state)
    assert np.array_equal(other.predict(batch).values, fitted.predict(batch).values)
    assert "log_shares" not in TabM(fitted.hyperparameters, SIGNATURE, TrainingConfig(max_epochs=0, device="cpu")).fit(rows(400, 0.3), rows(400, 0.3)).state()
