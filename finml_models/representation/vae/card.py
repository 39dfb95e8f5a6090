"""Variational autoencoder: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class VAEHyperparameters(Hyperparameters):
    """Size of the latent space, and how strongly it is held to its prior."""

    latent: int = Field(4, ge=1, le=64, description="latent dimensions", json_schema_extra={"scale": "log"})
    hidden: int = Field(64, ge=8, le=512, description="units a hidden layer of encoder and decoder", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=4, description="hidden layers of encoder and decoder")
    beta: float = Field(1.0, ge=0, le=10, description="weight of the KL term; 0 is a plain autoencoder (ablation)")
    annealing_epochs: int = Field(5, ge=0, le=100, description="epochs over which the KL weight rises from 0 to beta")
    free_bits: float = Field(0.05, ge=0, le=2, description="nats a latent dimension that the KL term does not punish")
    variance: Literal["latent", "feature", "one"] = Field(
        "latent", description="the decoder's: of each feature by the latent point (An & Cho 2015), one number a feature, or one for all"
    )
    samples: int = Field(16, ge=1, le=128, description="fixed latent points in the reconstruction probability; 1 is the posterior's mean")
    half_life: float = Field(
        3.0, ge=0.5, le=10_000, description="rows back at which a row's weight in the loss is half the newest's; 10000 weighs all alike (ablation)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of units dropped in the hidden layers")
    max_regimes: int = Field(4, ge=2, le=8, description="largest number of regimes tried on the training data")


CARD = ModelCard(
    name="Variational autoencoder",
    description="Encodes a window as a Gaussian in a small latent space and decodes it with an explicit variance: clusters of the mean "
    "are regimes, an improbable reconstruction is an anomaly.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.REGIMES, Objective.SCORE}),
    hyperparameters=VAEHyperparameters,
    ablations={"autoencoder": {"beta": 0.0}},
    strengths=(
        "Needs no labels.",
        "The score is a probability under a stated variance, and splits by feature and row into what was improbable.",
        "A smooth latent space in which windows can be compared and drawn.",
    ),
    weaknesses=(
        "Posterior collapse: with a strong KL term latent dimensions go unused; annealing and free bits only soften that.",
        "Reconstructs frequent anomalies well when the training data holds them, and then misses them.",
        "Clusters of the latent mean ignore time: a hidden Markov model knows that regimes persist.",
        "Linear PCA is a strong rival on windows of returns.",
    ),
    best_for=("regimes without labels", "anomalies in several features at once", "embeddings to look at"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=1_000, recommended_samples=20_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(title="Auto-Encoding Variational Bayes", year=2014, link="https://arxiv.org/abs/1312.6114"),
        Paper(
            title="beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
            year=2017,
            link="https://openreview.net/forum?id=Sy2fzU9gl",
        ),
        Paper(title="Generating Sentences from a Continuous Space", year=2016, link="https://arxiv.org/abs/1511.06349"),
    ),
    implementation="https://github.com/pytorch/examples/tree/main/vae",
)
