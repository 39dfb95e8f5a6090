"""Nothing is scored that was not counted before it began."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from finml_models.core.errors import Conflict, DataError
from finml_models.evaluation.trials import MemoryTrials, Scored, Trial


def predictions(point: float = 0.5) -> pd.DataFrame:
    return pd.DataFrame({"target": [0.0, 1.0, 2.0], "point": [point, 1.0, 1.0]})


def test_a_trial_is_counted_before_the_fit_and_keeps_its_score() -> None:
    trials = MemoryTrials()
    with trials.open(0, 3) as trial:
        assert [(kept.fold, kept.seed, kept.status) for kept in trials.kept.values()] == [(0, 3, "running")]
        scored = trial.score(predictions(), "log_variance_mse")
    assert trials.kept[scored.trial].status == "finished"
    assert trials.kept[scored.trial].result is scored
    assert scored.value == pytest.approx(np.mean([0.25, 0.0, 1.0]))
    assert scored.variance == pytest.approx(np.var([0.25, 0.0, 1.0]))


def test_neither_a_score_nor_a_trial_can_be_made_by_hand() -> None:
    with pytest.raises(TypeError, match=r"trials\.open"):
        Trial(object(), "mine")
    with pytest.raises(TypeError, match="only an open trial scores"):
        Scored(object(), "mine", predictions(), "qlike", 0.0, 0.0, 3)
    with MemoryTrials().open(0, 0) as trial:
        scored = trial.score(predictions(), "log_variance_mse")
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(scored, value=0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        scored.value = 0.0  # type: ignore[misc]  # that it is refused is what is tested


def test_a_trial_is_scored_once_and_only_while_it_is_open() -> None:
    with MemoryTrials().open(0, 0) as trial:
        trial.score(predictions(), "log_variance_mse")
        with pytest.raises(Conflict, match="scored already"):
            trial.score(predictions(0.1), "log_variance_mse")
    with pytest.raises(Conflict, match="has ended"):
        trial.score(predictions(), "log_variance_mse")


def test_a_failed_fit_counts_and_its_trial_is_closed() -> None:
    trials = MemoryTrials()
    with pytest.raises(ZeroDivisionError), trials.open(1, 0) as trial:
        raise ZeroDivisionError("no")
    (kept,) = trials.kept.values()
    assert (kept.status, kept.error, kept.result) == ("failed", "ZeroDivisionError: no", None)
    with pytest.raises(Conflict, match="has ended"):
        trial.score(predictions(), "log_variance_mse")


def test_predictions_that_are_not_finite_are_a_failed_trial() -> None:
    trials = MemoryTrials()
    with pytest.raises(DataError), trials.open(0, 0) as trial:
        trial.score(predictions(float("nan")), "log_variance_mse")
    assert [kept.status for kept in trials.kept.values()] == ["failed"]
