"""A fixed request for each use case: small seeded rows of its kind of data, the same in every process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from finml_models.core import catalog
from finml_models.core.asking import as_request

if TYPE_CHECKING:
    from pandas import DataFrame
    from pydantic import BaseModel

ENTITIES = 4


@cache
def request(task: str, assets: tuple[str, ...] = ()) -> BaseModel:
    """The probe of a use case. A version that chooses among certain `assets` is asked about the first of them. Raises `UnknownName`."""
    use_case = catalog.task(task)
    rows = ROWS[use_case.dataset](use_case.history)
    if assets and use_case.dataset == "market":
        rows["entity"] = rows["entity"].map(dict(zip(sorted(rows["entity"].unique()), assets, strict=False)))
        rows = rows.dropna(subset="entity")
    return as_request(use_case, use_case().asked(rows, ENTITIES))


def _market(history: int) -> DataFrame:
    import numpy as np

    from finml_models.datasets.market.synthetic import random_walk

    return random_walk(np.random.default_rng(0), entities=ENTITIES, sessions=history + 60)


def _loans(history: int) -> DataFrame:
    from finml_models.datasets.loans.synthetic import generate

    del history
    return generate(seed=0, loans=200, months=24).frame


def _news(history: int) -> DataFrame:
    from finml_models.datasets.news.synthetic import generate

    del history
    return generate(seed=0, texts=50).frame


def _orders(history: int) -> DataFrame:
    from finml_models.datasets.orders.synthetic import generate

    del history
    return generate(seed=0, orders=20, days=20).frame


def _transactions(history: int) -> DataFrame:
    from finml_models.datasets.transactions.synthetic import generate

    del history
    return generate(seed=0, accounts=20, days=120).frame


ROWS: Mapping[str, Callable[[int], DataFrame]] = {"market": _market, "loans": _loans, "news": _news, "orders": _orders, "transactions": _transactions}
"""Raw rows for so many sessions of history, by kind of data."""
