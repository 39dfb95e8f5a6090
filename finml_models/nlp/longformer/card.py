"""Longformer: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Kind, Level, ModelCard, Objective, Paper, Training
from finml_models.nlp._hyperparameters import TextHyperparameters


class LongformerHyperparameters(TextHyperparameters):
    """Which weights to start from, and how far attention reaches."""

    weights: Literal["scratch", "allenai/longformer-base-4096"] = Field(
        "scratch", description="'scratch' trains a small random encoder of this kind and says so; a hub id starts from the published weights"
    )
    revision: str = Field("301e6a42cb0d9976a6d6a26a079fef81c18aa895", pattern=r"^[0-9a-f]{40}$", description="commit of the pre-trained weights and tokenizer")
    max_length: int = Field(4_096, ge=64, le=4_096, description="tokens read; 512 is the cut of a BERT (ablation)", json_schema_extra={"scale": "log"})
    reach: int = Field(
        16,
        ge=8,
        le=256,
        description="tokens to each side that a token attends to; 256 as published",
        json_schema_extra={"scale": "log"},
    )
    global_attention: bool = Field(True, description="the first token attends to all and all to it; off, windows alone (ablation)")
    heads: int = Field(2, ge=1, le=12, description="from scratch: attention heads")
    layers: int = Field(2, ge=1, le=12, description="from scratch: encoder layers; the first token sees words in their windows from the second one on")


CARD = ModelCard(
    name="Longformer",
    description="A transformer for documents of up to 4,096 tokens: each token attends to a sliding window, the first token to everything, "
    "so memory grows linearly with length. The published weights are read by id and pinned commit; by default, without a network, a small "
    "encoder of the same kind is trained from scratch instead, and every answer says so.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=LongformerHyperparameters,
    ablations={"cut_at_512": {"max_length": 512}, "no_global_attention": {"global_attention": False}},
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
