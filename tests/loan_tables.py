"""Small tables of loans, and tables whose answer is known, for the tests of classifiers."""

from __future__ import annotations

from functools import cache

import numpy as np

from finml_models.core.batches import Table
from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.datasets.loans.synthetic import generate
from finml_models.tasks.credit_risk import CreditRisk


@cache
def loans(rows: int = 6_000, seed: int = 1) -> tuple[Table, Signature, np.ndarray]:
    """A table of loans whose outcome is known, its signature, and the true probability of each row."""
    simulated, task = generate(seed=seed, loans=rows, months=48), CreditRisk()
    table = task.table(task.features(simulated.frame), task.target(simulated.frame))
    truth = simulated.truth.set_index("entity")["p1"].loc[table.entities].to_numpy()
    return table, task.signature(table), truth


def parts(table: Table, shares: tuple[float, ...] = (0.6, 0.2, 0.2)) -> list[Table]:
    """The rows in order, cut into parts of these shares."""
    cuts = (np.cumsum(shares)[:-1] * len(table)).astype(int)
    return [table.take(rows) for rows in np.split(np.arange(len(table)), cuts)]


def made(
    values: np.ndarray, target: np.ndarray, codes: np.ndarray | None = None, sizes: tuple[int, ...] = (), signs: tuple[int, ...] = ()
) -> tuple[Table, Signature]:
    """A table of these arrays with two classes."""
    n, width = values.shape
    names = tuple(f"x{i}" for i in range(width))
    table = Table(
        values=values.astype(np.float32),
        columns=names,
        times=np.full(n, np.datetime64("2020-01-01", "us")),
        entities=np.array([f"E{i:06d}" for i in range(n)]),
        target=target.astype(np.float32)[:, None],
        until=np.full(n, np.datetime64("2021-01-01", "us")),
        codes=codes,
    )
    signature = Signature(
        kind=Kind.TABLE,
        objective=Objective.CLASSIFY,
        feature_names=names,
        classes=("repaid", "default"),
        category_names=tuple(f"c{i}" for i in range(len(sizes))),
        category_sizes=sizes,
        monotone=signs,
    )
    return table, signature
