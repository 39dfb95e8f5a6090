"""Laws of the states by date, for every model that finds regimes and every one of the representation family: out of sample, and blind to what comes after."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from subjects import PAIRS, QUICK, raw

from finml_models.core.batches import Batch
from finml_models.core.catalog import Pair
from finml_models.core.estimator import Embeds, ignore
from finml_models.core.regimes import regime_names
from finml_models.core.spec import Category, Objective
from finml_models.evaluation import splits
from finml_models.evaluation.backtest import Backtest, Walk
from finml_models.evaluation.states import MOST_DATES, Embedding, States
from finml_models.evaluation.tracing import states_of

FINDERS = [pair for pair in PAIRS if pair.task.objective is Objective.REGIMES]
EMBEDDERS = [pair for pair in PAIRS if pair.entry.category is Category.REPRESENTATION]
every_finder = pytest.mark.parametrize("pair", FINDERS, ids=lambda pair: pair.id)
every_embedder = pytest.mark.parametrize("pair", EMBEDDERS, ids=lambda pair: pair.id)
every_subject = pytest.mark.parametrize("pair", dict.fromkeys([*FINDERS, *EMBEDDERS]), ids=lambda pair: pair.id)
QUICKER = QUICK.model_copy(update={"max_epochs": 1, "stride": 10})
PRICES = ["open", "high", "low", "close"]


@cache
def batch_of(pair: Pair, changed_after: np.datetime64 | None = None) -> Batch:
    """The pair's batch, all prices after a date others than they were."""
    rows = raw(pair.task.source())
    if changed_after is not None:
        later = (rows["time"] > changed_after).to_numpy()
        rows = rows.copy()
        rows.loc[later, PRICES] = rows.loc[later, PRICES].mul(np.exp(0.2 * np.random.default_rng(1).standard_normal(later.sum())), axis=0)
    task = pair.task()
    return task.view(pair.kind, task.features(rows), task.target(rows))


@cache
def walked(pair: Pair, changed_after: np.datetime64 | None = None) -> Backtest:
    return walk(pair, batch_of(pair, changed_after))


def walk(pair: Pair, batch: Batch) -> Backtest:
    """A quick walk, on however few rows there are."""
    card = pair.entry.card.model_copy(update={"training": pair.entry.card.training.model_copy(update={"minimum_samples": 1})})
    small = replace(pair, entry=replace(pair.entry, card=card))
    return Walk(small, batch, card.hyperparameters(), QUICKER, (3,)).run(lambda _fold, _seed: ignore)


def document(pair: Pair, changed_after: np.datetime64 | None = None) -> States:
    result = walked(pair, changed_after)
    found = states_of(pair, result.predictions, result.embedding, version="v", dataset="d", snapshot="s")
    assert found is not None
    return found


def folds(pair: Pair) -> list[splits.Fold]:
    return splits.of_task(pair.task, batch_of(pair))


