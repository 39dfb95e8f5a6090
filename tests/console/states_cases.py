"""Releases of regime and anomaly detection with states by date of a few sessions, as the pipeline leaves them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from console_cases import release

from finml_ledger import Ledger, Slot
from finml_models.core.regimes import regime_names
from finml_models.evaluation.states import STATES_JSON, Embedding, RegimeLaw, States, Stretch

REGIMES, ANOMALIES = "regime_detection", "anomaly_detection"
VAE, GCN, HMM, EARLIER, AUTOENCODER = (
    Slot(entry="vae", version="v1"),
    Slot(entry="gcn", version="c1"),
    Slot(entry="gaussian_hmm", version="m1"),
    Slot(entry="kmeans", version="k0"),
    Slot(entry="denoising_autoencoder", version="a1"),
)
START = date(2018, 1, 1)
SNAPSHOT = "d" * 64
"""Of the data that `console_cases.report` names."""


def days(first: int, number: int) -> tuple[date, ...]:
    return tuple(START + timedelta(first + i) for i in range(number))


def stretch(fold: int, first: int, labels: list[int], number: int = 2) -> Stretch:
    """A fold in which the labelled regime of each date has nine tenths."""
    rest = 0.1 / (number - 1)
    return Stretch(
        fold=fold,
        regimes=tuple(RegimeLaw(name=name, volatility=0.1 * (i + 1), mean=0.001) for i, name in enumerate(regime_names(number))),
        dates=days(first, len(labels)),
        probabilities=tuple(tuple(0.9 if label == i else rest for label in labels) for i in range(number)),
        market=tuple(0.01 * (first + i) for i in range(len(labels))),
    )


def embedding(first: int, seen: int, number: int, entities: int = 1) -> Embedding:
    place = tuple(float(i) for i in range(number))
    return Embedding(
        fold=1, seed=0, width=8, entities=entities, explained=(0.6, 0.2), seen=seen, dates=days(first, number), x=place, y=tuple(-one for one in place)
    )


def states(task: str, slot: Slot, regimes: tuple[Stretch, ...], picture: Embedding | None, snapshot: str = SNAPSHOT) -> States:
    return States(task=task, entry=slot.entry, version=slot.version, dataset="us_market", snapshot=snapshot, seed=0, regimes=regimes, embedding=picture)


def keep(ledger: Ledger, home: Path, slot: Slot, document: States, **facts: Any) -> None:
    """A release with its states beside its report."""
    release(ledger, home, slot, task=document.task, **facts)
    (home / "reports" / document.task / slot.entry / slot.version / STATES_JSON).write_text(document.model_dump_json())


def keep_vae(ledger: Ledger, home: Path, **facts: Any) -> None:
    """Turbulent since the sixth of ten days; the embedding of the last five it had not seen."""
    courses = (stretch(0, 0, [0, 0, 0, 1]), stretch(1, 4, [0, 1, 1, 2, 2, 2], number=3))
    keep(ledger, home, VAE, states(REGIMES, VAE, courses, embedding(-10, 15, 20)), **facts)
