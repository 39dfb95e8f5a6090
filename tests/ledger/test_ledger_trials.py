"""Every fit that is scored is a row of the ledger, written before it began."""

from __future__ import annotations

import pandas as pd
import pytest
from ledger_rows import TRIAL

from finml_ledger import Ledger, Status
from finml_ledger.trials import LedgerTrials
from finml_models.core.errors import Diverged

FACTS = {name: value for name, value in TRIAL.items() if name not in {"fold", "seed"}}


def predictions() -> pd.DataFrame:
    return pd.DataFrame({"target": [0.0, 1.0, 2.0], "point": [0.5, 1.0, 1.0]})


def test_a_scored_fit_is_kept_with_its_variance(ledger: Ledger) -> None:
    trials = LedgerTrials(ledger=ledger, metric="log_variance_mse", **FACTS)
    with trials.open(2, 7) as trial:
        (running,) = ledger.trials(status=Status.RUNNING)
        assert (running.id, running.fold, running.seed) == (trial.id, 2, 7)
        scored = trial.score(predictions(), "log_variance_mse")
    (kept,) = ledger.trials(status=Status.FINISHED)
    assert (kept.id, kept.metric, kept.value, kept.variance, kept.samples) == (scored.trial, "log_variance_mse", scored.value, scored.variance, 3)
    assert kept.value == pytest.approx(1.25 / 3)
    assert kept.seconds is not None
    assert kept.seconds >= 0


def test_the_released_fit_ends_without_a_value(ledger: Ledger) -> None:
    with LedgerTrials(ledger=ledger, metric="qlike", **FACTS).open(None, 0):
        pass
    (kept,) = ledger.trials()
    assert (kept.status, kept.fold, kept.value, kept.metric) == (Status.FINISHED, None, None, "qlike")


@pytest.mark.parametrize("error", [Diverged("the loss is NaN in epoch 3"), KeyboardInterrupt()])
def test_a_fit_that_ends_badly_counts_and_says_why(ledger: Ledger, error: BaseException) -> None:
    with pytest.raises(type(error)), LedgerTrials(ledger=ledger, metric="qlike", **FACTS).open(0, 0):
        raise error
    (kept,) = ledger.trials()
    assert kept.status == Status.FAILED
    assert kept.error == f"{type(error).__name__}: {error}"
    assert ledger.count_configurations(FACTS["task"]) == 1
