"""Graph convolutional network: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class GCNHyperparameters(Hyperparameters):
    """Size of the convolutions; for regimes the same encoder is trained as a graph autoencoder."""

    hidden: int = Field(32, ge=4, le=256, description="units a layer", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=4, description="graph convolutions; information travels one edge a layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped after each convolution")
    edge_weights: bool = Field(True, description="weigh neighbours by their edge; off, all neighbours weigh the same (ablation)")
    skip: bool = Field(True, description="every layer and the head read an asset's own features beside its neighbourhood's average; off, the paper's stack")
    edges: Literal["correlation", "none", "random"] = Field(
        "correlation", description="the graph of the data, none at all, or one with random neighbours and the same degrees (ablations)"
    )
    latent: int = Field(8, ge=2, le=64, description="dimensions of a graph's embedding when trained for regimes", json_schema_extra={"scale": "log"})
    adjacency: float = Field(1.0, ge=0, le=10, description="for regimes: weight of giving the edges back, beside the features; 0 leaves it out (ablation)")
    max_regimes: int = Field(4, ge=2, le=8, description="largest number of regimes tried on the training data")


CARD = ModelCard(
    name="Graph convolutional network",
    description="Averages each asset's features with its neighbours' under symmetric normalisation; forecasts every node, or embeds the "
    "whole graph as an autoencoder whose clusters are regimes.",
    kinds=frozenset({Kind.GRAPHS}),
    objectives=frozenset({Objective.FORECAST, Objective.REGIMES}),
    hyperparameters=GCNHyperparameters,
    ablations={"no_edges": {"edges": "none"}, "random_edges": {"edges": "random"}},
    strengths=(
        "Few parameters, shared over all assets: works for assets that it never saw.",
        "Equals a closed matrix formula, so it is easy to check.",
        "An isolated asset falls back to a plain network.",
    ),
    weaknesses=(
        "Assumes that neighbours are alike; edges of opposite sign are averaged away.",
        "More than two or three layers smooth all assets into one.",
        "A neighbourhood's weight follows its degrees, so assets that join or leave change what the others read.",
        "Only as good as the graph: edges from trailing correlation are noisy, and the ablation without edges is often close.",
        "All neighbours count by a fixed weight, whatever the day.",
        "Its regimes come from one day's graph, so they flicker more than those of a hidden Markov model.",
    ),
    best_for=("spillovers between similar assets", "regimes of a correlation network"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(title="Semi-Supervised Classification with Graph Convolutional Networks", year=2017, link="https://arxiv.org/abs/1609.02907"),
        Paper(title="Variational Graph Auto-Encoders", year=2016, link="https://arxiv.org/abs/1611.07308"),
    ),
    implementation="https://github.com/tkipf/gcn",
)
