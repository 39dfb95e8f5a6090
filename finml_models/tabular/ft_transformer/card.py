"""FT-Transformer: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class FTTransformerHyperparameters(Hyperparameters):
    """A token's width is `heads` × `head_width`."""

    heads: int = Field(4, ge=1, le=16, description="attention heads; the paper takes 8")
    head_width: int = Field(8, ge=4, le=64, description="units a head; the paper takes 24", json_schema_extra={"scale": "log"})
    blocks: int = Field(2, ge=1, le=6, description="transformer blocks; the paper takes 3")
    feedforward: float = Field(4 / 3, ge=0.5, le=4, description="width of the ReGLU layers, in multiples of the token's width")
    attention_dropout: float = Field(0.2, ge=0, lt=1, description="share of attention weights dropped")
    feedforward_dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped in the feed-forward layers")
    residual_dropout: float = Field(0.0, ge=0, lt=1, description="share of units dropped before each residual sum")
    quantile_normalisation: bool = Field(True, description="numeric columns to normal scores by their ranks; off, standardised (ablation)")


CARD = ModelCard(
    name="FT-Transformer",
    description="Turns every column into a token, numeric ones by a learned line and categories by lookup, and lets a transformer with a "
    "class token attend over them.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=FTTransformerHyperparameters,
    strengths=(
        "Treats numeric and categorical columns alike, and the order of columns does not matter.",
        "Learns interactions between columns by attention.",
        "The class token's attention shows which columns it looked at.",
    ),
    weaknesses=(
        "Time and memory grow with the square of the number of columns.",
        "Gradient-boosted trees are often at least as good and much faster to train (Grinsztajn et al. 2022).",
        "Smooth in its inputs, while scorecards and defaults jump at thresholds.",
        "Slower than an MLP of like accuracy.",
    ),
    best_for=("tables of up to a hundred mixed columns", "interactions between columns"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.MEDIUM,
    training=Training(minimum_samples=2_000, recommended_samples=50_000),
    deployment=Deployment(memory_mb=192),
    references=(
        Paper(title="Revisiting Deep Learning Models for Tabular Data", year=2021, link="https://arxiv.org/abs/2106.11959"),
        Paper(title="Why do tree-based models still outperform deep learning on tabular data?", year=2022, link="https://arxiv.org/abs/2207.08815"),
    ),
    implementation="https://github.com/yandex-research/rtdl-revisiting-models",
)
