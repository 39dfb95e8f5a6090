"""Majority class: every text is what most texts are; what any reader has to beat."""

from __future__ import annotations

from finml_models.core.spec import Deployment, Kind, Level, ModelCard, Objective, Training

from .class_prior import ClassPrior, ClassPriorHyperparameters

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
