"""Majority class: every text is what most texts are; what any reader has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.spec import Deployment, Kind, Level, ModelCard, Objective, Training

from .class_prior import ClassPrior, ClassPriorHyperparameters

if TYPE_CHECKING:
    from finml_models.core.batches import Batch

CARD = ModelCard(
    name="Majority class",
    description="The share of each label among the training texts, the same for every text, so that the commonest label is always named: "
    "often right, and worthless by macro-F1.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=ClassPriorHyperparameters,
    strengths=("shows how much of an accuracy is nothing but the commonest label", "calibrated as long as the shares of the labels stay"),
    weaknesses=("reads nothing", "never names any other label"),
    best_for=("the floor under every text classifier",),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=50, recommended_samples=500),
    deployment=Deployment(memory_mb=5),
)


class MajorityClass(ClassPrior):
    """The class prior, of texts."""

    def explain(self, batch: Batch) -> Explanation:
        """No word has a part."""
        part = Attribution("words", (), np.empty((len(batch), 0), np.float32), "what the word adds; there is none, because no text is read")
        return Explanation("shares of the labels among the training texts", "The answer is the same for every text.", (part,))
