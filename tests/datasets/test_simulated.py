"""The simulated datasets: the same rows for the same seed, and a truth for every row where one is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finml_models import datasets
from finml_models.datasets.content import content_hash, snapshot_of

SIMULATED = [name for name, spec in datasets.datasets().items() if spec.source == "simulated"]


@pytest.mark.parametrize("name", SIMULATED)
def test_the_same_id_is_the_same_rows(name: str) -> None:
    one, other = datasets.load(name), datasets.load(name)
    pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
    assert one.snapshot == other.snapshot == content_hash(other.frame.sample(frac=1, random_state=0))
    assert one.repairs.counts() == {}


@pytest.mark.parametrize("name", SIMULATED)
def test_one_changed_value_is_another_snapshot(name: str) -> None:
    data = datasets.load(name)
    column = data.frame.select_dtypes("number").columns[0] if len(data.frame.select_dtypes("number").columns) else "text"
    changed = data.frame.copy()
    changed.loc[3, column] = changed.loc[3, column] + (1 if column != "text" else "!")
    assert content_hash(changed) != data.snapshot


@pytest.mark.parametrize("name", SIMULATED)
def test_every_row_has_its_truth_or_none_has(name: str) -> None:
    data = datasets.load(name)
    if data.truth is None:
        pytest.skip("nobody knows the best decision in this market")
    key = ["entity", "time"]
    assert not data.frame[key].merge(data.truth, on=key, how="left").isna().any().any()
    probabilities = data.truth.drop(columns=key).to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-9)


def test_every_kind_of_data_has_a_default_that_loads() -> None:
    for kind, name in datasets.DEFAULTS.items():
        assert replace(datasets.load(name)).spec.kind == kind


@pytest.mark.parametrize("kind", datasets.DEFAULTS)
def test_a_frame_that_was_kept_as_parquet_has_the_snapshot_of_its_dataset(kind: str, tmp_path: Path) -> None:
    data = datasets.load(datasets.DEFAULTS[kind])
    data.frame.to_parquet(tmp_path / "rows.parquet", index=False)
    assert snapshot_of(kind, pd.read_parquet(tmp_path / "rows.parquet")) == data.snapshot
