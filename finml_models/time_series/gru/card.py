"""GRU: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class GRUHyperparameters(Hyperparameters):
    """Size and regularisation of the recurrent stack."""

    hidden: int = Field(64, ge=8, le=512, description="units a layer", json_schema_extra={"scale": "log"})
    layers: int = Field(1, ge=1, le=4, description="stacked layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped between layers and before the head")


CARD = ModelCard(
    name="GRU",
    description="Gated recurrent unit over a sliding window: an update and a reset gate, with three quarters of an LSTM's recurrent weights.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST, Objective.CLASSIFY}),
    hyperparameters=GRUHyperparameters,
    strengths=(
        "Three blocks of weights where an LSTM has four, at the same width: less to fit and less to compute.",
        "Few hyperparameters, and a small network trains on a CPU.",
        "Reads windows of different lengths: padding is masked, so short histories need no special case.",
    ),
    weaknesses=(
        "No separate cell state: it cannot count over long spans as an LSTM can.",
        "Steps are computed one after the other, so long windows train slower than with attention or convolution.",
        "On daily financial data linear models such as HAR are often as good; check the report before preferring it.",
        "Says nothing of why: only attributions after the fact.",
    ),
    best_for=("short windows with few training rows", "event sequences of uneven length", "services with a tight latency or memory budget"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=500, recommended_samples=5_000),
    deployment=Deployment(memory_mb=64),
    references=(
        Paper(
            title="Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
            year=2014,
            link="https://arxiv.org/abs/1406.1078",
        ),
        Paper(title="Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling", year=2014, link="https://arxiv.org/abs/1412.3555"),
    ),
    implementation="https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html",
)
