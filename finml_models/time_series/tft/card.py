"""Temporal Fusion Transformer: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class TFTHyperparameters(Hyperparameters):
    """The model's width is `heads` × `head_width`."""

    heads: int = Field(2, ge=1, le=8, description="attention heads; each has its own queries and keys, all share the values")
    head_width: int = Field(8, ge=4, le=64, description="units a head; the paper chooses a width of 160 on volatility", json_schema_extra={"scale": "log"})
    lstm_layers: int = Field(1, ge=1, le=2, description="stacked layers of the local encoder and decoder")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped in every gated residual network")
    variable_selection: bool = Field(True, description="weigh the inputs by selection networks; off, all inputs weigh the same (ablation)")
    self_attention: bool = Field(True, description="attend over the window after the local encoder; off, the LSTM alone (ablation)")


CARD = ModelCard(
    name="Temporal Fusion Transformer",
    description="Selects among static, past and known future inputs, encodes locally with an LSTM and globally with "
    "interpretable attention, and predicts all horizons and quantiles at once.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=TFTHyperparameters,
    strengths=(
        "Uses the three kinds of inputs that a forecast has: static, past, and known ahead such as the calendar.",
        "Selection weights name the inputs that it used, sample by sample.",
        "All quantiles of all horizons come from one pass.",
    ),
    weaknesses=(
        "Many parts: with seven inputs and windows of 44 rows a training step takes about twelve times that of an LSTM of the same width.",
        "Selection weights spread arbitrarily over correlated inputs; they are no proof of cause.",
        "Without static and known inputs two of the three selections, all contexts and the enrichment fall away.",
        "The LSTM inside keeps training sequential in time.",
    ),
    best_for=("panels of assets with static features and a calendar", "forecasts whose inputs have to be named", "several horizons at once"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.HIGH,
    training=Training(minimum_samples=2_000, recommended_samples=50_000),
    deployment=Deployment(memory_mb=128),
    ablations={"no_variable_selection": {"variable_selection": False}},
    references=(
        Paper(
            title="Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting",
            year=2021,
            link="https://doi.org/10.1016/j.ijforecast.2021.03.012",
        ),
    ),
    implementation="https://github.com/google-research/google-research/tree/master/tft",
)
