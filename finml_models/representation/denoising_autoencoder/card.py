"""Denoising autoencoder: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class DenoisingAutoencoderHyperparameters(Hyperparameters):
    """Size of the bottleneck, and what is done to the input while training."""

    bottleneck: int = Field(8, ge=1, le=128, description="units of the code", json_schema_extra={"scale": "log"})
    hidden: int = Field(64, ge=8, le=512, description="units a hidden layer of encoder and decoder", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=4, description="hidden layers of encoder and decoder")
    corruption: Literal["gaussian", "masking", "block"] = Field("masking", description="added noise, single masked values, or masked runs of rows")
    corruption_level: float = Field(
        0.2, ge=0, le=0.9, description="standard deviation of the noise in units of the input's, or share of values masked; 0 is none (ablation)"
    )
    half_life: float = Field(
        3.0, ge=0.5, le=10_000, description="rows back at which a row's weight in the loss is half the newest's; 10000 weighs all alike (ablation)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of units dropped in the hidden layers")


CARD = ModelCard(
    name="Denoising autoencoder",
    description="Learns to give back the clean window from a corrupted copy; what it cannot give back at inference, without corruption, "
    "is scored as anomalous.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.SCORE}),
    hyperparameters=DenoisingAutoencoderHyperparameters,
    ablations={"no_corruption": {"corruption_level": 0.0}},
    strengths=(
        "Corruption keeps it from copying its input, so the code has to hold what the features have in common.",
        "The error splits by feature and row, which says where the anomaly is.",
        "Needs no labels and trains in minutes on a CPU.",
    ),
    weaknesses=(
        "The score is an error, not a probability: its threshold is only as good as the training period.",
        "Quiet anomalies such as stale prices reconstruct easily.",
        "At the same bottleneck PCA can be as good; the report says so when it is.",
        "What is frequent in training counts as normal, anomalies included.",
    ),
    best_for=("spikes, level shifts and decoupling in several features", "cleaning noisy inputs"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(title="Extracting and Composing Robust Features with Denoising Autoencoders", year=2008, link="https://doi.org/10.1145/1390156.1390294"),
        Paper(
            title="Stacked Denoising Autoencoders: Learning Useful Representations in a Deep Network with a Local Denoising Criterion",
            year=2010,
            link="https://jmlr.org/papers/v11/vincent10a.html",
        ),
    ),
)
