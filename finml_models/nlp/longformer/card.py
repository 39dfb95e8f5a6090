"""Longformer: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class LongformerHyperparameters(Hyperparameters):
    """Which weights to start from, and how they are tuned. The last five only shape the stand-in that starts from scratch."""

    weights: Literal["scratch", "allenai/longformer-base-4096"] = Field(
        "scratch",
        description="'scratch' trains a small random encoder, which is not Longformer and says so; a hub id starts from the published weights",
        json_schema_extra={"searched": False},
    )
    revision: str = Field("301e6a42cb0d9976a6d6a26a079fef81c18aa895", pattern=r"^[0-9a-f]{40}$", description="commit of the pre-trained weights and tokenizer")
    max_length: int = Field(4_096, ge=64, le=4_096, description="tokens read of a document; 512 is the ablation", json_schema_extra={"scale": "log"})
    global_attention: bool = Field(True, description="the first token attends to all and all to it; off, windows alone (ablation)")
    batch_size: int = Field(32, ge=4, le=512, description="texts a step, where the training's batch_size allows as many", json_schema_extra={"scale": "log"})
    rate: float = Field(
        0.03, gt=0, le=1, description="pre-trained: peak learning rate as a share of the training's (3e-5 of 1e-3)", json_schema_extra={"scale": "log"}
    )
    warmup: float = Field(0.1, ge=0, le=0.9, description="share of the steps in which the learning rate rises")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped before the classifier")
    reach: int = Field(
        16,
        ge=8,
        le=256,
        description="from scratch: tokens to each side that a token attends to; published weights keep their 256",
        json_schema_extra={"scale": "log"},
    )
    heads: int = Field(2, ge=1, le=8, description="from scratch: attention heads")
    head_width: int = Field(16, ge=4, le=32, description="from scratch: units a head", json_schema_extra={"scale": "log"})
    layers: int = Field(2, ge=2, le=4, description="from scratch: encoder layers; of the last one only the first token is read")
    vocabulary: int = Field(2_000, ge=500, le=30_000, description="from scratch: word pieces at most", json_schema_extra={"scale": "log"})


CARD = ModelCard(
    name="Longformer",
    description="A transformer for documents of up to 4,096 tokens: each token attends to a sliding window, the first token to everything, "
    "so memory grows linearly with length. The published weights, a bare encoder without a classifier, are read by id and pinned commit; by "
    "default, without a network, a small encoder of the same make is trained from scratch instead, and every answer says that it is not Longformer.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=LongformerHyperparameters,
    ablations={"cut_at_512": {"max_length": 512}, "no_global_attention": {"global_attention": False}},
    strengths=(
        "Reads evidence behind the 512th token, where a BERT has stopped: shown by a test with the passage behind token 3,500.",
        "Memory grows linearly with the length.",
        "Texts are read without padding, so a headline beside a filing costs no more than a headline.",
    ),
    weaknesses=(
        "At the published size a document of 4,096 tokens takes some 13 s on one CPU core, a headline 0.3 s.",
        "Pre-trained on general English text, not on filings, and published without a classifier: it wants labels of one's own.",
        "From scratch it knows no language beyond its few thousand training texts, and a linear model is the better choice.",
        "From scratch it depends on its seed: a macro-F1 of 0.67 with one and 0.51 with the next on the simulated news, more than what reading on brings.",
        "Short texts gain nothing from its reach.",
        "Two distant passages only meet through the first token or many layers.",
    ),
    best_for=("filings, transcripts and long articles",),
    latency_class=Level.HIGH,
    data_requirements=Level.HIGH,
    explainability=Level.LOW,
    training=Training(minimum_samples=300, recommended_samples=3_000),
    deployment=Deployment(memory_mb=1_500),
    references=(Paper(title="Longformer: The Long-Document Transformer", year=2020, link="https://arxiv.org/abs/2004.05150"),),
    implementation="https://github.com/allenai/longformer",
)
