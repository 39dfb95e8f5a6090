"""Laws that hold for every use case that is built."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, ValidationError
from subjects import every_task, raw, sample

from finml_models.core import catalog
from finml_models.core.catalog import Pair
from finml_models.core.task import Task
from finml_models.evaluation import report as reporting
from finml_models.evaluation import splits
from finml_models.evaluation.backtest import long_form
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.report import DataSection, Report, Resources, TrainingSummary, assess
from finml_models.evaluation.scored import Scored
from finml_models.evaluation.scores import Scores
from finml_models.evaluation.verdict import Verdict, ablated

CUTS = (0.22, 0.37, 0.55, 0.71)
"""Shares of the dates after which data are cut."""


def baselines(task: type[Task]) -> list[Pair]:
    return [pair for pair in catalog.contenders(task.id()) if pair.entry.is_baseline]


def model(task: type[Task]) -> Pair:
    return next(pair for pair in catalog.contenders(task.id()) if not pair.entry.is_baseline)


def moment(rows: pd.DataFrame, share: float) -> np.datetime64:
    times = np.unique(rows["time"])
    return times[int(share * len(times))]


@every_task
@pytest.mark.parametrize("share", CUTS)
def test_features_computed_on_data_cut_at_t_are_equal_bit_for_bit(task: type[Task], share: float) -> None:
    rows = raw(task.source())
    at = moment(rows, share)
    whole = task().features(rows)
    whole, early = whole[whole["time"] <= at].reset_index(drop=True), task().features(task().known(rows, at))
    pd.testing.assert_frame_equal(whole, early, check_exact=True)


@every_task
@pytest.mark.parametrize("share", CUTS)
def test_targets_known_at_t_are_equal_bit_for_bit_on_data_cut_at_t(task: type[Task], share: float) -> None:
    rows = raw(task.source())
    at = moment(rows, share)
    whole, early = task().target(rows), task().target(task().known(rows, at))
    known = (whole["until"] <= at).to_numpy()
    pd.testing.assert_frame_equal(whole[known].reset_index(drop=True), early[early["until"].notna()].reset_index(drop=True), check_exact=True)


@every_task
def test_a_target_does_not_change_with_what_lies_after_its_end(task: type[Task]) -> None:
    rows = raw(task.source())
    at = moment(rows, 0.6)
    changed, after = rows.copy(), rows["time"] > at
    numbers = [name for name in rows.select_dtypes("float64").columns if rows[name].min() > 0]
    changed.loc[after, numbers] = changed.loc[after, numbers] * 3.0
    before, later = task().target(rows), task().target(changed)
    settled = (before["until"] <= at).to_numpy()
    assert settled.sum() > 200
    pd.testing.assert_frame_equal(before[settled], later[settled], check_exact=True)


@every_task
def test_all_views_hold_the_same_rows_in_the_same_order(task: type[Task]) -> None:
    x, y = task().features(raw(task.source())), task().target(raw(task.source()))
    first, *others = [task().view(kind, x, y) for kind in task.kinds]
    assert first.target is not None
    assert (np.diff(first.time) >= np.timedelta64(0)).all()
    # Rows of another unit, such as assets where others hold portfolios, are compared by what they are scored on.
    for other in map(task().scored, others):
        np.testing.assert_array_equal(other.time, first.time)
        np.testing.assert_array_equal(other.entity, first.entity)
        np.testing.assert_array_equal(other.target, first.target)


@every_task
def test_labels_end_after_their_inputs(task: type[Task]) -> None:
    batch = sample(baselines(task)[0]).batch
    assert batch.until is not None
    assert (batch.until >= batch.time).all() if task.horizons == () else (batch.until > batch.time).all()


@every_task
def test_purge_and_embargo_follow_from_horizons_and_history(task: type[Task]) -> None:
    batch = sample(baselines(task)[0]).batch
    dates = np.unique(batch.time)
    for fold in splits.of_task(task, batch):
        distance = np.searchsorted(dates, fold.test_start) - np.searchsorted(dates, batch.time[np.concatenate([fold.train, fold.valid])].max())
        assert distance > max(task.horizons, default=0)
        assert batch.until[fold.train].max() < batch.time[fold.valid].min()


@every_task
def test_metrics_and_baselines_are_there_by_name(task: type[Task]) -> None:
    assert [metric(name).id for name in task.metrics] == list(task.metrics)
    assert {pair.entry.id for pair in baselines(task)} == set(task.baselines)
    ablations = {name for pair in catalog.contenders(task.id()) for name in pair.entry.card.ablations}
    assert set(task.gate.naive) <= {*task.baselines, *ablations}
    # A name that no card has would be demanded of nobody.
    assert set(task.gate.ablations) <= ablations


@every_task
def test_requests_are_closed_to_unknown_fields(task: type[Task]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        task.request.model_validate({"surprise": 1})
    assert issubclass(task.response, BaseModel)


@cache
def scored(pair: Pair) -> pd.DataFrame:
    """Predictions of a pair's quickly trained entry for its test rows."""
    s = sample(pair)
    own = pair.task().scored(s.test)
    return long_form(own, pair.task().decide(s.test, s.fitted().predict), pair.task.horizons, 0, 0).assign(**pair.task().facts(own))


