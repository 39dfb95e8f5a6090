"""The subjects of the conformance suites, found through the catalogue, and small seeded data for them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pandas as pd
import pytest

from finml_models.core import catalog
from finml_models.core.batches import Batch
from finml_models.core.catalog import Pair
from finml_models.core.estimator import Estimator, Signature, TrainingConfig
from finml_models.core.task import Task
from finml_models.evaluation import splits

QUICK = TrainingConfig(max_epochs=2, batch_size=128, stride=3, learning_rate=5e-3, device="cpu")

BUILT: list[type[Task]] = [task for task in catalog.tasks().values() if not inspect.isabstract(task)]
PAIRS: list[Pair] = [pair for task in BUILT for pair in catalog.contenders(task.id())]
# An estimator is held to its laws once, on the first task that it fits.
ESTIMATORS: list[Pair] = list({pair.entry.id: pair for pair in reversed(PAIRS)}.values())

every_task = pytest.mark.parametrize("task", BUILT, ids=lambda task: task.id())
every_pair = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.id)
every_estimator = pytest.mark.parametrize("pair", ESTIMATORS, ids=lambda pair: pair.entry.id)
every_seeded_estimator = pytest.mark.parametrize("pair", [p for p in ESTIMATORS if p.entry.estimator().seeded], ids=lambda pair: pair.entry.id)


CASES = {module.name: import_module(f"cases.{module.name}") for module in iter_modules([str(Path(__file__).parent / "cases")])}
"""Small seeded data a source (`Task.source`): `raw()` and `request(frame, sessions)`. A new kind of data adds its file in `cases`."""
REQUESTS = {name: case.request for name, case in CASES.items()}
"""A good request from raw rows, a source of data."""


@cache
def raw(source: str) -> pd.DataFrame:
    """The small raw frame of a source; callers must not change it."""
    return CASES[source].raw()


@dataclass(frozen=True)
class Sample:
    """A pair's batch, cut into a training, a validation and a test part."""

    pair: Pair
    batch: Batch
    train: Batch
    valid: Batch
    test: Batch
    signature: Signature

    def build(self, config: TrainingConfig = QUICK, **hyperparameters: Any) -> Estimator[Any]:
        """A fresh estimator of the pair."""
        chosen = self.pair.entry.card.hyperparameters.model_validate(hyperparameters)
        return self.pair.entry.estimator()(chosen, self.signature, config)

    def fitted(self, config: TrainingConfig = QUICK) -> Estimator[Any]:
        """A quickly trained estimator of the pair."""
        return self.build(config).fit(self.train, self.valid)


@cache
def sample(pair: Pair) -> Sample:
    """Small data for a pair, by way of its task."""
    task = pair.task()
    rows = raw(task.source())
    batch = task.view(pair.kind, task.features(rows), task.target(rows))
    folds = splits.of_task(pair.task, batch)
    # Fitted once, before the first fold: enough dates to judge, at the cost of one fit.
    parts = (batch.take(part) for part in (folds[0].train, folds[0].valid, np.concatenate([fold.test for fold in folds])))
    return Sample(pair, batch, *parts, task.signature(batch))


@cache
def fitted(pair: Pair) -> Estimator[Any]:
    """One trained estimator a pair, for laws that do not change it."""
    return sample(pair).fitted()


def take(batch: Batch, rows: Any) -> Batch:
    """Rows of a batch by a slice or a list."""
    return batch.take(np.arange(len(batch), dtype=np.int64)[rows])
