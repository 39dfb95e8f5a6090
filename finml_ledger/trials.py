"""Trials that the ledger counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finml_models.evaluation.trials import Scored, Trials

from .ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class LedgerTrials(Trials):
    """The fits of one configuration of a pair, each a row of `ledger`. `metric` is the task's first."""

    ledger: Ledger
    task: str
    entry: str
    metric: str
    config_hash: str
    hyperparameters: Mapping[str, Any]
    config: Mapping[str, Any]
    data_snapshot: str
    code_version: str
    fingerprint_id: str
    run_id: str | None = None

    def _start(self, fold: int | None, seed: int) -> str:
        return self.ledger.start_trial(
            task=self.task,
            entry=self.entry,
            fold=fold,
            seed=seed,
            config_hash=self.config_hash,
            hyperparameters=self.hyperparameters,
            config=self.config,
            data_snapshot=self.data_snapshot,
            code_version=self.code_version,
            fingerprint_id=self.fingerprint_id,
            run_id=self.run_id,
        )

    def _finish(self, trial: str, result: Scored | None, seconds: float) -> None:
        if result is None:
            self.ledger.finish_trial(trial, metric=self.metric, seconds=seconds)
        else:
            self.ledger.finish_trial(trial, metric=result.metric, value=result.value, variance=result.variance, samples=result.samples, seconds=seconds)

    def _fail(self, trial: str, error: BaseException) -> None:
        self.ledger.fail_trial(trial, f"{type(error).__name__}: {error}")
