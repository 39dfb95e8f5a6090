"""Temporal graph network: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class TemporalGNNHyperparameters(Hyperparameters):
    """Size of the recurrent graph cell."""

    hidden: int = Field(32, ge=4, le=256, description="units of an asset's state", json_schema_extra={"scale": "log"})
    layers: int = Field(1, ge=1, le=3, description="stacked recurrent graph cells")
    hops: int = Field(2, ge=1, le=4, description="edges that information travels in one step of time")
    snapshots: int = Field(5, ge=2, le=60, description="snapshots read, newest last; at most those that the use case keeps", json_schema_extra={"scale": "log"})
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped before the head")
    edges: Literal["correlation", "none", "random"] = Field(
        "correlation",
        description="the graph of the data, none at all, which leaves a GRU an asset, or one with random neighbours and the same degrees (ablations)",
    )
    recurrent: bool = Field(True, description="off, only the newest snapshot is read (ablation)")


CARD = ModelCard(
    name="Temporal graph network",
    description="A gated recurrent cell whose gates are diffusion convolutions over the edges' direction (the GConvGRU form, with DCRNN's "
    "convolution), run over the newest stamped snapshots of the asset graph; forecasts every node.",
    kinds=frozenset({Kind.GRAPHS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=TemporalGNNHyperparameters,
    ablations={"no_edges": {"edges": "none"}, "random_edges": {"edges": "random"}},
    strengths=(
        "Sees spillovers that arrive with a lag, and graphs that change.",
        "Keeps edge direction: who leads and who follows.",
        "Parameters are shared over assets and dates.",
    ),
    weaknesses=(
        "Needs a history of stamped graphs; a graph built with later data leaks, and its stamp is all that tells.",
        "Sequential in time and a convolution at each step: the slowest of the three graph models.",
        "Correlation graphs move slowly, so consecutive snapshots add little; shuffling them is the test.",
        "HAR with market and sector averages captures much of the same with five coefficients.",
    ),
    best_for=("lagged spillovers between assets", "graphs that change over weeks"),
    latency_class=Level.MEDIUM,
    data_requirements=Level.MEDIUM,
    explainability=Level.LOW,
    training=Training(minimum_samples=1_000, recommended_samples=20_000),
    deployment=Deployment(memory_mb=96),
    references=(
        Paper(title="T-GCN: A Temporal Graph Convolutional Network for Traffic Prediction", year=2020, link="https://arxiv.org/abs/1811.05320"),
        Paper(title="Diffusion Convolutional Recurrent Neural Network: Data-Driven Traffic Forecasting", year=2018, link="https://arxiv.org/abs/1707.01926"),
        Paper(title="Structured Sequence Modeling with Graph Convolutional Recurrent Networks", year=2016, link="https://arxiv.org/abs/1612.07659"),
    ),
    implementation="https://github.com/lehaifeng/T-GCN",
)
