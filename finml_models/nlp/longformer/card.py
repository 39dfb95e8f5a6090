"""Longformer: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class LongformerHyperparameters(Hyperparameters):
    """Which weights to start from, and how far attention reaches. The last three only shape the stand-in that starts from scratch."""

    weights: Literal["allenai/longformer-base-4096", "scratch"] = Field(
        "allenai/longformer-base-4096", description="pre-trained weights by hub id, or a small random encoder, which says that it is one (ablation)"
    )
    revision: str = Field("301e6a42cb0d9976a6d6a26a079fef81c18aa895", pattern=r"^[0-9a-f]{40}$", description="commit of the pre-trained weights and tokenizer")
    max_length: int = Field(4_096, ge=64, le=4_096, description="tokens read of a document", json_schema_extra={"scale": "log"})
    reach: int = Field(256, ge=8, le=256, description="tokens to each side that a token attends to", json_schema_extra={"scale": "log"})
    global_attention: bool = Field(True, description="the first token attends to all and all to it; off, windows alone (ablation)")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped before the classifier")
    warmup: float = Field(0.1, ge=0, le=0.9, description="share of the steps in which the learning rate rises")
    calibrated: bool = Field(True, description="fit a temperature on the validation rows; off is the ablation")
    heads: int = Field(4, ge=1, le=12, description="from scratch: attention heads")
    head_width: int = Field(16, ge=4, le=64, description="from scratch: units a head", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=1, le=12, description="from scratch: encoder layers")


CARD = ModelCard(
    name="Longformer",
    description="A transformer for documents of up to 4,096 tokens: each token attends to a sliding window, the first token to everything, "
    "so memory grows linearly with length.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=LongformerHyperparameters,
    strengths=(
        "Reads evidence far into a document where a 512-token model has already stopped.",
        "Memory and time grow linearly with the length.",
    ),
    weaknesses=(
        "Seconds a document on a CPU; it wants a GPU.",
        "Pre-trained on general text, not on filings.",
        "Short texts gain nothing over FinBERT and are padded to the window.",
        "Two distant passages only meet through the first token or many layers.",
    ),
    best_for=("filings, transcripts and long articles",),
    latency_class=Level.HIGH,
    data_requirements=Level.HIGH,
    explainability=Level.LOW,
    training=Training(minimum_samples=300, recommended_samples=3_000),
    deployment=Deployment(gpu=True, memory_mb=1_500),
    references=(Paper(title="Longformer: The Long-Document Transformer", year=2020, link="https://arxiv.org/abs/2004.05150"),),
    implementation="https://github.com/allenai/longformer",
)