def spoiled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Predictions that know nothing: forecasts off by noise, probabilities and scores at random, densities too wide, fills worse by noise."""
    rng, frame = np.random.default_rng(seed), frame.copy()
    classes = [name for name in frame.columns if name[0] == "p" and name[1:].isdigit()]
    if "std0" in frame:
        deviations = [name for name in frame.columns if name.startswith("std")]
        frame[deviations] *= rng.uniform(3, 6, (len(frame), 1))
    elif classes:
        frame[classes] = rng.dirichlet(np.ones(len(classes)), len(frame))
    elif "threshold" in frame:
        frame["score"] = rng.permutation(frame["score"].to_numpy())
    elif "average" in frame:
        frame["average"] *= 1 + frame["side"] * np.abs(rng.standard_normal(len(frame))) * 0.05
    elif "gross" in frame:
        frame["gross"] -= np.abs(rng.standard_normal(len(frame))) * 0.02
        frame["returns"] = frame["gross"] - frame["cost"]
    else:
        # Bounded: of the exponential of a normal, which QLIKE sees, a few days would say it all.
        noise = rng.choice((-2.0, 2.0), len(frame)) * frame["target"].std()
        for column in [name for name in frame.columns if name == "point" or name.startswith("q")]:
            frame[column] += noise
    return frame


@cache
def kept(pair: Pair) -> Scored:
    """What `scored` scored: every report of the task compares with it."""
    return reporting.scored(pair.task, pair.entry.id, scored(pair))


def report(pair: Pair, own: pd.DataFrame) -> Report:
    frames, scores = ({other.entry.id: of(other) for other in baselines(pair.task)} for of in (scored, kept))
    mine = {pair.entry.id: own}
    for name in pair.entry.card.ablations:
        mine[ablated(pair.entry.id, name)] = spoiled(own, seed=1)
    return assess(
        pair,
        frames | mine,
        data=DataSection(dataset="test", snapshot="0" * 64, rows=1, entities=1, first="2010-01-01", last="2011-01-01", repairs={}),
        training=TrainingSummary(profile="fast", seconds=0.0, fits=1, epochs=None, parameters=None, curve=()),
        resources=Resources(milliseconds=0.1, megabytes=0.1),
        fingerprint={"id": "0"},
        version="0",
        reproduce="finml run",
        scores=Scores.of({**scores, **reporting.scores_of(pair.task, mine)}),
    )


@every_task
def test_the_gate_refuses_noise(task: type[Task]) -> None:
    judged = report(model(task), spoiled(scored(baselines(task)[0]), seed=0))
    assert not judged.gate.passed
    assert judged.verdict == Verdict.INFERIOR


@every_task
@pytest.mark.parametrize("position", range(6))
def test_the_gate_refuses_a_baseline_under_another_name(task: type[Task], position: int) -> None:
    if position >= len(task.baselines):
        pytest.skip(f"{task.id()} has {len(task.baselines)} baselines")
    judged = report(model(task), scored(baselines(task)[position]))
    assert not judged.gate.passed
    assert judged.verdict != Verdict.SUPERIOR
