"""Planted leaks are found and named; honest features pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from pandas.api.typing import DataFrameGroupBy

from finml_models.core import catalog
from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.core.spec import Kind
from finml_models.core.task import Task
from finml_models.datasets.market import synthetic
from finml_models.evaluation.audit import truncation_audit

Change = Callable[[DataFrameGroupBy], pd.Series]
VOLATILITY = catalog.task("volatility_forecasting")


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return synthetic.random_walk(np.random.default_rng(5), entities=2, sessions=400)


def leaking(column: str, change: Change) -> Task:
    class Leaking(VOLATILITY):
        def features(self, raw: pd.DataFrame) -> pd.DataFrame:
            x = super().features(raw)
            return x.assign(**{column: change(x.groupby("entity")[column])})

    return Leaking()


def test_the_task_as_it_is_passes(raw: pd.DataFrame) -> None:
    audit = truncation_audit(VOLATILITY(), raw)
    assert audit.passed, audit.leaks
    assert len(audit.cuts) == 10
    assert audit.compared > 30_000


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("return_d", lambda by: by.transform(lambda s: s.rolling(5, center=True).mean())),
        ("log_var_d", lambda by: by.transform(lambda s: (s - s.mean()) / s.std())),
        ("log_var_w", lambda by: by.transform(lambda s: s.mask(s.index % 7 == 0).bfill())),
        ("falls_w", lambda by: by.shift(-1)),
        ("log_var_m", lambda by: by.transform(lambda s: s.rank(pct=True))),
    ],
    ids=["a centred window", "a scaler fitted on the whole sample", "a backward fill", "tomorrow's value", "ranks over the whole sample"],
)
def test_a_planted_leak_in_the_features_is_named(raw: pd.DataFrame, column: str, change: Change) -> None:
    audit = truncation_audit(leaking(column, change), raw)
    assert not audit.passed
    assert {("features", column)} <= {(leak.stage, leak.column) for leak in audit.leaks}
    assert column in str(audit.leaks[0])


def test_a_leak_in_a_view_alone_is_named(raw: pd.DataFrame) -> None:
    class Leaking(VOLATILITY):
        def table(self, x: pd.DataFrame, y: pd.DataFrame | None = None) -> Table:
            return super().table(x.assign(return_d=(x["return_d"] - x["return_d"].mean()) / x["return_d"].std()), y)

    audit = truncation_audit(Leaking(), raw)
    assert {(leak.stage, leak.column) for leak in audit.leaks} == {(f"view {Kind.TABLE}", "return_d")}


def test_a_target_that_ends_later_than_it_says_is_found(raw: pd.DataFrame) -> None:
    class Leaking(VOLATILITY):
        def target(self, raw: pd.DataFrame) -> pd.DataFrame:
            y = super().target(raw)
            return y.assign(until=y["time"] + pd.Timedelta(days=1))

    assert ("target", "rows") in {(leak.stage, leak.column) for leak in truncation_audit(Leaking(), raw).leaks}


def test_too_short_data_cannot_be_audited(raw: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="longer history"):
        truncation_audit(VOLATILITY(), raw.groupby("entity").head(80).reset_index(drop=True))
