"""Graphs of trailing correlation: the formula, their stamps, and that nothing later than a stamp is in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from finml_models.core.graphs import Edges
from finml_models.datasets.market.aligned import Aligned
from finml_models.datasets.market.correlation import correlation_graphs, neighbour_mean, refresh_dates
from finml_models.datasets.market.panel import Panel
from finml_models.datasets.market.spillover import spillover
from finml_models.datasets.market.variance import log_returns

RULE: dict[str, Any] = {"window": 60, "refresh_days": 28, "neighbours": 3, "least": 0.0}


def weekdays(count: int, first: str = "2015-01-05") -> NDArray[np.datetime64]:
    return np.busday_offset(first, np.arange(count), roll="forward").astype("datetime64[us]")


def returns(sessions: int = 300, assets: int = 8, seed: int = 0) -> NDArray[np.float64]:
    """One factor with loadings of both signs."""
    rng = np.random.default_rng(seed)
    return 0.01 * (rng.standard_normal((sessions, 1)) * np.linspace(-0.9, 0.9, assets) + rng.standard_normal((sessions, assets)))


def triples(edges: Edges, graph: int, names: NDArray[np.str_]) -> list[tuple[str, str, bytes]]:
    """The edges of a graph by name, weights as their bits."""
    source, target, weight = edges.of(graph)
    return [(str(names[s]), str(names[t]), w.tobytes()) for s, t, w in zip(source, target, weight, strict=True)]


def each(edges: Edges) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    return (edges.of(number) for number in range(len(edges.stamped)))


def test_weights_are_pearsons_correlations_of_the_window_that_ends_on_the_stamp() -> None:
    held, times = returns(), weekdays(300)
    edges, _ = correlation_graphs(held, times, **RULE)
    for number, stamp in enumerate(edges.stamped):
        at = int(np.searchsorted(times, stamp))
        expected = np.corrcoef(held[at - 59 : at + 1].T)
        source, target, weight = edges.of(number)
        np.testing.assert_allclose(weight, expected[source, target], atol=1e-6)
    assert len(edges.stamped) == len(refresh_dates(times, window=60, refresh_days=28)) >= 10


def test_an_edge_stands_both_ways_and_is_named_by_one_of_its_ends() -> None:
    held, times = returns(), weekdays(300)
    edges, _ = correlation_graphs(held, times, **RULE)
    for number, (source, target, weight) in enumerate(each(edges)):
        at = int(np.searchsorted(times, edges.stamped[number]))
        size = np.abs(np.corrcoef(held[at - 59 : at + 1].T))
        np.fill_diagonal(size, -1)
        nearest = [set(np.argsort(-row)[:3]) for row in size]
        expected = {(s, t) for s in range(8) for t in range(8) if s in nearest[t] or t in nearest[s]}
        assert set(zip(source.tolist(), target.tolist(), strict=True)) == expected
        matrix = np.zeros((8, 8), np.float32)
        matrix[target, source] = weight
        np.testing.assert_array_equal(matrix, matrix.T)
        assert not matrix.diagonal().any()


def test_an_asset_that_moves_with_nobody_stands_alone() -> None:
    held = returns(assets=6)
    held[:, 2] = 0.01 * np.random.default_rng(9).standard_normal(300)
    edges, _ = correlation_graphs(held, weekdays(300), **RULE | {"least": 0.45})
    alone = [2 not in source for source, _, _ in each(edges)]
    assert np.mean(alone) > 0.9
    assert all((np.abs(weight) >= 0.45).all() for _, _, weight in each(edges))
    assert len(edges.source) > 0


def test_no_date_uses_a_graph_that_is_stamped_later_and_each_uses_the_newest() -> None:
    times = weekdays(300)
    edges, graph = correlation_graphs(returns(), times, **RULE)
    assert (np.diff(graph) >= 0).all()
    for day, number in zip(times, graph, strict=True):
        assert number == int((edges.stamped <= day).sum()) - 1


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(61, 298), seed=st.integers(0, 5))
def test_graphs_stamped_up_to_a_cut_are_equal_bit_for_bit_on_data_cut_there(cut: int, seed: int) -> None:
    held, times, names = returns(assets=9, seed=seed), weekdays(300), np.array([f"A{i}" for i in range(9)])
    # Assets that come and go, one of them after the cut, one in the middle of the alphabet.
    held[:, 4] = np.where(np.arange(300) > cut, held[:, 4], np.nan)
    held[200:, 1] = np.nan
    whole, graph = correlation_graphs(held, times, **RULE)
    there = np.isfinite(held[: cut + 1]).any(axis=0)
    early, then = correlation_graphs(held[: cut + 1, there], times[: cut + 1], **RULE)
    np.testing.assert_array_equal(early.stamped, whole.stamped[whole.stamped <= times[cut]])
    np.testing.assert_array_equal(then, graph[: cut + 1])
    for number in range(len(early.stamped)):
        assert triples(early, number, names[there]) == triples(whole, number, names)


def test_a_graph_does_not_depend_on_where_the_data_begin() -> None:
    held, times, names = returns(), weekdays(300), np.array(list("ABCDEFGH"))
    whole, _ = correlation_graphs(held, times, **RULE)
    for start in (1, 13, 40):
        late, _ = correlation_graphs(held[start:], times[start:], **RULE)
        shared = np.flatnonzero(np.isin(whole.stamped, late.stamped))
        np.testing.assert_array_equal(whole.stamped[shared], late.stamped)
        for number, other in enumerate(shared):
            assert triples(late, number, names) == triples(whole, int(other), names)


def test_the_newest_graph_is_never_older_than_the_refresh() -> None:
    for first in ("2015-01-05", "2016-02-17", "1969-03-03"):
        every_day = np.datetime64(first, "us") + np.arange(400) * np.timedelta64(1, "D")
        for times in (weekdays(400, first), every_day):
            edges, graph = correlation_graphs(returns(400), times, **RULE)
            usable = np.arange(400) >= 60 + 28
            assert (graph[usable] >= 0).all()
            assert (times[usable] - edges.stamped[graph[usable]] < np.timedelta64(28, "D")).all()


def test_assets_with_too_few_returns_or_a_constant_price_have_no_edges() -> None:
    held = returns(assets=6)
    held[:, 0] = 0.0
    held[::3, 3] = np.nan
    edges, _ = correlation_graphs(held, weekdays(300), **RULE)
    assert not {0, 3} & {*edges.source.tolist(), *edges.target.tolist()}
    assert {1, 2, 4, 5} == set(edges.source.tolist())


def test_a_few_missing_returns_count_as_the_mean() -> None:
    held, times = returns(), weekdays(300)
    gaps = held.copy()
    gaps[::10, 5] = np.nan
    edges, _ = correlation_graphs(gaps, times, **RULE)
    at = int(np.searchsorted(times, edges.stamped[0]))
    block = gaps[at - 59 : at + 1]
    filled = np.where(np.isnan(block), np.nanmean(block, axis=0), block)
    source, target, weight = edges.of(0)
    assert 5 in source
    np.testing.assert_allclose(weight, np.corrcoef(filled.T)[source, target], atol=1e-6)


def test_too_short_a_history_or_a_single_asset_gives_no_edges() -> None:
    edges, graph = correlation_graphs(returns(40), weekdays(40), **RULE)
    assert len(edges.stamped) == len(edges.source) == 0
    assert (graph == -1).all()
    edges, graph = correlation_graphs(returns(300, assets=1), weekdays(300), **RULE)
    assert len(edges.source) == 0
    assert graph.max() == len(edges.stamped) - 1 > 0


def test_the_mean_of_neighbours_weighs_by_the_size_of_the_correlation_and_leaves_absent_ones_out() -> None:
    held, times = returns(), weekdays(300)
    edges, graph = correlation_graphs(held, times, **RULE)
    rng = np.random.default_rng(1)
    values, present = rng.standard_normal((300, 8)), rng.random((300, 8)) < 0.6
    found = neighbour_mean(np.where(present, values, np.nan), present, edges, graph)
    for day in (0, 59, 100, 299):
        for asset in range(8):
            near, size = [], []
            if graph[day] >= 0:
                source, target, weight = edges.of(int(graph[day]))
                chosen = (target == asset) & present[day][source]
                near, size = values[day, source[chosen]], np.abs(weight[chosen])
            own = values[day, asset] if present[day, asset] else np.nan
            assert found[day, asset] == pytest.approx(np.average(near, weights=size) if len(near) else own, nan_ok=True)


def test_the_planted_graph_is_recovered_from_correlations() -> None:
    planted = spillover(np.random.default_rng(0), sessions=500)
    panel = Panel.of(planted.frame)
    wide = Aligned.of(panel).wide(panel.long(log_returns(panel.dense("close"))))
    edges, _ = correlation_graphs(wide, panel.times[0], window=120, refresh_days=28, neighbours=23, least=0.0)
    pairs = np.triu_indices(24, 1)
    assert planted.adjacency[pairs].mean() < 0.2
    for source, target, weight in each(edges):
        matrix = np.zeros((24, 24))
        matrix[target, source] = np.abs(weight)
        assert average_precision_score(planted.adjacency[pairs], matrix[pairs]) > 0.9


def test_five_hundred_assets_over_ten_years_take_less_than_two_seconds() -> None:
    held, times = returns(2500, assets=500), weekdays(2500)
    began = time.process_time()
    edges, graph = correlation_graphs(held, times, window=120, refresh_days=28, neighbours=5, least=0.2)
    neighbour_mean(held, np.isfinite(held), edges, graph)
    assert time.process_time() - began < 2.0
    assert len(edges.stamped) > 110
