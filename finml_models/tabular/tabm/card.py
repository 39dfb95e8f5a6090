"""TabM: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class TabMHyperparameters(Hyperparameters):
    """Size of the shared network, and how many members share it."""

    members: int = Field(16, ge=1, le=64, description="k, implicit networks in the ensemble; the paper takes 32", json_schema_extra={"scale": "log"})
    blocks: int = Field(2, ge=1, le=5, description="hidden layers")
    width: int = Field(128, ge=16, le=1_024, description="units a hidden layer; the paper takes up to 1,024", json_schema_extra={"scale": "log"})
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped in the hidden layers")
    embedding: Literal["none", "piecewise_linear"] = Field("piecewise_linear", description="how numeric columns enter")
    bins: int = Field(16, ge=2, le=128, description="bins of the piecewise-linear embedding", json_schema_extra={"scale": "log"})
    embedding_width: int = Field(8, ge=4, le=64, description="units a column of the piecewise-linear embedding", json_schema_extra={"scale": "log"})
    first_adapter: Literal["random_signs", "normal", "ones"] = Field(
        "random_signs", description="how the first adapter starts; with ones the members start equal but for their heads"
    )


CARD = ModelCard(
    name="TabM",
    description="One multilayer perceptron that is many: members share the weights, differ by thin multiplicative adapters and heads, are "
    "trained on the mean of their losses and averaged at inference.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=TabMHyperparameters,
    strengths=(
        "An ensemble with little more than the weights of one network.",
        "The averaged members beat the mean member, and vary less between seeds than one network.",
        "Simple to tune: no attention, no masks.",
    ),
    weaknesses=(
        "Says nothing of why: only attributions after the fact.",
        "Gradient-boosted trees remain a strong rival on tables and train faster.",
        "Activations grow with the number of members: time and memory while training are many times those of one network.",
        "Holds no monotone expectation: more arrears may lower the score somewhere.",
    ),
    best_for=("fraud and credit tables", "a first neural model on a table"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.LOW,
    training=Training(minimum_samples=1_000, recommended_samples=5_000),
    deployment=Deployment(memory_mb=96),
    ablations={"one_member": {"members": 1}},
    references=(
        Paper(title="TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling", year=2025, link="https://arxiv.org/abs/2410.24210"),
        Paper(title="BatchEnsemble: An Alternative Approach to Efficient Ensemble and Lifelong Learning", year=2020, link="https://arxiv.org/abs/2002.06715"),
        Paper(title="On Embeddings for Numerical Features in Tabular Deep Learning", year=2022, link="https://arxiv.org/abs/2203.05556"),
    ),
    implementation="https://github.com/yandex-research/tabm",
)
