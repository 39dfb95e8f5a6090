"""Random score: a number that knows nothing; what any detector of anomalies has to beat."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._alarms import Detector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Windows


class RandomScoreHyperparameters(Hyperparameters):
    """Nothing to choose."""


CARD = ModelCard(
    name="Random score",
    description="A uniform number for each asset and session, drawn from a hash of both: its PR-AUC is the share of anomalous sessions, and under "
    "point adjustment it would look like a good detector, which is why nothing here is adjusted.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.SCORE}),
    hyperparameters=RandomScoreHyperparameters,
    strengths=("shows what a score without any knowledge is worth", "raises exactly as many alarms as planned"),
    weaknesses=("finds nothing", "another seed, another ranking"),
    best_for=("the floor under every detector",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=500),
    deployment=Deployment(memory_mb=5),
    references=(Paper(title="Towards a Rigorous Evaluation of Time-Series Anomaly Detection", year=2022, link="https://arxiv.org/abs/2109.05257"),),
)


class RandomScore(Detector[RandomScoreHyperparameters]):
    """hash(entity, time, seed) / 2⁶⁴: the same row has the same score alone and among others."""

    seeded = True

    seed: NDArray[np.uint64]

    def learn(self, known: Windows) -> None:
        del known
        self.seed = np.array([self.config.seed], np.uint64)

    def score(self, batch: Windows) -> NDArray[np.float64]:
        names, place = np.unique(batch.entity, return_inverse=True)
        name = np.array([zlib.crc32(str(one).encode()) for one in names], np.uint64)[place]
        day = batch.time.astype("datetime64[D]").astype(np.int64).astype(np.uint64)
        return mixed(mixed(mixed(name) ^ day) ^ self.seed) / 2.0**64

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "seed": self.seed}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.seed = state["seed"]


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014): every bit depends on every bit."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
