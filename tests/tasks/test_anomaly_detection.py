"""Anomaly detection: causal features of a session, labels that nobody may learn from, and a judgement of scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finml_models.core import catalog
from finml_models.core.batches import Windows
from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig, ignore
from finml_models.core.predictions import AnomalyScores
from finml_models.core.spec import Kind
from finml_models.core.task import AlarmGuard
from finml_models.datasets.market import synthetic
from finml_models.datasets.market.faults import Fault, inject
from finml_models.evaluation import metrics, placebo
from finml_models.evaluation.audit import truncation_audit
from finml_models.evaluation.backtest import Walk
from finml_models.evaluation.plots import draw
from finml_models.evaluation.plots.score import curve, found
from finml_models.evaluation.report import Report, scores_of
from finml_models.evaluation.verdict.checks import alarms
from finml_models.tasks._anomalies import FEATURES, MEMORY
from finml_models.tasks._market import MarketRequest
from finml_models.tasks.anomaly_detection import LENGTH, AnomalyDetection

TASK = AnomalyDetection()
SESSIONS = 900


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """Six assets that follow one market, two of them with bars and volumes, and faults every 50 sessions."""
    rng = np.random.default_rng(3)
    frame = synthetic.random_walk(rng, entities=6, sessions=SESSIONS)
    market = np.exp(np.tile(np.cumsum(0.01 * rng.standard_normal(SESSIONS)), 6))
    frame[["open", "high", "low", "close"]] = frame[["open", "high", "low", "close"]].mul(market, axis=0)
    barred = frame["entity"].isin(["S00", "S01"])
    frame["volume"] = np.where(barred, np.exp(14 + 0.2 * rng.standard_normal(len(frame))), np.nan)
    return inject(frame.assign(**{name: frame[name].where(barred) for name in ("open", "high", "low")}), seed=0, every=50)


@pytest.fixture(scope="module")
def features(raw: pd.DataFrame) -> pd.DataFrame:
    return TASK.features(raw)


@pytest.fixture(scope="module")
def batch(raw: pd.DataFrame, features: pd.DataFrame) -> Windows:
    return TASK.windows(features, TASK.target(raw))


@pytest.fixture(scope="module")
def predictions(batch: Windows) -> dict[str, pd.DataFrame]:
    """Out-of-sample scores of every baseline."""
    pairs = [pair for pair in catalog.contenders(TASK.id()) if pair.entry.is_baseline]
    return {p.entry.id: Walk(p, batch, p.entry.card.hyperparameters(), TrainingConfig(), (0,)).score(lambda *_: ignore)[0] for p in pairs}


def request(frame: pd.DataFrame) -> MarketRequest:
    columns = ["entity", "time", "open", "high", "low", "close", "volume"]
    rows = frame[columns].assign(time=frame["time"].dt.strftime("%Y-%m-%d")).to_json(orient="records", double_precision=15)
    return MarketRequest.model_validate_json(json.dumps({"rows": json.loads(rows)}))


def test_nothing_said_of_a_session_depends_on_a_later_one(raw: pd.DataFrame) -> None:
    audit = truncation_audit(TASK, raw, cuts=5)
    assert audit.passed, [str(leak) for leak in audit.leaks]


def test_a_centred_scale_would_be_caught(raw: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    from finml_models.tasks import _anomalies

    def centred(values: np.ndarray) -> np.ndarray:
        out = np.full_like(values, np.nan)
        rolled = np.lib.stride_tricks.sliding_window_view(values, MEMORY, axis=1)
        out[:, MEMORY : MEMORY + rolled.shape[1] - 30] = np.median(rolled, axis=-1)[:, 30:][:, : values.shape[1] - MEMORY]
        return out

    monkeypatch.setattr(_anomalies, "_before", centred)
    assert not truncation_audit(TASK, raw, cuts=2).passed


def test_every_fault_shows_in_the_feature_that_is_made_for_it(raw: pd.DataFrame, features: pd.DataFrame) -> None:
    label, ordinary = raw["anomaly"], features[raw["anomaly"] == 0]
    sizes = features[list(FEATURES)].abs().groupby(label).median()
    usual = ordinary[list(FEATURES)].abs().median()
    assert sizes.loc[Fault.SPIKE, "return"] > 2 * usual["return"]
    assert sizes.loc[Fault.LEVEL_SHIFT, "return"] > 2 * usual["return"]
    assert sizes.loc[Fault.VARIANCE_BURST, "range"] > 1.5 * usual["range"]
    assert sizes.loc[Fault.STALE_PRICE, "repeats"] > 0 == usual["repeats"]
    assert sizes.loc[Fault.DECOUPLING, "market_distance"] > 1.2 * usual["market_distance"]
    assert sizes.loc[Fault.DECOUPLING, "return"] < 1.2 * usual["return"]


def test_features_are_in_units_of_the_assets_own_past(raw: pd.DataFrame, features: pd.DataFrame) -> None:
    prices = ["open", "high", "low", "close"]
    dearer = raw.assign(**{name: raw[name] * 1000 for name in prices}, volume=raw["volume"] * 7)
    pd.testing.assert_frame_equal(TASK.features(dearer), features, rtol=1e-6, atol=1e-9)
    at = raw.index[raw["entity"] == "S05"][200]
    close = np.log(raw["close"].to_numpy())
    before = np.abs(np.diff(close))[at - MEMORY - 1 : at - 1]
    assert features.loc[at, "return"] == pytest.approx(np.arcsinh((close[at] - close[at - 1]) / np.median(before)))


def test_assets_without_volume_or_range_get_the_markets_and_their_own_move(raw: pd.DataFrame, features: pd.DataFrame) -> None:
    later = features.groupby("entity").cumcount() >= 2 * MEMORY + 2
    closes = features[(features["entity"] == "S05") & later].set_index("time")
    bars = features[(features["entity"] == "S00") & later].set_index("time"), features[(features["entity"] == "S01") & later].set_index("time")
    np.testing.assert_allclose(closes["volume"], (bars[0]["volume"] + bars[1]["volume"]) / 2)
    np.testing.assert_allclose(closes["range"], closes["return"].abs())
    none = TASK.features(raw.assign(volume=np.nan))
    assert (none.loc[later, "volume"] == 0).all()


def test_two_equal_closes_are_no_stale_price_and_three_are() -> None:
    frame = synthetic.random_walk(np.random.default_rng(0), entities=1, sessions=200)
    for first, repeated in ((100, 1), (120, 2), (150, 5)):
        frame.loc[first : first + repeated, "close"] = frame.loc[first, "close"]
    repeats = TASK.features(frame)["repeats"].to_numpy()
    np.testing.assert_allclose(repeats[[101, 121, 122, 151, 155, 156]], np.log([1, 1, 2, 1, 5, 1]))


def test_a_window_holds_the_60_sessions_that_end_with_its_row(raw: pd.DataFrame, features: pd.DataFrame, batch: Windows) -> None:
    assert batch.length == LENGTH
    assert len(batch) == 6 * (SESSIONS - TASK.history + 1)
    assert (np.diff(batch.time) >= np.timedelta64(0)).all()
    own = features[features["entity"] == batch.entity[-1]]
    np.testing.assert_array_equal(batch.gather(0)[-1], own["return"].to_numpy(np.float32)[-LENGTH:])
    expected = raw.set_index(["entity", "time"])["anomaly"].loc[list(zip(batch.entity, batch.time, strict=True))]
    np.testing.assert_array_equal(batch.target[:, 0], expected.to_numpy(np.float32))
    np.testing.assert_array_equal(batch.until, batch.time)
    with pytest.raises(ValueError, match="no view 'table'"):
        TASK.view(Kind.TABLE, features)


def test_one_false_alarm_a_week_is_a_share_of_the_rows_of_all_assets(batch: Windows) -> None:
    signature = TASK.signature(batch)
    assert signature.alarm_rate == pytest.approx(1 / (5 * 6))
    # That share of the ordinary rows is one in five dates, which is what the metric calls 1.
    every = np.zeros(len(batch))
    every[:: round(1 / signature.alarm_rate)] = 1
    assert metrics.METRICS["false_alarm_ratio"].value({"target": np.zeros(len(batch)), "alarm": every, "times": batch.time}) == pytest.approx(1, rel=0.02)


def test_rows_without_labels_are_scored_and_cannot_be_judged(raw: pd.DataFrame, features: pd.DataFrame) -> None:
    plain = raw.drop(columns="anomaly")
    pd.testing.assert_frame_equal(TASK.features(plain), features)
    with pytest.raises(DataError, match=r"column `anomaly` is missing.*scored and not judged"):
        TASK.target(plain)
    half = raw.assign(anomaly=raw["anomaly"].where(raw["entity"] != "S03"))
    assert "S03" not in TASK.windows(features, TASK.target(half)).entity


def test_labels_are_among_no_features(raw: pd.DataFrame, features: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(TASK.features(raw.assign(anomaly=1.0)), features, check_exact=True)


def test_an_answer_is_score_threshold_and_alarm_of_the_newest_session(raw: pd.DataFrame) -> None:
    rows = TASK.raw(request(raw.groupby("entity").tail(TASK.history)))
    asked = TASK.windows(TASK.features(rows))
    assert len(asked) == 6
    scores = AnomalyScores(np.array([1, 2, 3, 4, 5, 6], np.float32), np.full(6, 3, np.float32))
    answer = TASK.respond(asked, scores, version="v")
    assert [one.alarm for one in answer.assets] == [False, False, False, True, True, True]
    assert {one.as_of for one in answer.assets} == {raw["time"].max().date()}
    assert answer.warnings == ()


def test_an_asset_alone_is_told_that_its_market_is_unknown(raw: pd.DataFrame) -> None:
    alone = TASK.windows(TASK.features(TASK.raw(request(raw[raw["entity"] == "S02"].tail(TASK.history)))))
    assert (alone.inputs[:, FEATURES.index("market_return")] == 0).all()
    (warning,) = TASK.respond(alone, AnomalyScores(np.ones(1, np.float32), np.ones(1, np.float32)), version="v").warnings
    assert "S02: no other asset" in warning
    with pytest.raises(DataError, match=f"{TASK.history} are needed"):
        TASK.raw(request(raw.groupby("entity").tail(TASK.history - 1)))


def test_every_baseline_but_the_random_one_finds_faults_and_keeps_its_promise(predictions: dict[str, pd.DataFrame]) -> None:
    share = float((predictions["random_score"]["target"] > 0).mean())
    value = {name: {metric: metrics.value(frame, metric) for metric in TASK.metrics} for name, frame in predictions.items()}
    assert value["random_score"]["pr_auc"] == pytest.approx(share, rel=0.3)
    for name in set(TASK.baselines) - {"random_score"}:
        assert value[name]["pr_auc"] > 2 * value["random_score"]["pr_auc"]
        assert value[name]["event_recall"] > value["random_score"]["event_recall"]
        assert value[name]["vus_pr"] > value["random_score"]["vus_pr"]


def test_scores_rank_by_what_they_have_above_their_own_threshold() -> None:
    frame = pd.DataFrame({"target": [0.0, 3.0, 0.0, 5.0], "score": [1.0, 2.5, 101.0, 103.0], "threshold": [2.0, 2.0, 102.0, 102.0], "fold": [0, 0, 1, 1]})
    given = metrics.inputs(frame)
    assert given["alarm"].tolist() == [False, True, False, True]
    assert given["target"].tolist() == [0, 1, 0, 1]
    assert metrics.value(frame, "pr_auc") == 1


@pytest.fixture(scope="module")
def reports(raw: pd.DataFrame, predictions: dict[str, pd.DataFrame]) -> Iterator[Any]:
    del raw

    def of(entry: str) -> Report:
        from finml_models.evaluation.report import DataSection, Resources, TrainingSummary, assess

        return assess(
            catalog.pair(f"{TASK.id()}-{entry}"),
            predictions,
            data=DataSection(dataset="test", snapshot="0" * 64, rows=1, entities=6, first="", last="", repairs={}),
            training=TrainingSummary(profile="fast", seconds=0.0, fits=1, epochs=None, parameters=None, curve=()),
            resources=Resources(milliseconds=0.1, megabytes=0.1),
            fingerprint={"id": "0"},
            version="0",
            reproduce="finml run",
        )

    return of


def test_a_report_shows_alarms_kinds_and_a_curve(reports: Any, predictions: dict[str, pd.DataFrame]) -> None:
    report = reports("pca_reconstruction")
    assert {row.metric for row in report.table} == set(TASK.metrics)
    check = next(check for check in report.gate.checks if check.name == "false alarms")
    assert check.value == pytest.approx(metrics.value(predictions["pca_reconstruction"], "false_alarm_ratio"))
    plots = {plot.id: plot for plot in draw(report, predictions, scores_of(type(TASK), predictions))}
    assert set(plots) == {"race", "precision_recall", "by_kind"}
    assert all(plot.svg.lstrip().startswith("<?xml") for plot in plots.values())


def test_the_curve_of_a_plot_has_the_area_of_the_metric(predictions: dict[str, pd.DataFrame]) -> None:
    frame = predictions["pca_reconstruction"]
    given = metrics.inputs(frame)
    recall, precision = curve(given["target"], given["score"])
    assert np.diff(recall, prepend=0.0) @ precision == pytest.approx(metrics.value(frame, "pr_auc"))


def test_an_event_is_found_by_one_alarm_and_ends_with_its_asset() -> None:
    rows = pd.DataFrame(
        {
            "entity": ["A"] * 4 + ["B"] * 3,
            "time": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04", "2020-01-01", "2020-01-02", "2020-01-03"]),
            "inside": [True, True, False, True, True, False, True],
            "alarm": [False, True, True, False, False, False, True],
        }
    )
    assert found(rows.sample(frac=1, random_state=0)).tolist() == [True, False, False, True]


@pytest.mark.parametrize(("observed", "held"), [(0.49, False), (0.5, True), (1.0, True), (2.0, True), (2.01, False), (0.0, False)])
def test_alarms_may_be_twice_or_half_of_what_was_promised(observed: float, held: bool) -> None:
    check = alarms(AlarmGuard(within=2.0), observed)
    assert check.passed is held
    assert f"{observed:.2f} times" in check.sentence


def test_shuffled_labels_leave_no_baseline_better_than_the_random_one(raw: pd.DataFrame, features: pd.DataFrame) -> None:
    rows = placebo.shuffled_labels(np.random.default_rng(0), (features, TASK.target(raw)))
    assert (rows[1]["anomaly"] > 0).mean() == pytest.approx((raw["anomaly"] > 0).mean())
    pair = catalog.pair("anomaly_detection-pca_reconstruction")
    frame = Walk(pair, TASK.windows(*rows), pair.entry.card.hyperparameters(), TrainingConfig(), (0,)).score(lambda *_: ignore)[0]
    assert metrics.value(frame, "pr_auc") == pytest.approx((frame["target"] > 0).mean(), rel=0.3)
