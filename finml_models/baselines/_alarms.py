"""What the baselines of anomaly scores share: windows in, a score of the newest session and the threshold of alarms out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from finml_models.core.batches import Windows
from finml_models.core.estimator import Estimator, H, OnProgress, Progress, ignore
from finml_models.core.predictions import AnomalyScores
from finml_models.training.alarms import alarm_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

MOST_ROWS = 20_000
"""Rows that a threshold is read from: of one in a hundred there are still two hundred."""
CHUNK = 4096
ALARM = "alarm_threshold"


class Detector(Estimator[H]):
    """`learn` from rows whose labels nobody reads, then `score`; a higher score is stranger."""

    seeded = False

    threshold: NDArray[np.float32]

    @abstractmethod
    def learn(self, known: Windows) -> None:
        """Estimate whatever `score` needs."""

    @abstractmethod
    def score(self, batch: Windows) -> NDArray[np.float64]:
        """(n,) score of the newest session of each window."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts, as nothing here is stopped early, and set the threshold on them."""
        known = windows(train.join(valid))
        self.learn(known)
        scores = self.score(known.take(spread(len(known), MOST_ROWS)))
        self.threshold = np.array([alarm_threshold(scores, self.signature.alarm_rate)], np.float32)
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=float(scores.mean()), seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> AnomalyScores:
        score = self.score(windows(batch)).astype(np.float32)
        return AnomalyScores(score, np.broadcast_to(self.threshold, score.shape).copy())

    def state(self) -> Mapping[str, NDArray]:
        return {ALARM: self.threshold}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.threshold = state[ALARM]


def windows(batch: Batch) -> Windows:
    """The batch, as the windows that it has to be."""
    if not isinstance(batch, Windows):
        raise TypeError(f"batch: scores of anomalies read windows, not {type(batch).__name__}")
    return batch


def spread(rows: int, most: int) -> NDArray[np.int64]:
    """At most `most` of so many rows, evenly spread, so that none of the time is left out."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))


def newest(batch: Windows, sessions: int) -> NDArray[np.float32]:
    """The last sessions of each window, oldest first. Shape: (n, sessions, f)."""
    steps = np.arange(1 - sessions, 1)
    values: NDArray[np.float32] = batch.panel[batch.series[:, None], batch.end[:, None] + steps]
    return values
