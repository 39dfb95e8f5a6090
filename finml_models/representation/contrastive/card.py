"""Contrastive representation: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class ContrastiveHyperparameters(Hyperparameters):
    """Size of the causal dilated encoder, and what it is asked to tell apart."""

    representation: int = Field(16, ge=8, le=320, description="dimensions of the representation; the paper's are 320", json_schema_extra={"scale": "log"})
    hidden: int = Field(16, ge=8, le=64, description="channels of the dilated convolutions; the paper's are 64", json_schema_extra={"scale": "log"})
    blocks: int = Field(
        4, ge=1, le=8, description="residual blocks; block i dilates by 2^i, so that 4 read 61 rows and 6 all that a window of 250 has; the paper's are 10"
    )
    pool: int = Field(5, ge=1, le=512, description="newest rows whose representations are max-pooled into the window's; 1 is the newest alone")
    loss: Literal["hierarchical", "nt_xent"] = Field("hierarchical", description="instance and temporal loss over scales (TS2Vec), or NT-Xent on two views")
    temperature: float = Field(0.2, ge=0.01, le=2, description="of NT-Xent", json_schema_extra={"scale": "log"})
    mask_probability: float = Field(0.3, ge=0, le=0.9, description="share of time steps masked in a view, the paper's is 0.5; 0 is none (ablation)")
    exclude_same_date: bool = Field(True, description="windows that share dates are no negatives of each other, whatever their asset; off is the ablation")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped before the representation")
    max_regimes: int = Field(4, ge=2, le=8, description="largest number of regimes tried on the training data")


CARD = ModelCard(
    name="Contrastive representation",
    description="Causal dilated convolutions trained to bring two views of the same moment together and push others apart (TS2Vec); "
    "clusters of the representation are regimes.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.REGIMES}),
    hyperparameters=ContrastiveHyperparameters,
    strengths=(
        "Needs no labels and models no noise: nothing is reconstructed.",
        "One representation for every time step and scale, usable by a small probe on other tasks.",
        "Convolutions train in parallel over the window.",
    ),
    weaknesses=(
        "What counts as similar is decided by the views: crops and masks that destroy the signal teach the wrong thing.",
        "Assets on one date share the market, so naive negatives push apart what belongs together.",
        "One timestamp's contrast pushes neighbouring rows apart, which is the opposite of a regime that lasts.",
        "Distances in the representation have no unit and no probability.",
    ),
    best_for=("embeddings for search and probes", "regimes without labels", "much unlabelled and little labelled data"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.LOW,
    training=Training(minimum_samples=2_000, recommended_samples=50_000),
    deployment=Deployment(memory_mb=96),
    references=(
        Paper(title="TS2Vec: Towards Universal Representation of Time Series", year=2022, link="https://arxiv.org/abs/2106.10466"),
        Paper(title="A Simple Framework for Contrastive Learning of Visual Representations", year=2020, link="https://arxiv.org/abs/2002.05709"),
    ),
    implementation="https://github.com/zhihanyue/ts2vec",
)
