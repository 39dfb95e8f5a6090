"""Small texts and signatures for the tests of text classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.core.texts import Texts

CLASSES = ("negative", "neutral", "positive")
SIGNATURE = Signature(kind=Kind.TEXTS, objective=Objective.CLASSIFY, feature_names=("words",), classes=CLASSES)
UNTRAINED = TrainingConfig(max_epochs=0, calibrate=False, device="cpu")


def texts(written: Sequence[str], labels: Sequence[int] | None = None) -> Texts:
    """Texts a minute apart, each a document of its own."""
    held = np.empty(len(written), object)
    held[:] = list(written)
    times = np.datetime64("2020-01-01", "us") + np.arange(len(written)) * np.timedelta64(1, "m")
    target = None if labels is None else np.array(labels, np.float32)[:, None]
    return Texts(held, times, np.array([f"d{i:04d}" for i in range(len(written))]), target)


def signed(count: int, seed: int = 0) -> Texts:
    """Sentences whose sign is that of the quantity times that of the verb: no word means anything alone."""
    rng = np.random.default_rng(seed)
    nouns, verbs = {"profit": 1, "revenue": 1, "costs": -1, "debt": -1}, {"rose": 1, "climbed": 1, "fell": -1, "slid": -1}
    chosen = [(str(rng.choice(list(nouns))), str(rng.choice(list(verbs)))) for _ in range(count)]
    return texts([f"{noun} of the company {verb}" for noun, verb in chosen], [1 + nouns[noun] * verbs[verb] for noun, verb in chosen])
