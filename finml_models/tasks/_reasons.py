"""Reason codes: what sets a case apart from the typical one, for any model that answers with probabilities.

Only `predict` is needed. The effect of a factor, a few inputs that mean one thing, is the mean of two differences in log odds:
what the case loses when the factor is set to its typical value, and what the typical case gains when it takes the case's value.
For a model whose factors act alone or in pairs that mean is the Shapley value of the factor exactly (a 2-additive game: Grabisch,
Fuzzy Sets and Systems 92, 1997), and it costs two predictions a factor where Shapley's sum runs over all subsets. Inputs
that must change together, such as the number of late payments and the time since the last one, belong into one factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from finml_models.core.batches import Table
    from finml_models.core.predictions import Probabilities

    Predict = Callable[[Table], Probabilities]
    Float = NDArray[np.float64]

MOST_REASONS = 4
"""More "is not likely to be helpful to the applicant": official interpretation of Regulation B, 12 CFR 1002.9(b)(2), comment 1."""
LEAST_EFFECT = 0.02
"""Log odds below which a factor is no reason: a fiftieth of the odds."""
LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class Factor:
    """Inputs that mean one thing: positions of numbers and of categories in a table."""

    name: str
    numbers: tuple[int, ...] = ()
    categories: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """The position of a factor, and what it adds to the log odds of the class over the typical case."""

    factor: int
    log_odds: float


def effects(
    predict: Predict, batch: Table, reference: Mapping[str, NDArray[Any]], factors: Sequence[Factor], *, positive: int = 1
) -> tuple[Float, Float, float]:
    """What each factor adds to the log odds of class `positive`, (n, factors); the log odds of the rows, (n,), and of the typical case.

    `reference` holds the typical case, as an artifact's does: `middle` (f,) of the numbers, NaN where a number is typically missing,
    and `common` (c,) of the categories. Raises `KeyError` where it holds none.
    """
    import numpy as np

    rows = replace(batch, target=None, until=None)
    usual = replace(
        rows,
        values=np.broadcast_to(reference["middle"].astype(np.float32), rows.values.shape),
        codes=None if rows.codes is None else np.broadcast_to(reference["common"].astype(np.int64), rows.codes.shape),
    )
    without = [_taking(rows, usual, factor) for factor in factors]
    alone = [_taking(usual, rows, factor) for factor in factors]
    stacked = rows
    for part in (*without, *alone, usual.take(np.zeros(1, np.int64))):
        stacked = stacked.join(part)
    p = np.clip(predict(stacked).values[:, positive].astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    n, width = len(rows), len(factors)
    whole, rest, single, base = np.split(np.log(p) - np.log1p(-p), [n, n * (1 + width), n * (1 + 2 * width)])
    last_out = whole[:, None] - rest.reshape(width, n).T
    first_in = single.reshape(width, n).T - base
    return (last_out + first_in) / 2, whole, float(base[0])


def reasons(
    predict: Predict, batch: Table, reference: Mapping[str, NDArray[Any]], factors: Sequence[Factor], *, positive: int = 1, most: int = MOST_REASONS
) -> tuple[tuple[Reason, ...], ...]:
    """At most `most` reasons for each row, strongest first, why its probability lies above, or below, that of the typical case.

    All reasons of a row point the way in which it differs: what pulls the other way is no reason for what came out.
    """
    import numpy as np

    if not len(batch):
        return ()
    values, whole, base = effects(predict, batch, reference, factors, positive=positive)
    pull = values * np.where(whole >= base, 1.0, -1.0)[:, None]
    order = np.argsort(-pull, axis=1, kind="stable")[:, :most]
    return tuple(tuple(Reason(int(j), float(values[i, j])) for j in row if pull[i, j] >= LEAST_EFFECT) for i, row in enumerate(order))


def _taking(batch: Table, other: Table, factor: Factor) -> Table:
    """The batch with one factor taken from another of the same length."""
    values, numbers, categories = batch.values.copy(), list(factor.numbers), list(factor.categories)
    values[:, numbers] = other.values[:, numbers]
    codes = None if batch.codes is None else batch.codes.copy()
    if codes is not None and other.codes is not None:
        codes[:, categories] = other.codes[:, categories]
    return replace(batch, values=values, codes=codes)
