"""Regime detection: what the market of a date is, what is known when, one row a session in every view, and what a client gets."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finml_cli.releases import as_request
from finml_models.baselines.gaussian_hmm import GaussianHMM, GaussianHMMHyperparameters
from finml_models.baselines.volatility_terciles import VolatilityTerciles, VolatilityTercilesHyperparameters
from finml_models.core import catalog, serving
from finml_models.core.artifact import Artifact, load, save
from finml_models.core.batches import Windows, newest
from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig, ignore
from finml_models.core.graphs import Graphs
from finml_models.core.predictions import Regimes
from finml_models.datasets.market.clean import clean
from finml_models.datasets.market.switching import Switching, switching
from finml_models.datasets.market.whole import dispersion, market_return, mean_correlation
from finml_models.evaluation import metrics
from finml_models.evaluation.audit import truncation_audit
from finml_models.evaluation.backtest import Walk
from finml_models.evaluation.ceiling import known_best
from finml_models.tasks._regimes import LENGTH, MARKET, NODE
from finml_models.tasks.regime_detection import RegimeDetection

TASK = RegimeDetection()


@cache
def raw() -> pd.DataFrame:
    """Six assets, one that comes late, one that leaves early, and one with holes; callers must not change it."""
    frame = switching(np.random.default_rng(3), sessions=520).frame
    dates = np.unique(frame["time"])
    late = (frame["entity"] == "S02") & (frame["time"] < dates[180])
    early = (frame["entity"] == "S04") & (frame["time"] > dates[400])
    holes = (frame["entity"] == "S05") & frame["time"].isin(dates[50::17])
    return clean(frame[~(late | early | holes)].drop(columns="known_at"))[0]


@cache
def features() -> pd.DataFrame:
    return TASK.features(raw())


@cache
def views() -> tuple[Windows, Graphs]:
    y = TASK.target(raw())
    return TASK.windows(features(), y), TASK.graphs(features(), y)


@cache
def fitted() -> GaussianHMM:
    windows = views()[0]
    half = np.arange(len(windows) // 2)
    return GaussianHMM(GaussianHMMHyperparameters(max_regimes=2), TASK.signature(windows)).fit(windows.take(half), windows.take(half + len(half)))


def packed(folder: Path) -> Artifact:
    return load(
        save(folder, fitted(), task=TASK.id(), entry="gaussian_hmm", fingerprint={"id": "0"}, reference=serving.training_range(views()[0])),
    )


def closes() -> pd.DataFrame:
    return raw().pivot_table(index="time", columns="entity", values="close")


def test_a_row_is_a_session_of_the_market_and_the_same_in_windows_and_graphs() -> None:
    windows, graphs = views()
    assert len(windows) == len(np.unique(windows.time)) == len(graphs)
    assert set(windows.entity) == set(graphs.entity) == {"market"}
    for name in ("time", "target", "until"):
        np.testing.assert_array_equal(getattr(windows, name), getattr(graphs, name))
    assert windows.length == LENGTH == 60


def test_the_first_row_comes_with_the_first_whole_history_and_the_last_without_a_target_too() -> None:
    dates = np.unique(raw()["time"])
    asked = TASK.windows(features())
    assert asked.time[0] == dates[TASK.history - 1]
    assert asked.time[-1] == dates[-1]
    assert views()[0].time[-1] == dates[-2]


def test_the_target_is_the_mean_return_of_the_members_on_the_next_session() -> None:
    windows = views()[0]
    returns = np.log(closes()).diff()
    for row in (0, 100, 150, len(windows) - 1):
        day = returns.index.get_loc(windows.time[row]) + 1
        assert windows.until[row] == returns.index[day]
        own = np.log(closes()).ffill().diff().iloc[day][closes().iloc[day].notna()]
        member = [name for name in own.index if closes()[name].iloc[: day + 1].count() > 22]
        assert windows.target[row, 0] == pytest.approx(own[member].mean(), abs=1e-7)


def test_the_newest_feature_of_a_window_is_the_return_that_the_last_row_was_asked_for() -> None:
    windows = views()[0]
    np.testing.assert_allclose(windows.inputs[1:, MARKET.index("market_return")], windows.target[:-1, 0], atol=1e-7)


def test_nothing_computed_changes_when_the_future_is_cut_away() -> None:
    audit = truncation_audit(TASK, raw(), cuts=5)
    assert audit.passed, [str(leak) for leak in audit.leaks]


def test_an_audit_sees_an_edge_of_a_snapshot_that_knows_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaking(self: RegimeDetection, x: pd.DataFrame, y: pd.DataFrame | None = None) -> Graphs:
        batch = plain(self, x, y)
        batch.edges.weight[:] *= len(x)
        return batch

    plain = RegimeDetection.graphs
    monkeypatch.setattr(RegimeDetection, "graphs", leaking)
    assert {leak.column for leak in truncation_audit(TASK, raw(), cuts=1).leaks} == {"neighbours"}


def test_whole_snapshots_are_read_as_the_mean_of_the_nodes_that_are_there() -> None:
    graphs = views()[1]
    row = 200
    snapshot = graphs.snapshot[row]
    held = graphs.present[snapshot]
    np.testing.assert_allclose(graphs.inputs[row], graphs.nodes[snapshot][held].mean(axis=0), rtol=1e-5, atol=1e-6)
    assert TASK.signature(graphs).feature_names == NODE
    mixed = graphs.take(np.array([0, 1]))
    mixed.node[0] = 0
    with pytest.raises(DataError, match="1 of 2 rows are whole snapshots"):
        _ = mixed.entity


def test_correlation_and_dispersion_of_the_market_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    returns = rng.standard_normal((40, 1)) + 0.5 * rng.standard_normal((40, 5))
    volatility = returns[-22:].std(axis=0)
    pairs = np.corrcoef(returns[-22:].T)[np.triu_indices(5, 1)]
    weights = np.outer(volatility, volatility)[np.triu_indices(5, 1)]
    assert mean_correlation(returns, 22)[-1] == pytest.approx(np.average(pairs, weights=weights))
    assert dispersion(returns, np.ones((40, 5), bool))[-1] == pytest.approx(returns[-1].var())
    assert market_return(returns, np.arange(5) < np.full((40, 1), 2))[-1] == pytest.approx(returns[-1, :2].mean())


def test_a_market_of_one_asset_moves_with_itself() -> None:
    single = raw()[raw()["entity"] == "S00"].reset_index(drop=True)
    x = TASK.features(single)
    windows, graphs = TASK.windows(x, TASK.target(single)), TASK.graphs(x)
    assert (windows.inputs[:, MARKET.index("correlation_m")] == 1).all()
    assert len(windows) + 1 == len(graphs)
    assert not len(graphs.edges.weight)
    half = np.arange(len(windows) // 2)
    found = VolatilityTerciles(VolatilityTercilesHyperparameters(), TASK.signature(windows)).fit(windows.take(half), windows.take(half + len(half)))
    assert np.isfinite(found.predict(windows).mean).all()


def test_the_month_that_followed_is_a_fact_of_both_views_and_missing_at_the_end() -> None:
    windows, graphs = views()
    ahead, same = (TASK.facts(batch)["next_volatility"] for batch in (windows, graphs))
    np.testing.assert_allclose(ahead, same, rtol=1e-5)
    expected = np.sqrt((windows.target[:22, 0].astype(np.float64) ** 2).mean() * 252)
    assert ahead[0] == pytest.approx(expected, rel=1e-5)
    assert np.isnan(ahead[-21:]).all()
    assert np.isfinite(ahead[:-21]).all()


def test_a_request_is_the_newest_row_of_training_with_a_name_for_each_regime(tmp_path: Path) -> None:
    body = as_request(RegimeDetection, TASK.asked(raw(), 8))
    served, trained = newest(TASK.windows(TASK.features(TASK.raw(body)))), newest(TASK.windows(TASK.features(raw())))
    assert served.time == trained.time
    # S04 left the market: its last days are outside of the window.
    np.testing.assert_allclose(served.inputs, trained.inputs, rtol=1e-4, atol=1e-6)
    answer = serving.answer(packed(tmp_path), body)
    expected = fitted().predict(trained)
    assert [one.name for one in answer.regimes] == ["calm", "turbulent"]
    assert answer.as_of == raw()["time"].max().date()
    np.testing.assert_allclose([one.probability for one in answer.regimes], expected.probabilities[0], atol=1e-4)
    np.testing.assert_allclose([one.volatility for one in answer.regimes], expected.std[0] * np.sqrt(252), rtol=1e-5)
    assert answer.regime == answer.regimes[int(expected.probabilities[0].argmax())].name
    assert answer.regimes[0].volatility < answer.volatility < answer.regimes[1].volatility
    assert RegimeDetection.response.model_validate_json(answer.model_dump_json()) == answer


def test_names_follow_the_order_of_volatility_for_any_number_of_regimes() -> None:
    row = newest(TASK.windows(features()))
    for number, names in ((1, ["all days"]), (3, ["calm", "normal", "turbulent"]), (4, ["calm", "between 1", "between 2", "turbulent"])):
        shape = np.full((1, number), 1 / number, np.float32)
        found = Regimes(shape, shape * 0, shape + np.arange(number, dtype=np.float32))
        assert [one.name for one in TASK.respond(row, found, version="0").regimes] == names


def test_assets_that_end_on_different_days_are_refused_and_one_asset_is_a_market() -> None:
    tail = raw().groupby("entity").tail(TASK.history)
    with pytest.raises(DataError, match=r"1 of 6 assets end before the newest session, .* \(S04 on"):
        TASK.raw(as_request(RegimeDetection, tail))
    assert len(TASK.raw(as_request(RegimeDetection, TASK.asked(raw(), 1)))) == TASK.history


@cache
def planted() -> Switching:
    return switching(np.random.default_rng(2))


@cache
def planted_windows() -> Windows:
    frame = planted().frame
    return TASK.windows(TASK.features(frame), TASK.target(frame))


@cache
def walked() -> pd.DataFrame:
    """Out-of-sample predictions of the HMM on the planted regimes, by the pipeline's own walk; callers must not change them."""
    batch, pair = planted_windows(), catalog.pair("regime_detection-gaussian_hmm")
    return Walk(pair, batch, pair.entry.card.hyperparameters(), TrainingConfig(device="cpu"), (0,)).score(lambda _fold, _seed: ignore)[0]


