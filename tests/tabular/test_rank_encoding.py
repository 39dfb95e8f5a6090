"""How numbers enter a tabular network, against scikit-learn and the authors' package."""

from __future__ import annotations

import numpy as np
import pytest
import rtdl_num_embeddings as oracle
import torch
from loan_tables import made
from sklearn.preprocessing import QuantileTransformer

from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.tabular._encoding import FURTHEST, QUANTILES, RankEncoder, bin_edges, piecewise_linear

CPU = torch.device("cpu")


def table(values: np.ndarray) -> Table:
    return made(values, np.zeros(len(values)))[0]


def test_scores_are_the_normal_quantile_transform_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    train, later = (np.stack([rng.lognormal(size=n), rng.integers(0, 4, n), rng.normal(size=n)], axis=1).astype(np.float32) for n in (5_000, 500))
    expected = QuantileTransformer(n_quantiles=QUANTILES, output_distribution="normal", subsample=None).fit(train).transform(later)
    found = RankEncoder.of(table(train)).scores(later)
    # At either end scikit-learn leaves the middle of the tied ranks, so that a column of many zeros has them all at minus infinity.
    inside = (later > train.min(axis=0)) & (later < train.max(axis=0))
    assert inside.mean() > 0.8
    np.testing.assert_allclose(found[inside], np.clip(expected, -FURTHEST, FURTHEST)[inside], atol=1e-4)


def test_many_equal_numbers_at_the_lower_end_score_the_middle_of_their_ranks() -> None:
    values = np.concatenate([np.zeros(400), np.arange(1, 601)])[:, None].astype(np.float32)
    assert RankEncoder.of(table(values)).scores(values)[0, 0] == pytest.approx(-0.8416, abs=0.01)  # the normal quantile of 0.2


def test_a_missing_number_is_the_median_and_teaches_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1_000, 2)).astype(np.float32)
    holes = values.copy()
    holes[::3, 0] = np.nan
    encoder = RankEncoder.of(table(holes))
    assert np.isnan(encoder.scores(holes)[::3, 0]).all()
    source = encoder.source(table(holes), None, CPU, {})
    assert not source.gather(torch.arange(0, 1_000, 3)).values[:, 0].any()
    without = RankEncoder.of(table(np.delete(values, np.arange(0, 1_000, 3), axis=0)))
    np.testing.assert_array_equal(encoder.state()["encoder.quantiles"][:, 0], without.state()["encoder.quantiles"][:, 0])


def test_a_column_without_any_number_is_zero_everywhere() -> None:
    values = np.stack([np.arange(50.0), np.full(50, np.nan)], axis=1).astype(np.float32)
    gathered = RankEncoder.of(table(values), bins=4).source(table(values), None, CPU, {}).gather(torch.arange(50)).values
    assert torch.isfinite(gathered).all()
    assert not gathered[:, 1].any()


def test_an_infinite_number_is_refused() -> None:
    values = np.ones((10, 1), np.float32)
    encoder = RankEncoder.of(table(values))
    values[3] = np.inf
    with pytest.raises(DataError, match="1 numbers are infinite"):
        encoder.source(table(values), None, CPU, {})


def test_edges_are_those_of_the_authors_package() -> None:
    values = np.random.default_rng(0).normal(size=(2_000, 3)).astype(np.float32)
    for own, other in zip(bin_edges(values, 8), oracle.compute_bins(torch.from_numpy(values), n_bins=8), strict=True):
        np.testing.assert_allclose(own, other.numpy(), atol=1e-6)


def test_the_encoding_is_that_of_the_authors_package_whatever_the_number_of_bins() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(size=3_000), rng.integers(0, 3, 3_000), rng.lognormal(size=3_000), rng.random(3_000) < 0.3], axis=1).astype(np.float32)
    edges = bin_edges(values, 6)
    assert sorted(np.isfinite(edges).sum(axis=1)) == [2, 3, 7, 7]
    with pytest.warns(UserWarning, match="just two bin edges"):
        oracle._check_bins([torch.from_numpy(row[np.isfinite(row)]) for row in edges])
    expected = oracle.PiecewiseLinearEncoding([torch.from_numpy(row[np.isfinite(row)]) for row in edges])
    wild = np.concatenate([values[:200], np.full((1, 4), -9, np.float32), np.full((1, 4), 9, np.float32)])
    own = piecewise_linear(wild, edges)
    flat = np.concatenate([own[:, column, : np.isfinite(row).sum() - 1] for column, row in enumerate(edges)], axis=1)
    np.testing.assert_allclose(flat, expected(torch.from_numpy(wild)).numpy(), atol=1e-5)
    for column, row in enumerate(edges):
        assert not own[:, column, np.isfinite(row).sum() - 1 :].any()


def test_the_state_rebuilds_the_encoder_and_another_shape_is_refused() -> None:
    values = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    encoder = RankEncoder.of(table(values), bins=5)
    again = RankEncoder.restore(encoder.state(), 3, bins=5)
    rows = torch.arange(300)
    first, second = (e.source(table(values), None, CPU, {}).gather(rows).values for e in (encoder, again))
    assert torch.equal(first, second)
    assert first.shape == (300, 3, 6)
    with pytest.raises(ValueError, match=r"encoder.edges: shape \(3, 6\) where \(3, 9\)"):
        RankEncoder.restore(encoder.state(), 3, bins=8)
