"""Regimes from embeddings: found, counted, ordered, the same alone and in company, kept as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from finml_models.core.errors import DataError
from finml_models.evaluation.metrics.clustering import ari
from finml_models.training.regimes import LEAST_SHARE, Laws, RegimeMixture


def planted(rows: int = 1500, regimes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(regime, embedding, following): wilder regimes lie farther out, and the network has numbered its units as it liked."""
    rng = np.random.default_rng(seed)
    regime = rng.integers(0, regimes, rows)
    embedding = rng.standard_normal((rows, 4))
    embedding[:, 2] -= 5.0 * regime
    return regime, embedding.astype(np.float32), 0.01 * 3.0**regime * rng.standard_normal(rows)


@pytest.mark.parametrize("regimes", [2, 3])
def test_planted_regimes_are_counted_and_found_calmest_first(regimes: int) -> None:
    regime, embedding, following = planted(regimes=regimes)
    found = RegimeMixture.of(embedding, following, 4, 0)
    assert len(found.laws.std) == regimes
    np.testing.assert_allclose(found.laws.std, 0.01 * 3.0 ** np.arange(regimes), rtol=0.15)
    assert ari(regime, found.predict(embedding).probabilities.argmax(axis=1)) > 0.95


def test_the_number_is_chosen_by_what_came_after_and_not_by_the_clusters() -> None:
    _, embedding, following = planted(regimes=2)
    rng = np.random.default_rng(1)
    embedding[:, 0] += 8.0 * rng.integers(0, 2, len(embedding))  # clusters that say nothing of the next return
    following = 0.01 * rng.standard_normal(len(following))
    blind = RegimeMixture.of(embedding, following, 4, 0)
    assert blind.laws.std.max() < 1.15 * blind.laws.std.min()


def test_later_rows_do_not_change_earlier_probabilities() -> None:
    _, embedding, following = planted()
    found = RegimeMixture.of(embedding, following, 3, 0)
    whole = found.predict(embedding)
    for row in (0, 7, 900):
        np.testing.assert_array_equal(found.predict(embedding[row : row + 1]).probabilities, whole.probabilities[row : row + 1])


def test_a_restored_mixture_answers_the_same_bits() -> None:
    _, embedding, following = planted()
    found = RegimeMixture.of(embedding, following, 3, 0)
    assert all(name.startswith("regimes.") for name in found.state())
    again, first = RegimeMixture.restore(found.state()).predict(embedding).columns(), found.predict(embedding).columns()
    assert all(np.array_equal(again[name], values) for name, values in first.items())
    with pytest.raises(ValueError, match=r"regimes\.std"):
        RegimeMixture.restore({**found.state(), "regimes.std": np.ones(7)})


def test_a_regime_that_hardly_occurs_has_the_law_of_all_days_and_a_lucky_calm_has_a_floor() -> None:
    rng = np.random.default_rng(3)
    following = np.concatenate([np.zeros(5_000), 0.02 * rng.standard_normal(5_000)])
    first = np.arange(10_000) < 5_000
    laws = Laws.of(np.stack([first, ~first, np.zeros(10_000)], axis=1).astype(float), following)
    assert laws.std[2] == pytest.approx(following.std())
    assert laws.std[0] >= LEAST_SHARE * following.std()
    assert Laws.of(np.ones((10, 1)), np.zeros(10)).std[0] > 0


def test_a_collapsed_embedding_still_predicts_and_a_broken_one_is_refused() -> None:
    following = np.random.default_rng(0).standard_normal(200)
    assert np.isfinite(RegimeMixture.of(np.zeros((200, 3)), following, 3, 0).predict(np.zeros((2, 3))).probabilities).all()
    with pytest.raises(DataError, match="not finite"):
        RegimeMixture.of(np.full((200, 3), np.nan), following, 3, 0)
    with pytest.raises(DataError, match="10 rows a regime"):
        RegimeMixture.of(np.zeros((12, 3)), following[:12], 3, 0)
