"""Makes `states`: from out-of-sample predictions the course of regimes, from a fold's fit a picture of its embedding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.regimes import regime_names
from finml_models.core.spec import Objective

from .metrics.returns import YEAR
from .states import MOST_DATES, Embedding, RegimeLaw, States, Stretch

if TYPE_CHECKING:
    from pandas import DataFrame

    from finml_models.core.batches import Batch
    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import Embeds

    from .splits import Fold

Float = NDArray[np.float64]


def states_of(pair: Pair, predictions: DataFrame, embedding: Embedding | None, *, version: str, dataset: str, snapshot: str) -> States | None:
    """The document of a pair, or None where it has neither the regimes of one market nor an embedding. `predictions` are out of sample."""
    followed = pair.task.objective is Objective.REGIMES and len(predictions["entity"].unique()) == 1
    if not followed and embedding is None:
        return None
    seed = int(predictions["seed"].iloc[0])
    own = predictions[predictions["seed"] == seed].sort_values("time", kind="stable")
    shown = own.tail(MOST_DATES)
    return States(
        task=pair.task.id(),
        entry=pair.entry.id,
        version=version,
        dataset=dataset,
        snapshot=snapshot,
        seed=seed,
        regimes=tuple(_stretches(shown)) if followed else (),
        left_out=len(own) - len(shown) if followed else 0,
        embedding=embedding,
    )


def picture(estimator: Embeds, batch: Batch, fold: Fold, seed: int) -> Embedding:
    """Where the fit of a fold puts each date that it has seen, and each that it is scored on. Dates that a purge removed are left out."""
    rows = np.sort(np.concatenate([fold.train, fold.valid, fold.test]))
    held = batch.take(rows)
    days, day = np.unique(held.time, return_inverse=True)
    size = np.bincount(day)
    embedded = np.asarray(estimator.embed(held), np.float64)
    mean = np.zeros((len(days), embedded.shape[1]))
    np.add.at(mean, day, embedded)
    mean /= size[:, None]
    trained = np.isin(days, batch.time[fold.train])
    flat, explained = projected(mean, trained)
    kept = slice(max(len(days) - MOST_DATES, 0), None)
    return Embedding(
        fold=fold.number,
        seed=seed,
        width=embedded.shape[1],
        entities=int(size.max()),
        explained=explained,
        seen=int((days[kept] < fold.test_start).sum()),
        dates=_dates(days[kept]),
        x=_short(flat[kept, 0]),
        y=_short(flat[kept, 1]),
    )


def projected(rows: Float, known: NDArray[np.bool_]) -> tuple[Float, tuple[float, float]]:
    """(n, d) -> (n, 2) along the first two principal components of the known rows, and the share of their variance along each.

    The sign of a component is that of its largest weight, so that one fit has one picture. A single dimension has a flat one.
    """
    centre = rows[known].mean(axis=0)
    variance, axes = np.linalg.eigh(np.atleast_2d(np.cov(rows[known] - centre, rowvar=False, bias=True)))
    axes, variance = axes[:, ::-1][:, :2], np.maximum(variance[::-1], 0.0)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    # Without BLAS, whose order of summation depends on the number of rows: a date is the same whatever came after it.
    flat = np.einsum("nd,dk->nk", rows - centre, axes)
    total = float(variance.sum())
    first, second = (*(variance[:2] / total if total > 0 else variance[:2] * 0.0), 0.0)[:2]
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))), (float(first), float(second))


def _stretches(own: DataFrame) -> Iterator[Stretch]:
    """Fold by fold. A fit that chose fewer regimes than another one has no numbers for the rest."""
    following = own["target"].to_numpy(np.float64)
    # The target is the return that came after the row's date: a date knows those of the rows before it.
    market = np.concatenate([[0.0], np.cumsum(following)[:-1]])
    for fold in own["fold"].unique():
        part = (own["fold"] == fold).to_numpy()
        held = own[part]
        number = sum(1 for i in range(_most(held.columns)) if held[f"p{i}"].notna().all())
        yield Stretch(
            fold=int(fold),
            regimes=tuple(
                RegimeLaw(name=name, volatility=float(held[f"std{i}"].median() * np.sqrt(YEAR)), mean=float(held[f"mean{i}"].median()))
                for i, name in enumerate(regime_names(number))
            ),
            dates=_dates(held["time"].to_numpy()),
            probabilities=tuple(tuple(held[f"p{i}"].astype(np.float64).round(4).tolist()) for i in range(number)),
            market=tuple(market[part].round(5).tolist()),
        )


def _most(columns: Iterable[Any]) -> int:
    return sum(1 for name in map(str, columns) if name[:1] == "p" and name[1:].isdigit())


def _dates(times: NDArray[np.datetime64]) -> tuple[date, ...]:
    return tuple(times.astype("datetime64[D]").tolist())


def _short(values: Float) -> tuple[float, ...]:
    """Five significant digits: more than a picture shows, half of a file's size."""
    return tuple(float(f"{value:.5g}") for value in values)
