"""The search sees no row that a report scores, tries the default first, goes on where it was killed, and counts every fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finml_models.baselines.dlinear import DLinear
from finml_models.core import catalog
from finml_models.core.catalog import Entry, Pair
from finml_models.core.errors import DataError, Diverged, FinmlError, LeaseHeld, TooFewSamples
from finml_models.core.estimator import TrainingConfig
from finml_models.core.spec import Training
from finml_models.datasets.market import synthetic
from finml_models.evaluation import splits
from finml_models.evaluation.trials import MemoryTrials
from finml_models.training.checkpoint import Checkpoints
from finml_models.training.tuning import UNPRUNED_ATTEMPTS, Search, Step, first_scored, inner, study_id
from finml_models.training.tuning_report import Attempt, TuningReport, best_of, read, write

PAIR = catalog.pair("volatility_forecasting-dlinear")
QUICK = TrainingConfig(device="cpu")


@cache
def raw() -> pd.DataFrame:
    """Three random walks; callers must not change it."""
    return synthetic.random_walk(np.random.default_rng(3), entities=3, sessions=1_400)


@cache
def before() -> np.datetime64:
    return first_scored(PAIR, raw())


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Search]:
    def make(pair: Pair = PAIR, frame: pd.DataFrame | None = None, folder: str = "study", **given: Any) -> Search:
        batch = inner(pair, raw() if frame is None else frame, before())
        counted = given.pop("counted", None) or MemoryTrials()
        return Search(pair, batch, QUICK, 0, lambda _: counted, tmp_path / folder, **given)

    return make


class Cornered(Entry):
    """DLinear that cannot be trained with some penalties."""

    def estimator(self) -> type[DLinear]:
        class Fussy(DLinear):
            def fit(self, *given: Any, **words: Any) -> Any:
                if self.hyperparameters.ridge > 4:
                    raise Diverged(f"ridge {self.hyperparameters.ridge} is too much")
                return super().fit(*given, **words)

        return Fussy


class Broken(Entry):
    """DLinear with a fault of its own."""

    def estimator(self) -> type[DLinear]:
        class Faulty(DLinear):
            def fit(self, *given: Any, **words: Any) -> Any:
                raise ZeroDivisionError("a fault")

        return Faulty


def of(kind: type[Entry]) -> Pair:
    e = PAIR.entry
    return replace(PAIR, entry=kind(e.id, e.card, e.module, e.category, e.gap))


def test_garbage_from_the_first_scored_date_on_changes_nothing(search: Callable[..., Search]) -> None:
    scored = raw()["time"].to_numpy() >= before()
    assert 0.2 < scored.mean() < 0.4
    garbage = raw().copy()
    rng = np.random.default_rng(0)
    for column in garbage.columns.drop(["entity", "time", "known_at"], errors="ignore"):
        noise = rng.uniform(1, 1e6, scored.sum())
        garbage.loc[scored, column] = np.where(garbage.loc[scored, column].isna(), np.nan, noise)
    assert first_scored(PAIR, garbage) == before()
    assert search(frame=garbage, folder="garbage").run(6) == search(folder="clean").run(6)


def test_inner_rows_and_their_labels_end_before_the_first_scored_date_and_are_cut_by_the_tasks_own_split() -> None:
    batch = inner(PAIR, raw(), before())
    assert batch.until is not None
    assert batch.time.max() < batch.until.max() < before()
    folds = splits.of_task(PAIR.task, batch)
    assert len(folds) == PAIR.task.split.folds


@pytest.mark.parametrize("name", ["price_forecasting-ridge", "cross_asset_effects-har_market_sector"])
def test_the_inner_rows_of_other_market_tasks_end_before_too(name: str) -> None:
    pair = catalog.pair(name)
    start = first_scored(pair, raw())
    batch = inner(pair, raw(), start)
    assert batch.until is not None
    assert batch.until.max() < start
    assert len(splits.of_task(pair.task, batch)) == pair.task.split.folds


def test_the_default_is_tried_first_and_every_fit_is_counted_with_one_seed(search: Callable[..., Search]) -> None:
    counted, steps = MemoryTrials(), []
    attempts = search(counted=counted, on_step=steps.append).run(4)
    assert attempts[0].hyperparameters == PAIR.entry.card.hyperparameters().model_dump()
    assert [attempt.number for attempt in attempts] == [0, 1, 2, 3]
    assert len(counted.kept) == sum(len(attempt.folds) for attempt in attempts)
    assert {(kept.status, kept.seed) for kept in counted.kept.values()} == {("finished", 0)}
    assert attempts[0].value == pytest.approx(np.mean([kept.result.value for kept in list(counted.kept.values())[:3]]))
    ends = [step for step in steps if step.state]
    assert [step.attempt for step in ends] == [1, 2, 3, 4]
    assert ends[-1].seconds_left == 0
    assert ends[-1].best == best_of(attempts, lower_is_better=True).value


def test_an_interrupted_study_ends_as_one_that_was_not(search: Callable[..., Search]) -> None:
    whole = search(folder="whole").run(12)

    def interrupt(step: Step) -> None:
        if (step.attempt, step.fold, step.state) in {(1, 2, None), (10, 1, None)}:
            raise KeyboardInterrupt

    counted = MemoryTrials()
    with pytest.raises(KeyboardInterrupt):
        search(folder="killed", on_step=interrupt, counted=counted).run(12)
    with pytest.raises(KeyboardInterrupt):
        search(folder="killed", on_step=lambda step: interrupt(step) if step.attempt > 1 else None, counted=counted).run(12)
    assert search(folder="killed", counted=counted).run(12) == whole
    assert len(counted.kept) == sum(len(attempt.folds) for attempt in whole) + 3


def test_a_finished_study_is_read_and_can_be_extended(search: Callable[..., Search]) -> None:
    first = search().run(3)
    counted = MemoryTrials()
    assert search(counted=counted).run(3) == first
    assert not counted.kept
    assert search().run(5)[:3] == first


def test_what_is_worse_than_the_median_at_a_fold_is_given_up(search: Callable[..., Search]) -> None:
    attempts = search().run(14)
    pruned = [attempt for attempt in attempts if attempt.state == "pruned"]
    assert pruned
    assert all(attempt.number >= UNPRUNED_ATTEMPTS and attempt.value is None and len(attempt.folds) < 3 for attempt in pruned)


def test_a_corner_that_cannot_be_trained_is_kept_with_its_reason_and_the_search_goes_on(search: Callable[..., Search]) -> None:
    counted = MemoryTrials()
    attempts = search(of(Cornered), counted=counted).run(8)
    failed = [attempt for attempt in attempts if attempt.state == "failed"]
    assert failed
    assert all("Diverged" in attempt.reason and attempt.hyperparameters["ridge"] > 4 for attempt in failed)
    assert best_of(attempts, lower_is_better=True).hyperparameters["ridge"] <= 4
    assert sum(kept.status == "failed" for kept in counted.kept.values()) == len(failed)


def test_a_fault_in_the_default_is_not_taken_for_a_corner(search: Callable[..., Search]) -> None:
    with pytest.raises(ZeroDivisionError):
        search(of(Broken)).run(3)


def test_no_attempt_begins_after_the_time_is_over_but_the_default(search: Callable[..., Search]) -> None:
    moments = iter(range(0, 100_000, 7))
    made = search(clock=lambda: float(next(moments)))
    assert len(made.run(10, timeout=0.5)) == 1
    assert made.timed_out


def test_the_same_configuration_is_not_fitted_twice(search: Callable[..., Search]) -> None:
    pair = catalog.pair("price_forecasting-ridge")
    counted = MemoryTrials()
    batch = inner(pair, raw(), first_scored(pair, raw()))
    made = replace(search(), pair=pair, batch=batch, only=("tuned",), trials=lambda _: counted)
    attempts = made.run(6)
    assert len({str(attempt.hyperparameters) for attempt in attempts}) == 2
    assert len(counted.kept) == 6
    assert sum(attempt.repeats is not None for attempt in attempts) == 4


def test_two_processes_do_not_run_one_study(search: Callable[..., Search], tmp_path: Path) -> None:
    with Checkpoints(tmp_path / "study").lease(), pytest.raises(LeaseHeld, match="another process"):
        search().run(2)


def test_too_few_rows_and_nothing_to_search_are_refused(search: Callable[..., Search]) -> None:
    with pytest.raises(FinmlError, match="nothing to search"):
        search(catalog.pair("volatility_forecasting-last_value")).run(2)
    short = search()
    short.batch = short.batch.take(np.arange(40))
    with pytest.raises(DataError, match="no inner folds"):
        short.run(2)
    hungry = PAIR.entry.card.model_copy(update={"training": Training(minimum_samples=10_000, recommended_samples=10_000)})
    with pytest.raises(TooFewSamples, match="longer history than training"):
        search(replace(PAIR, entry=replace(PAIR.entry, card=hungry))).run(2)


def test_studies_that_may_not_be_compared_have_other_names() -> None:
    words: dict[str, Any] = {"snapshot": "a", "before": before(), "config": QUICK, "seed": 0, "only": (), "code_version": "1"}
    changes = {"snapshot": "b", "before": before() + 1, "config": QUICK.model_copy(update={"stride": 2}), "seed": 1, "only": ("ridge",), "code_version": "2"}
    names = {study_id(PAIR, **words), *(study_id(PAIR, **words | {name: value}) for name, value in changes.items())}
    assert len(names) == 1 + len(changes)


def report(*attempts: Attempt) -> TuningReport:
    words: dict[str, Any] = {"study": "s", "task": "t", "entry": "e", "dataset": "d", "snapshot": "x", "profile": "fast", "metric": "qlike", "seed": 0}
    return TuningReport(**words, lower_is_better=True, before="2020-01-01", rows=9, inner_folds=3, attempts=attempts, seconds=1.0)


def test_a_report_says_what_the_best_of_many_is_worth(home: Path) -> None:
    default = Attempt(number=0, hyperparameters={"a": 1, "b": 2}, state="complete", value=1.0)
    tie = Attempt(number=1, hyperparameters={"a": 3, "b": 2}, state="complete", value=1.0)
    better = Attempt(number=2, hyperparameters={"a": 4, "b": 2}, state="complete", value=0.5)
    again = Attempt(number=3, hyperparameters={"a": 4, "b": 2}, state="complete", value=0.5, repeats=2)
    kept = report(default, tie)
    assert (kept.best.number, kept.changes) == (0, {})
    assert "keep the default" in kept.sentence
    chosen = report(default, tie, better, again)
    assert (chosen.best.number, chosen.changes) == (2, {"a": 4})
    assert "best of 3 configurations" in chosen.sentence
    assert "optimistic" in chosen.sentence
    write("run-1", chosen)
    assert read("run-1") == chosen
    with pytest.raises(FinmlError, match="run-1"):
        read("run-2")