def test_labels_agree_from_refit_to_refit_and_the_first_fold_has_no_refit_to_agree_with() -> None:
    frame = walked()
    first = frame["fold"] == frame["fold"].min()
    assert frame.loc[first, "before"].isna().all()
    assert set(frame.loc[~first, "before"]) == {0.0, 1.0}
    values = {name: metrics.value(frame.assign(**facts(frame)), name) for name in RegimeDetection.metrics}
    assert values["refit_ari"] > 0.9
    assert 10 < values["mean_duration"] < 80
    assert values["next_month_volatility_separation"] > 0.3
    ceiling = {one.metric: one.value for one in known_best(RegimeDetection, planted().truth(), frame)}
    assert ceiling["predictive_log_likelihood"] - 0.02 < values["predictive_log_likelihood"] < ceiling["predictive_log_likelihood"]


def facts(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    batch = planted_windows()
    rows = np.searchsorted(batch.time, frame["time"].to_numpy())
    return {name: values[rows] for name, values in TASK.facts(batch).items()}


def test_a_fit_with_fewer_regimes_than_another_one_is_scored_beside_it() -> None:
    frame = walked()
    other = frame.assign(p2=np.nan, mean2=np.nan, std2=np.nan)
    for name in RegimeDetection.metrics[:3]:
        assert metrics.value(other, name) == pytest.approx(metrics.value(frame, name))
