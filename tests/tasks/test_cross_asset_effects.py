"""Cross-asset effects: what is known when, one graph in training and in service, and what a client gets."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

from finml_cli.releases import as_request
from finml_models.baselines.har_market_sector import HARMarketSector, HARMarketSectorHyperparameters
from finml_models.baselines.log_har import LogHAR, LogHARHyperparameters
from finml_models.core import serving
from finml_models.core.artifact import Artifact, load, save
from finml_models.core.batches import Table, newest
from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig
from finml_models.core.graphs import Graphs
from finml_models.core.spec import Kind
from finml_models.datasets.market.clean import clean
from finml_models.datasets.market.spillover import spillover
from finml_models.evaluation.audit import truncation_audit
from finml_models.graph.gcn.card import GCNHyperparameters
from finml_models.graph.gcn.model import GCN
from finml_models.tasks.cross_asset_effects import MARKET, NEAR, NODE, CrossAssetEffects

TASK = CrossAssetEffects()


@cache
def raw() -> pd.DataFrame:
    """Eight assets, one that comes late, one that leaves early, and one with holes; callers must not change it."""
    frame = spillover(np.random.default_rng(3), entities=8, degree=2, sessions=520, comovement=0.7).frame
    dates = np.unique(frame["time"])
    late = (frame["entity"] == "S02") & (frame["time"] < dates[180])
    early = (frame["entity"] == "S05") & (frame["time"] > dates[400])
    holes = (frame["entity"] == "S06") & frame["time"].isin(dates[50::17])
    return clean(frame[~(late | early | holes)].drop(columns="known_at"))[0]


@cache
def features() -> pd.DataFrame:
    return TASK.features(raw())


@cache
def views() -> tuple[Graphs, Table]:
    y = TASK.target(raw())
    return TASK.graphs(features(), y), TASK.table(features(), y)


@cache
def fitted() -> GCN:
    batch = views()[0]
    settings = TrainingConfig(max_epochs=2, batch_size=128, device="cpu")
    return GCN(GCNHyperparameters(hidden=8), TASK.signature(batch), settings).fit(batch, batch)


def packed(tmp_path: object, estimator: object, batch: object) -> Artifact:
    entry = "gcn" if isinstance(estimator, GCN) else "log_har"
    return load(save(tmp_path, estimator, task=TASK.id(), entry=entry, fingerprint={"id": "0"}, reference=serving.training_range(batch)))


def edges_into(batch: Graphs, row: int) -> dict[str, float]:
    source, target, weight = batch.edges.of(int(batch.graph[batch.snapshot[row]]))
    return {str(batch.entities[s]): float(w) for s, t, w in zip(source, target, weight, strict=True) if t == batch.node[row]}


def test_a_whole_history_always_reaches_back_to_a_graph() -> None:
    batch = TASK.graphs(features())
    assert (batch.graph[batch.snapshot] >= 0).all()
    rows = features().groupby("entity").cumcount().to_numpy() + 1
    assert len(batch) == int((rows >= TASK.history).sum())


def test_no_graph_is_stamped_after_the_day_that_uses_it_or_more_than_four_weeks_before() -> None:
    batch = TASK.graphs(features())
    age = batch.time - batch.edges.stamped[batch.graph[batch.snapshot]]
    assert (age >= np.timedelta64(0)).all()
    assert (age < np.timedelta64(28, "D")).all()


def test_nodes_do_not_hold_what_only_edges_should_tell() -> None:
    batch, table = views()
    assert TASK.signature(batch).feature_names == NODE
    assert TASK.signature(table).feature_names == (*NODE, *NEAR) == table.columns
    np.testing.assert_array_equal(batch.inputs, table.inputs[:, : len(NODE)])


def test_absent_assets_hold_zeros_and_are_never_rows() -> None:
    batch = TASK.graphs(features())
    assert not batch.nodes[~batch.present].any()
    assert batch.present[batch.snapshot, batch.node].all()
    # Of the snapshots before an asset's first row it is a neighbour already.
    assert batch.present.sum() > len(batch)
    last = dict(zip(newest(batch).entity.tolist(), newest(batch).time, strict=True))
    assert last["S05"] < last["S00"]


def test_market_features_are_means_over_the_assets_that_are_known_on_the_day() -> None:
    x, batch = features(), TASK.graphs(features())
    for name in ("log_var_d", "log_var_w", "log_var_m", "return_d"):
        nodes = np.where(batch.present, batch.nodes[..., NODE.index(name)], np.nan)
        expected = np.nanmean(nodes[batch.snapshot], axis=1)
        np.testing.assert_allclose(batch.inputs[:, NODE.index(f"market_{name}")], expected, rtol=1e-4, atol=1e-6)
    assert set(x.columns) >= {*MARKET, *NEAR}


def test_neighbour_features_are_means_over_the_edges_of_the_graph_view() -> None:
    batch, table = TASK.graphs(features()), TASK.table(features())
    for row in np.random.default_rng(0).choice(len(batch), 60, replace=False):
        snapshot = batch.snapshot[row]
        known = dict(zip(batch.entities[batch.present[snapshot]], batch.nodes[snapshot][batch.present[snapshot], NODE.index("log_var_w")], strict=True))
        near = {name: abs(w) for name, w in edges_into(batch, row).items() if name in known}
        expected = np.average([known[name] for name in near], weights=list(near.values())) if near else known[str(batch.entity[row])]
        assert table.inputs[row, table.columns.index("near_log_var_w")] == pytest.approx(expected, rel=1e-4)


def test_nothing_computed_changes_when_the_future_is_cut_away() -> None:
    audit = truncation_audit(TASK, raw(), cuts=5)
    assert audit.passed, [str(leak) for leak in audit.leaks]


def test_a_later_return_changes_neither_the_graph_nor_the_prediction_of_today() -> None:
    dates = np.unique(raw()["time"])
    after = raw()["time"] > dates[380]
    other = raw().assign(close=np.where(after, raw()["close"] * np.exp(0.1 * np.random.default_rng(0).standard_normal(len(raw()))), raw()["close"]))
    before, changed = TASK.graphs(features()), TASK.graphs(TASK.features(other))
    early = np.flatnonzero(before.time <= dates[380])
    np.testing.assert_array_equal(changed.time[early], before.time[early])
    assert not np.array_equal(changed.edges.source, before.edges.source)
    np.testing.assert_array_equal(fitted().predict(changed.take(early)).quantiles, fitted().predict(before.take(early)).quantiles)


def test_a_request_is_answered_on_the_graph_of_training() -> None:
    asked = TASK.asked(raw(), 8)
    assert "S05" not in set(asked["entity"])
    assert (asked.groupby("entity").size() == TASK.history).all()
    served = newest(TASK.graphs(TASK.features(TASK.raw(as_request(CrossAssetEffects, asked)))))
    trained = newest(TASK.graphs(features()))
    trained = trained.take(np.flatnonzero(trained.time == trained.time.max()))
    np.testing.assert_array_equal(served.entity, trained.entity)
    np.testing.assert_allclose(served.inputs, trained.inputs, rtol=1e-5, atol=1e-6)
    for row in range(len(served)):
        assert edges_into(served, row) == pytest.approx(edges_into(trained, row), abs=1e-6)
    np.testing.assert_allclose(fitted().predict(served).point, fitted().predict(trained).point, rtol=1e-5, atol=1e-5)


def test_an_answer_names_the_neighbours_that_the_graph_used_strongest_first(tmp_path: object) -> None:
    held = packed(tmp_path, fitted(), views()[0])
    answer = serving.answer(held, as_request(CrossAssetEffects, TASK.asked(raw(), 8)))
    batch = newest(TASK.graphs(features()))
    assert [asset.entity for asset in answer.assets] == [f"S0{i}" for i in range(8) if i != 5]
    for asset in answer.assets:
        row = batch.entity.tolist().index(asset.entity)
        assert {near.entity: near.correlation for near in asset.neighbours} == pytest.approx(edges_into(batch, row), abs=1e-6)
        sizes = [abs(near.correlation) for near in asset.neighbours]
        assert sizes == sorted(sizes, reverse=True)
        assert asset.graph_as_of <= asset.as_of == raw()["time"].max().date()
        assert [one.horizon for one in asset.forecasts] == [1, 5]
        assert all(0 < one.low < one.high for one in asset.forecasts)
    assert any(asset.neighbours for asset in answer.assets)
    assert answer.level == 0.9
    assert CrossAssetEffects.response.model_validate_json(answer.model_dump_json()) == answer


def test_a_regression_answers_without_a_graph(tmp_path: object) -> None:
    table = views()[1]
    held = packed(tmp_path, LogHAR(LogHARHyperparameters(), TASK.signature(table)).fit(table, table), table)
    answer = serving.answer(held, as_request(CrossAssetEffects, TASK.asked(raw(), 8)))
    assert len(answer.assets) == 7
    assert all(asset.graph_as_of is None and asset.neighbours == () for asset in answer.assets)


def test_a_single_asset_is_refused_by_name() -> None:
    body = as_request(CrossAssetEffects, TASK.asked(raw(), 1))
    with pytest.raises(DataError, match=r"at least 2 assets, the request has 1 \(S00\)"):
        TASK.raw(body)


def test_assets_that_end_on_different_days_are_refused_with_the_first_one() -> None:
    tail = raw().groupby("entity").tail(TASK.history)
    with pytest.raises(DataError, match=r"1 of 8 assets end before the newest session, 2001-12-28 \(S05 on"):
        TASK.raw(as_request(CrossAssetEffects, tail))


def test_a_request_takes_more_than_a_hundred_assets() -> None:
    rows = CrossAssetEffects.request.model_json_schema()["properties"]["rows"]["maxItems"]
    assert rows // TASK.history > 100


def test_har_with_market_and_sector_is_least_squares_on_nine_regressors() -> None:
    table = views()[1]
    estimator = HARMarketSector(HARMarketSectorHyperparameters(), TASK.signature(table)).fit(table, table)
    names = [f"{prefix}log_var_{scale}" for prefix in ("", "market_", "near_") for scale in "dwm"]
    design = np.column_stack([np.ones(len(table)), table.inputs[:, [table.columns.index(name) for name in names]]]).astype(np.float64)
    expected = design @ np.linalg.lstsq(design, table.target.astype(np.float64), rcond=None)[0]
    np.testing.assert_allclose(estimator.raw(table), expected, atol=1e-6)


def test_the_open_api_schema_says_what_is_meant() -> None:
    schema = json.dumps(CrossAssetEffects.response.model_json_schema())
    for words in ("newest session that went into the graph", "strongest first", "daily log returns"):
        assert words in schema


def test_views_are_offered_for_graphs_first_and_for_tables() -> None:
    assert CrossAssetEffects.kinds == (Kind.GRAPHS, Kind.TABLE)
    assert isinstance(TASK.view(Kind.GRAPHS, features()), Graphs)
    assert isinstance(TASK.view(Kind.TABLE, features()), Table)
