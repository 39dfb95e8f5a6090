"""A policy asked about some of the assets that it learned to choose among."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from finml_models.core import artifact, catalog, serving
from finml_models.core.artifact import Artifact
from finml_models.core.asking import as_request
from finml_models.datasets.market.synthetic import random_walk

PAIR = catalog.pair("portfolio_allocation-equal_weight")


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return random_walk(np.random.default_rng(3), entities=6, sessions=700)


@pytest.fixture(scope="module")
def saved(raw: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    task = PAIR.task()
    features = task.features(raw)
    batch = task.view(PAIR.kind, features, task.target(raw))
    rows = np.arange(len(batch))
    estimator = PAIR.entry.estimator()(PAIR.entry.card.hyperparameters(), task.signature(batch))
    estimator.fit(batch.take(rows[:-20]), batch.take(rows[-20:]))
    known = serving.reference(task, batch, features)
    folder = artifact.save(tmp_path_factory.mktemp("artifact"), estimator, task=PAIR.task.id(), entry=PAIR.entry.id, fingerprint={}, reference=known)
    return artifact.load(folder)


@pytest.mark.parametrize("count", [3, 6])
def test_weights_are_among_the_assets_that_were_asked_about(saved: Artifact, raw: pd.DataFrame, count: int) -> None:
    names = sorted(raw["entity"].unique())[:count]
    task = PAIR.task()
    answer = serving.answer(saved, as_request(PAIR.task, task.asked(raw[raw["entity"].isin(names)], count)))
    weights = {one.entity: one.weight for one in answer.weights if one.weight}
    assert set(weights) == set(names)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert not [said for said in answer.warnings if any(f"{other}:" in said for other in set(raw["entity"].unique()) - set(names))]
