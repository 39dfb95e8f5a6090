"""Graph attention network: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class GATHyperparameters(Hyperparameters):
    """A layer's width is `heads` × `head_width`."""

    heads: int = Field(4, ge=1, le=8, description="attention heads")
    head_width: int = Field(8, ge=2, le=64, description="units a head", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=4, description="attention layers; information travels one edge a layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped after each layer")
    attention_dropout: float = Field(0.1, ge=0, lt=1, description="share of attention weights dropped")
    dynamic_attention: bool = Field(True, description="the order of operations of version 2; off, the original static attention (ablation)")
    edge_features: bool = Field(True, description="edges enter the attention; off, only who is a neighbour (ablation)")
    skip: bool = Field(True, description="every layer and the head read an asset's own features beside its neighbourhood's; off, the papers' stack")
    edges: Literal["correlation", "none", "random"] = Field(
        "correlation", description="the graph of the data, none at all, or one with random neighbours and the same degrees (ablations)"
    )


CARD = ModelCard(
    name="Graph attention network",
    description="Each asset attends over its neighbours with several heads, in the order of operations of version 2, so that the weight "
    "of a neighbour depends on who asks; forecasts every node.",
    kinds=frozenset({Kind.GRAPHS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=GATHyperparameters,
    ablations={"no_edges": {"edges": "none"}, "random_edges": {"edges": "random"}},
    strengths=(
        "Learns which neighbours matter, date by date, instead of trusting the edge's weight.",
        "Attention weights can be read as who was looked at.",
        "Works on graphs and assets that it never saw.",
    ),
    weaknesses=(
        "Attention over noisy neighbours overfits more easily than the fixed weights of a GCN.",
        "Attention weights are no proof of influence.",
        "Cost grows with edges × heads; dense correlation graphs have to be thinned first.",
        "Deep stacks smooth all assets into one.",
    ),
    best_for=("neighbourhoods where few of many edges matter", "graphs with edge features"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=1_000, recommended_samples=20_000),
    deployment=Deployment(memory_mb=96),
    references=(
        Paper(title="Graph Attention Networks", year=2018, link="https://arxiv.org/abs/1710.10903"),
        Paper(title="How Attentive are Graph Attention Networks?", year=2022, link="https://arxiv.org/abs/2105.14491"),
    ),
    implementation="https://github.com/tech-srl/how_attentive_are_gats",
)
