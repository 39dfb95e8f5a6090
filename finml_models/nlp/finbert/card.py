"""FinBERT: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class FinBERTHyperparameters(Hyperparameters):
    """Which weights to start from, and how they are fine-tuned. The last four only shape the stand-in that starts from scratch."""

    weights: Literal["scratch", "ProsusAI/finbert"] = Field(
        "scratch",
        description="'scratch' trains a small random encoder, which is not FinBERT and says so; a hub id starts from the published weights",
        json_schema_extra={"searched": False},
    )
    revision: str = Field("4556d13015211d73dccd3fdd39d39232506f3e43", pattern=r"^[0-9a-f]{40}$", description="commit of the pre-trained weights and tokenizer")
    max_length: int = Field(64, ge=8, le=512, description="tokens read of a text", json_schema_extra={"scale": "log"})
    batch_size: int = Field(32, ge=4, le=512, description="texts a step, where the training's batch_size allows as many", json_schema_extra={"scale": "log"})
    rate: float = Field(
        0.02, gt=0, le=1, description="pre-trained: peak learning rate as a share of the training's (2e-5 of 1e-3)", json_schema_extra={"scale": "log"}
    )
    layer_decay: float = Field(
        0.85, ge=0.3, le=1, description="pre-trained: learning rate of a layer as a share of the next one's; 1 is the same for all (ablation)"
    )
    gradual_unfreezing: bool = Field(True, description="pre-trained: train the head first, then layer by layer from the top; off is the ablation")
    warmup: float = Field(0.2, ge=0, le=0.9, description="share of the steps in which the slanted triangle rises")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped before the classifier")
    heads: int = Field(4, ge=1, le=12, description="from scratch: attention heads")
    head_width: int = Field(16, ge=4, le=64, description="from scratch: units a head", json_schema_extra={"scale": "log"})
    layers: int = Field(1, ge=1, le=12, description="from scratch: encoder layers")
    vocabulary: int = Field(2_000, ge=500, le=30_000, description="from scratch: word pieces at most", json_schema_extra={"scale": "log"})


CARD = ModelCard(
    name="FinBERT",
    description="A BERT encoder fine-tuned to financial sentiment in three classes, with discriminative learning rates, a slanted triangular "
    "schedule, gradual unfreezing and calibrated probabilities. The published weights are read by id and pinned commit; by default, without "
    "a network, a small encoder is trained from scratch instead, and every answer says that it is not FinBERT.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=FinBERTHyperparameters,
    strengths=(
        "Pre-trained on language and on financial text: useful with few labels of one's own.",
        "Reads negation and context that a word list misses.",
    ),
    weaknesses=(
        "Reads 512 tokens at most; a filing has to be cut.",
        "The published weights were tuned on the Financial PhraseBank: a score on that set is contaminated.",
        "From scratch it knows no language beyond its few thousand training texts, and a linear model is the better choice.",
        "Some 110 million weights: slow on a CPU, where a linear model answers at once.",
        "Sentiment of the wording is not the sign of the return.",
        "English only, and its language ends when its training texts end.",
    ),
    best_for=("headlines and single sentences", "sentiment as a feature, with few labels"),
    latency_class=Level.HIGH,
    data_requirements=Level.HIGH,
    explainability=Level.LOW,
    training=Training(minimum_samples=300, recommended_samples=3_000),
    deployment=Deployment(memory_mb=700),
    references=(
        Paper(title="FinBERT: Financial Sentiment Analysis with Pre-trained Language Models", year=2019, link="https://arxiv.org/abs/1908.10063"),
        Paper(title="BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", year=2019, link="https://arxiv.org/abs/1810.04805"),
        Paper(title="Universal Language Model Fine-tuning for Text Classification", year=2018, link="https://arxiv.org/abs/1801.06146"),
        Paper(title="On Calibration of Modern Neural Networks", year=2017, link="https://arxiv.org/abs/1706.04599"),
    ),
    implementation="https://github.com/ProsusAI/finBERT",
)
