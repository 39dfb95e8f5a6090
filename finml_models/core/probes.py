"""Made-up batches that an estimator of some signature can read: to compare two ways of answering, not to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import Table, Windows
from .errors import DataError
from .graphs import WHOLE, Edges, Graphs
from .spec import Kind, Objective
from .texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .batches import Float
    from .estimator import Signature

NODES = 5
"""Nodes of a made-up snapshot."""
LONGEST_TEXT = 400
"""Words of a made-up text at most."""


def probe(signature: Signature, reference: Mapping[str, NDArray[Any]], rows: int, *, seed: int = 0) -> Table | Windows | Graphs | Texts:
    """A batch of `rows` rows whose numbers are drawn evenly from the ranges that training saw (`serving.training_range`).

    Inputs known ahead and statics, which have no range on record, are standard normal. Raises `DataError` for a kind that is acted in.
    """
    rng = np.random.default_rng((seed, rows))
    times = np.datetime64("2020-01-01", "us") + np.arange(signature.length + rows) * np.timedelta64(1, "D")
    names = np.array([f"probe {i}" for i in range(rows)])
    if signature.kind is Kind.TABLE:
        codes = np.stack([rng.integers(0, size + 1, rows) for size in signature.category_sizes], axis=1) if signature.category_sizes else None
        return Table(_within(reference, (rows,), rng), signature.feature_names, times[:rows], names, codes=codes)
    if signature.kind is Kind.WINDOWS:
        return _windows(signature, reference, times[: signature.length], names, rng)
    if signature.kind is Kind.GRAPHS:
        return _graphs(signature, reference, times, rows, rng)
    if signature.kind is Kind.TEXTS:
        most = max(1, int(np.nan_to_num(reference["high"][0], nan=1, posinf=1, neginf=1)))
        texts = np.array([_text(int(rng.integers(1, min(most, LONGEST_TEXT) + 1)), rng) for _ in range(rows)], object)
        return Texts(texts, times[:rows], names)
    raise DataError(f"kind {signature.kind.value}: a policy is asked by its environment; there are no rows to make up")


def _within(reference: Mapping[str, NDArray[Any]], shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    low, high = reference["low"], reference["high"]
    known = np.isfinite(low) & np.isfinite(high)
    least, most = np.where(known, low, np.nan), np.where(known, high, np.nan)
    found: Float = (least + (most - least) * rng.random((*shape, len(low)))).astype(np.float32)
    return found


def _windows(
    signature: Signature, reference: Mapping[str, NDArray[Any]], times: NDArray[np.datetime64], names: NDArray[np.str_], rng: np.random.Generator
) -> Windows:
    rows, length = len(names), signature.length
    ahead = max(signature.horizons, default=0)
    return Windows(
        panel=_within(reference, (rows, length), rng),
        times=np.broadcast_to(times, (rows, length)),
        entities=names,
        series=np.arange(rows),
        end=np.full(rows, length - 1),
        length=length,
        static=rng.standard_normal((rows, len(signature.static_names)), np.float32) if signature.static_names else None,
        known=rng.standard_normal((rows, length + ahead, len(signature.known_names)), np.float32) if signature.known_names else None,
    )


def _graphs(signature: Signature, reference: Mapping[str, NDArray[Any]], times: NDArray[np.datetime64], rows: int, rng: np.random.Generator) -> Graphs:
    """A row a date, each date with a graph of its own; whole snapshots where regimes are asked for."""
    dates = max(signature.length, 1) - 1 + rows
    edges = [_edges(rng) for _ in range(dates)]
    whole = signature.objective is Objective.REGIMES
    return Graphs(
        nodes=_within(reference, (dates, NODES), rng),
        present=np.ones((dates, NODES), bool),
        times=times[:dates],
        entities=np.array([f"node {i}" for i in range(NODES)]),
        edges=Edges(
            offsets=np.cumsum([0, *(len(source) for source, _, _ in edges)]),
            source=np.concatenate([source for source, _, _ in edges]),
            target=np.concatenate([target for _, target, _ in edges]),
            weight=np.concatenate([weight for _, _, weight in edges]),
            stamped=times[:dates],
        ),
        graph=np.arange(dates),
        snapshot=np.arange(dates - rows, dates),
        node=np.full(rows, WHOLE) if whole else rng.integers(0, NODES, rows),
        length=signature.length,
        whole="market" if whole else "",
    )


def _edges(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:
    one, other = np.triu_indices(NODES, 1)
    kept = rng.random(len(one)) < 0.5
    kept[0] = True
    weight = rng.uniform(-1, 1, int(kept.sum())).astype(np.float32)
    return np.concatenate([one[kept], other[kept]]), np.concatenate([other[kept], one[kept]]), np.concatenate([weight, weight])


def _text(words: int, rng: np.random.Generator) -> str:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return " ".join("".join(rng.choice(letters, int(rng.integers(1, 9)))) for _ in range(words))