def middle(fold: splits.Fold, pair: Pair) -> np.datetime64:
    days = np.unique(batch_of(pair).time[fold.test])
    return days[len(days) // 2]


@every_finder
def test_the_course_is_every_scored_date_once_with_what_was_predicted_out_of_sample(pair: Pair) -> None:
    found, predictions = document(pair), walked(pair).predictions.sort_values("time")
    moments = list(found.moments())
    assert [moment.date for moment in moments] == predictions["time"].dt.date.tolist()
    for stretch, fold in zip(found.regimes, folds(pair), strict=True):
        assert stretch.dates[0] == fold.test_start.astype("datetime64[D]").item()
        assert [law.name for law in stretch.regimes] == list(regime_names(len(stretch.regimes)))
        own = predictions[predictions["fold"] == fold.number]
        for i, (law, values) in enumerate(zip(stretch.regimes, stretch.probabilities, strict=True)):
            np.testing.assert_allclose(values, own[f"p{i}"], atol=5.1e-5)
            np.testing.assert_allclose(law.volatility, own[f"std{i}"] * np.sqrt(252), rtol=1e-6)
    assert all(sum(moment.probabilities) == pytest.approx(1, abs=1e-3) for moment in moments)


@every_finder
def test_regimes_stand_in_the_order_of_their_volatility(pair: Pair) -> None:
    for stretch in document(pair).regimes:
        deviations = [law.volatility for law in stretch.regimes]
        assert deviations == sorted(deviations)


@every_finder
def test_a_dates_market_return_is_of_the_sessions_up_to_it(pair: Pair) -> None:
    moments, batch = list(document(pair).moments()), batch_of(pair)
    returns = dict(zip(batch.until.astype("datetime64[D]").tolist(), batch.target[:, 0].tolist(), strict=True))
    steps = np.diff([moment.market for moment in moments])
    np.testing.assert_allclose(steps, [returns[moment.date] for moment in moments[1:]], atol=2e-5)
    assert moments[0].market == 0


@every_finder
@pytest.mark.parametrize("number", [0, -1])
def test_rows_after_a_date_change_no_point_of_the_course_up_to_it(pair: Pair, number: int) -> None:
    at = middle(folds(pair)[number], pair)
    day = at.astype("datetime64[D]").item()
    before, after = (
        [(moment.date, moment.probabilities, moment.market, moment.stretch.regimes) for moment in document(pair, changed).moments()] for changed in (None, at)
    )
    known = sum(moment[0] <= day for moment in before)
    assert before[:known] == after[:known]
    assert [moment[2] for moment in before[known:]] != [moment[2] for moment in after[known:]]


@every_embedder
def test_the_picture_holds_what_the_newest_fit_saw_and_is_scored_on_and_says_which(pair: Pair) -> None:
    found, fold, times = picture_of(pair), folds(pair)[-1], batch_of(pair).time
    expected = np.unique(times[np.concatenate([fold.train, fold.valid, fold.test])]).astype("datetime64[D]").tolist()
    assert list(found.dates) == expected[-MOST_DATES:]
    assert found.dates[found.seen] == fold.test_start.astype("datetime64[D]").item()
    assert 0 < found.explained[1] <= found.explained[0] <= 1
    assert (found.fold, found.seed, found.entities) == (fold.number, 3, len(np.unique(batch_of(pair).entity)))


@every_embedder
def test_rows_after_a_date_change_no_point_of_the_picture_up_to_it(pair: Pair) -> None:
    at = middle(folds(pair)[-1], pair)
    before, after = picture_of(pair), picture_of(pair, at)
    known = sum(day <= at.astype("datetime64[D]").item() for day in before.dates)
    assert known > before.seen
    for one, other in ((before.x, after.x), (before.y, after.y)):
        np.testing.assert_allclose(one[:known], other[:known], rtol=1e-4, atol=1e-5)
    assert not np.allclose(before.x[known:], after.x[known:], rtol=1e-2)


@every_subject
def test_equal_inputs_give_an_equal_document_that_survives_its_file(pair: Pair) -> None:
    found = document(pair)
    again = walk(pair, batch_of(pair))
    assert states_of(pair, again.predictions, again.embedding, version="v", dataset="d", snapshot="s") == found
    assert States.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.id)
def test_only_what_embeds_is_of_the_representation_family(pair: Pair) -> None:
    assert issubclass(pair.entry.estimator(), Embeds) == (pair.entry.category is Category.REPRESENTATION)


def picture_of(pair: Pair, changed_after: np.datetime64 | None = None) -> Embedding:
    found = document(pair, changed_after).embedding
    assert found is not None
    return found


def test_what_has_neither_regimes_nor_an_embedding_has_no_document() -> None:
    other = next(pair for pair in PAIRS if pair.task.objective is Objective.FORECAST)
    assert states_of(other, pd.DataFrame({"entity": ["a"]}), None, version="v", dataset="d", snapshot="s") is None
