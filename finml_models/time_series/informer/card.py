"""Informer: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class InformerHyperparameters(Hyperparameters):
    """The model's width is `heads` × `head_width`."""

    heads: int = Field(2, ge=1, le=8, description="attention heads; the paper takes 8 for a width of 512")
    head_width: int = Field(8, ge=4, le=64, description="units a head", json_schema_extra={"scale": "log"})
    encoder_layers: int = Field(2, ge=1, le=4, description="encoder layers; distilling halves the length between them")
    decoder_layers: int = Field(1, ge=1, le=2, description="decoder layers")
    feedforward: int = Field(2, ge=1, le=8, description="width of the feed-forward layers, in multiples of the model's width; the paper takes 4")
    sampling_factor: int = Field(
        3, ge=1, le=10, description="c in u = c · ln L, the queries that attend and the keys sampled for each query; the authors' code takes 5"
    )
    start_length: int = Field(
        8, ge=1, le=256, description="newest rows of the window given to the decoder, at most the window", json_schema_extra={"scale": "log"}
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped in every layer")
    distilling: bool = Field(True, description="convolve and pool between encoder layers; off, the length stays (ablation)")
    full_attention: bool = Field(False, description="every query attends to every key instead of ProbSparse attention (ablation)")


CARD = ModelCard(
    name="Informer",
    description="A transformer for long windows: only the queries with the sparsest attention attend, the encoder halves its "
    "length layer by layer, and the decoder writes all horizons in one pass.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=InformerHyperparameters,
    strengths=(
        "Time and memory grow like L · log L in the window, so windows of many hundred rows are affordable.",
        "One decoder pass for any horizon: no error accumulates from step to step.",
    ),
    weaknesses=(
        "On windows of a few dozen rows a step takes longer than with full attention: choosing the queries costs more than it saves.",
        "Simple linear forecasters have matched or beaten it on its own long-horizon benchmarks (Zeng et al. 2023).",
        "Every time step is a token that mixes all features, so noisy features disturb the attention.",
        "The sampled keys are one more source of approximation; they are drawn once and kept with the weights, so that answers repeat.",
    ),
    best_for=("windows of several hundred rows", "intraday series with long daily and weekly cycles"),
    latency_class=Level.LOW,
    data_requirements=Level.HIGH,
    explainability=Level.LOW,
    training=Training(minimum_samples=2_000, recommended_samples=100_000),
    deployment=Deployment(memory_mb=192),
    ablations={"full_attention": {"full_attention": True}, "no_distilling": {"distilling": False}},
    references=(
        Paper(title="Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting", year=2021, link="https://arxiv.org/abs/2012.07436"),
        Paper(title="Are Transformers Effective for Time Series Forecasting?", year=2023, link="https://arxiv.org/abs/2205.13504"),
    ),
    implementation="https://github.com/zhouhaoyi/Informer2020",
)
