"""PatchTST: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class PatchTSTHyperparameters(Hyperparameters):
    """The model's width is `heads` × `head_width`; a window shorter than a patch is padded."""

    patch_length: int = Field(16, ge=2, le=64, description="rows a patch", json_schema_extra={"scale": "log"})
    stride: int = Field(8, ge=1, le=64, description="rows from one patch to the next; more than a patch leaves rows out", json_schema_extra={"scale": "log"})
    heads: int = Field(2, ge=1, le=16, description="attention heads; the paper has 4 on small data sets, 16 on large ones")
    head_width: int = Field(8, ge=4, le=64, description="units a head; the paper has 4 on small data sets, 8 on large ones", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=6, description="encoder layers; the paper has 3")
    feedforward: int = Field(2, ge=1, le=8, description="width of the feed-forward layers, in multiples of the model's width")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of units dropped in every layer")
    head_dropout: float = Field(0.0, ge=0, lt=1, description="share of units dropped before the flatten head")
    reversible_normalisation: bool = Field(True, description="normalise each window and undo it on the output (RevIN); off is the ablation")
    pretraining_epochs: int = Field(0, ge=0, le=100, description="epochs of masked-patch pre-training before the fit; 0 is none")
    mask_ratio: float = Field(0.4, ge=0.05, le=0.8, description="share of patches masked while pre-training")


CARD = ModelCard(
    name="PatchTST",
    description="A transformer over patches of a series: each channel is read alone with shared weights, normalised by its own window, "
    "and forecast from the flattened patches.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.FORECAST}),
    hyperparameters=PatchTSTHyperparameters,
    ablations={"no_revin": {"reversible_normalisation": False}},
    strengths=(
        "Patches shorten the sequence by the stride, so attention over long windows is cheap.",
        "Instance normalisation makes it robust against shifts of level and scale.",
        "Shared weights over channels learn from every series of the panel.",
        "Masked pre-training needs no targets: on simulated cycles it halved the error of a linear probe with 100 labels.",
    ),
    weaknesses=(
        "Channels meet only in a linear readout of their forecasts: how one feature changes the meaning of another is lost.",
        "Instance normalisation removes the level, which for volatility is itself the signal; the switch is there to measure that.",
        "No place for static or known future inputs: they are not read.",
        "Every feature passes through the transformer, so time grows with their number, and pre-training adds an epoch's time for each of its own.",
        "Short windows leave only a handful of patches to attend over.",
    ),
    best_for=("long windows of many similar series", "series whose level and scale drift"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.LOW,
    training=Training(minimum_samples=1_000, recommended_samples=50_000),
    deployment=Deployment(memory_mb=192),
    references=(
        Paper(title="A Time Series is Worth 64 Words: Long-term Forecasting with Transformers", year=2023, link="https://arxiv.org/abs/2211.14730"),
        Paper(
            title="Reversible Instance Normalization for Accurate Time-Series Forecasting against Distribution Shift",
            year=2022,
            link="https://openreview.net/forum?id=cGDAkQo1C0p",
        ),
    ),
    implementation="https://github.com/yuqinie98/PatchTST",
)
