"""Price forecasting: returns and never levels, a calendar, costs, an alarm, and a gate that tells a signal from a walk."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

from finml_cli.releases import as_request
from finml_models.baselines.garch_quantiles import GARCHQuantiles, GARCHQuantilesHyperparameters
from finml_models.baselines.random_walk import RandomWalk, RandomWalkHyperparameters
from finml_models.baselines.ridge import Ridge, RidgeHyperparameters
from finml_models.core import catalog, serving
from finml_models.core.artifact import load, save
from finml_models.core.batches import Table, Windows, newest
from finml_models.core.estimator import TrainingConfig
from finml_models.core.spec import Kind
from finml_models.datasets.market import synthetic
from finml_models.datasets.market.clean import clean
from finml_models.evaluation import placebo
from finml_models.evaluation.audit import truncation_audit
from finml_models.evaluation.report import Report
from finml_models.evaluation.verdict.checks import LEAK_ALARM
from finml_models.tasks._returns import FEATURES, MARKET, STATIC, calendar_of
from finml_models.tasks.price_forecasting import PriceForecasting

TASK = PriceForecasting()
QUICK = TrainingConfig(max_epochs=1, batch_size=256, stride=5, device="cpu")


@cache
def raw() -> pd.DataFrame:
    """Two assets with bars, two with closes alone, one of them late and one with holes; callers must not change it."""
    frame = synthetic.random_walk(np.random.default_rng(5), entities=4, sessions=420).drop(columns="known_at")
    dates = np.unique(frame["time"])
    late = (frame["entity"] == "S02") & (frame["time"] < dates[140])
    holes = (frame["entity"] == "S03") & frame["time"].isin(dates[60:240:31])
    frame["volume"] = np.where(frame["entity"] == "S00", 1e6 * np.exp(np.random.default_rng(1).standard_normal(len(frame))), np.nan)
    return clean(frame[~(late | holes)])[0]


@cache
def features() -> pd.DataFrame:
    return TASK.features(raw())


@cache
def views() -> tuple[Windows, Table]:
    y = TASK.target(raw())
    return TASK.windows(features(), y), TASK.table(features(), y)


def small(closes: list[float]) -> pd.DataFrame:
    days = pd.bdate_range("2024-01-01", periods=len(closes))
    return clean(pd.DataFrame({"entity": "A", "time": days, "close": closes}))[0]


def test_the_target_is_the_log_return_over_the_next_sessions() -> None:
    closes = [100.0, 110.0, 99.0, *np.linspace(100, 120, 30).tolist()]
    y = TASK.target(small(closes))
    assert y["h1"].iloc[0] == pytest.approx(np.log(110 / 100))
    assert y["h1"].iloc[1] == pytest.approx(np.log(99 / 110))
    assert y["h5"].iloc[0] == pytest.approx(np.log(closes[5] / 100))
    assert y["h20"].iloc[2] == pytest.approx(np.log(closes[22] / 99))
    assert y["until"].iloc[0] == pd.bdate_range("2024-01-01", periods=21)[-1]
    assert y["h20"].iloc[-20:].isna().all()
    assert y["h20"].iloc[:-20].notna().all()


def test_a_level_changes_nothing() -> None:
    dear = raw().assign(**{name: raw()[name] * 1000 for name in ("open", "high", "low", "close")})
    for before, after in ((features(), TASK.features(dear)), (TASK.target(raw()), TASK.target(dear))):
        numbers = [name for name in before if name not in {"entity", "time", "until"}]
        np.testing.assert_allclose(after[numbers], before[numbers], atol=1e-6)


def test_nothing_computed_changes_when_the_future_is_cut_away() -> None:
    audit = truncation_audit(TASK, raw(), cuts=4)
    assert audit.passed, [str(leak) for leak in audit.leaks]


def test_the_audit_looks_at_static_and_known_inputs_too() -> None:
    class Leaking(PriceForecasting):
        def windows(self, x: pd.DataFrame, y: pd.DataFrame | None = None) -> Windows:
            from dataclasses import replace

            batch = super().windows(x, y)
            return replace(batch, static=batch.static + len(x), known=np.full((*batch.times.shape, 1), len(x), np.float32))

    leaks = {leak.column for leak in truncation_audit(Leaking(), raw(), cuts=1).leaks}
    assert {"static 0", "known 0"} <= leaks


def test_the_calendar_is_a_point_on_three_circles() -> None:
    found = calendar_of(np.array(["2024-01-01", "2024-01-08", "2024-07-01"], dtype="datetime64[us]"))
    np.testing.assert_allclose(found[:, 0::2] ** 2 + found[:, 1::2] ** 2, 1, atol=1e-6)
    np.testing.assert_allclose(found[0], [0, 1, 0, 1, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(found[0, :2], found[1, :2])
    assert found[2, 5] == pytest.approx(-1, abs=1e-3)


def test_static_inputs_say_what_the_source_gives_and_nothing_of_the_sample() -> None:
    windows = views()[0]
    held = dict(zip(windows.entities.tolist(), windows.static.tolist(), strict=True))
    assert held == {"S00": [1, 0, 1], "S01": [1, 0, 0], "S02": [0, 0, 0], "S03": [0, 0, 0]}
    signature = TASK.signature(windows)
    assert (signature.static_names, signature.known_names, signature.length) == (STATIC, (), 60)
    assert TASK.signature(views()[1]).static_names == ()


def test_the_markets_return_is_the_mean_over_the_assets_of_the_day() -> None:
    x = features()
    np.testing.assert_allclose(x[MARKET[0]], x.groupby("time")["return_d"].transform("mean"), atol=1e-12)


def test_range_and_volume_are_zero_where_there_are_none() -> None:
    by = dict(list(features().dropna().groupby("entity")))
    assert (by["S00"]["range_scaled"] > 0).all()
    assert by["S00"]["volume_scaled"].std() > 0.5
    assert not by["S02"][["range_scaled", "volume_scaled"]].to_numpy().any()


@pytest.mark.parametrize("entry", ["lstm", "gru"])
def test_recurrent_networks_read_the_calendar_and_the_static_inputs(entry: str) -> None:
    from dataclasses import replace

    windows = views()[0]
    model = catalog.model(entry)
    fitted = model.estimator()(model.card.hyperparameters(hidden=8), TASK.signature(windows), QUICK).fit(windows, windows)
    rows = windows.take(np.arange(20))
    before = fitted.predict(rows).quantiles
    panel = rows.panel.copy()
    panel[..., len(FEATURES) :] += 0.5
    assert not np.array_equal(fitted.predict(replace(rows, panel=panel)).quantiles, before)
    assert not np.array_equal(fitted.predict(replace(rows, static=1 - rows.static)).quantiles, before)


def test_the_random_walk_has_each_assets_own_width_and_a_point_of_zero() -> None:
    table = views()[1]
    fitted = RandomWalk(RandomWalkHyperparameters(), TASK.signature(table)).fit(table, table.take(np.arange(0)))
    found = fitted.predict(table)
    assert not found.point.any()
    own = table.entity == "S01"
    sigma = float(np.sqrt(np.mean(table.target[own, 0].astype(np.float64) ** 2)))
    width = found.quantiles[own][0, :, 4] - found.quantiles[own][0, :, 0]
    np.testing.assert_allclose(width, sigma * np.sqrt([1, 5, 20]) * (fitted.standard[:, 4] - fitted.standard[:, 0]), rtol=1e-5)
    inside = (table.target >= found.quantiles[..., 0]) & (table.target <= found.quantiles[..., 4])
    np.testing.assert_allclose(inside.mean(axis=0), 0.9, atol=0.01)


def test_garch_quantiles_have_the_variance_of_the_recursion() -> None:
    windows = views()[0]
    fitted = GARCHQuantiles(GARCHQuantilesHyperparameters(), TASK.signature(windows)).fit(windows, windows.take(np.arange(0)))
    row = windows.take(np.array([len(windows) - 1]))
    mean, alpha, beta, level = fitted.fitted.parameters[fitted.fitted.names.rows(row.entity)[0]]
    omega, variance = level * (1 - alpha - beta), level
    for value in row.gather(FEATURES.index("return_d"))[0].astype(np.float64):
        variance = omega + alpha * (value - mean) ** 2 + beta * variance
    ahead = [variance]
    for _ in range(19):
        ahead.append(omega + (alpha + beta) * ahead[-1])
    np.testing.assert_allclose(fitted.scale(row)[0] ** 2, [sum(ahead[:h]) for h in (1, 5, 20)], rtol=1e-6)
    np.testing.assert_allclose(fitted.centre(row)[0], mean * np.array([1, 5, 20]))


def test_ridge_is_the_closed_form_and_vanishes_under_a_large_penalty() -> None:
    table = views()[1]
    nothing = table.take(np.arange(0))
    fitted = Ridge(RidgeHyperparameters(penalty=0.5, tuned=False), TASK.signature(table)).fit(table, nothing)
    from sklearn.linear_model import Ridge as Oracle

    x, z = fitted._design(table), table.target / fitted.scale(table)
    oracle = Oracle(alpha=0.5 * len(x), fit_intercept=False).fit(x, z)
    np.testing.assert_allclose(fitted.coefficients, oracle.coef_.T, atol=1e-8)
    shrunk = Ridge(RidgeHyperparameters(penalty=1e4, tuned=False), TASK.signature(table)).fit(table, nothing)
    assert np.abs(shrunk.predict(table).point).max() < 1e-4


def test_an_answer_holds_quantiles_of_the_return_for_each_horizon(tmp_path: object) -> None:
    table = views()[1]
    fitted = Ridge(RidgeHyperparameters(), TASK.signature(table)).fit(table, table)
    held = load(save(tmp_path, fitted, task=TASK.id(), entry="ridge", fingerprint={"id": "0"}, reference=serving.training_range(table)))
    answer = serving.answer(held, as_request(PriceForecasting, TASK.asked(raw(), 4)))
    assert answer.level == 0.9
    assert [asset.entity for asset in answer.assets] == ["S00", "S01", "S02", "S03"]
    expected = fitted.predict(newest(TASK.table(features())))
    for row, asset in enumerate(answer.assets):
        assert asset.as_of == raw()["time"].max().date()
        assert [one.horizon for one in asset.forecasts] == [1, 5, 20]
        for place, one in enumerate(asset.forecasts):
            assert [q.level for q in one.quantiles] == [0.05, 0.25, 0.5, 0.75, 0.95]
            assert (one.low, one.high) == (one.quantiles[0].value, one.quantiles[-1].value)
            np.testing.assert_allclose([q.value for q in one.quantiles], expected.quantiles[row, place], rtol=1e-3, atol=1e-6)
    assert PriceForecasting.response.model_validate_json(answer.model_dump_json()) == answer
    assert "log return" in json.dumps(PriceForecasting.response.model_json_schema())


def judged(rows: placebo.Rows, entry: str, config: TrainingConfig, **hyperparameters: object) -> Report:
    pair = catalog.pair(f"price_forecasting-{entry}")
    return placebo.judged(pair, rows, config=config, hyperparameters=pair.entry.card.hyperparameters.model_validate(hyperparameters))


def alarm(report: Report) -> object:
    return next(check for check in report.gate.checks if check.name == LEAK_ALARM)


def test_a_feature_that_knows_tomorrow_sets_off_the_alarm() -> None:
    walk = synthetic.random_walk(np.random.default_rng(2), entities=4, sessions=700)
    x, y = TASK.features(walk), TASK.target(walk)
    report = judged((x.assign(return_d=y["h1"].fillna(0.0), momentum_m=y["h5"].fillna(0.0)), y), "ridge", QUICK)
    assert not alarm(report).passed
    assert not report.gate.passed
    # A fill one session later misses tomorrow's return and earns those of the days behind it, which h5 knows.
    assert report.strategy.net(1.0).sharpe > 3
    assert report.row("ridge", "oos_r2", 1).value > 0.02
    assert report.row("ridge", "rank_ic", 1).value > 0.1


def volume_tells(seed: int, sessions: int = 1600, entities: int = 8) -> pd.DataFrame:
    """Closes whose variance follows yesterday's volume, which no baseline's width looks at."""
    rng = np.random.default_rng(seed)
    state = np.zeros((entities, sessions))
    for t in range(1, sessions):
        state[:, t] = 0.9 * state[:, t - 1] + np.sqrt(1 - 0.9**2) * rng.standard_normal(entities)
    variance = 1e-4 * np.exp(1.6 * np.concatenate([np.zeros((entities, 1)), state[:, :-1]], axis=1) - 1.28)
    close = 100 * np.exp(np.cumsum(np.sqrt(variance) * rng.standard_normal((entities, sessions)), axis=1))
    names = np.repeat([f"S{i}" for i in range(entities)], sessions)
    days = np.tile(pd.bdate_range("2010-01-04", periods=sessions).to_numpy(), entities)
    return clean(pd.DataFrame({"entity": names, "time": days, "close": close.ravel(), "volume": (1e6 * np.exp(state)).ravel()}))[0]


@pytest.mark.slow
def test_a_planted_width_passes_the_gate_and_a_random_walk_does_not() -> None:
    thorough = TrainingConfig(max_epochs=15, batch_size=256, learning_rate=5e-3, weight_decay=0.3, stride=3, patience=4, device="cpu")
    pair = catalog.pair("price_forecasting-gru")
    planted = judged(placebo.computed(pair, volume_tells(0)), "gru", thorough, hidden=16, dropout=0.2)
    assert planted.gate.passed, planted.gate.failed
    assert planted.row("gru", "pinball", 1).value < 0.97 * planted.row("ewma_random_walk", "pinball", 1).value
    walk = judged(placebo.computed(pair, synthetic.random_walk(np.random.default_rng(0), entities=3, sessions=1100)), "gru", thorough, hidden=16, dropout=0.2)
    assert not walk.gate.passed


def test_views_are_offered_for_windows_first_and_for_tables() -> None:
    assert PriceForecasting.kinds == (Kind.WINDOWS, Kind.TABLE)
    assert isinstance(TASK.view(Kind.WINDOWS, features()), Windows)
    assert isinstance(TASK.view(Kind.TABLE, features()), Table)
