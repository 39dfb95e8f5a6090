"""LSTM: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class LSTMHyperparameters(Hyperparameters):
    """Size and regularisation of the recurrent stack."""

    hidden: int = Field(64, ge=8, le=512, description="units a layer", json_schema_extra={"scale": "log"})
    layers: int = Field(1, ge=1, le=4, description="stacked layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped between layers and before the head")


CARD = ModelCard(
    name="LSTM",
    description="Long short-term memory over a sliding window: gates decide what a cell keeps, and the last hidden state feeds the head.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST, Objective.CLASSIFY}),
    hyperparameters=LSTMHyperparameters,
    strengths=(
        "The cell state carries information over many steps without vanishing gradients.",
        "Few hyperparameters, and a small network trains on a CPU.",
        "Reads windows of different lengths: padding is masked, so short histories need no special case.",
    ),
    weaknesses=(
        "Steps are computed one after the other, so long windows train slower than with attention or convolution.",
        "On daily financial data linear models such as HAR are often as good; check the report before preferring it.",
        "Says nothing of why: only attributions after the fact.",
        "The whole window has to pass through one state vector, so distant single events fade.",
    ),
    best_for=("short windows of a few dozen features", "event sequences of uneven length", "a first neural model to compare others with"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(title="Long Short-Term Memory", year=1997, link="https://doi.org/10.1162/neco.1997.9.8.1735"),
        Paper(title="Learning to Forget: Continual Prediction with LSTM", year=2000, link="https://doi.org/10.1162/089976600300015015"),
        Paper(title="An Empirical Exploration of Recurrent Network Architectures", year=2015, link="https://proceedings.mlr.press/v37/jozefowicz15.html"),
    ),
    implementation="https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html",
)
