"""What every text classifier lets one choose."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Hyperparameters


class TextHyperparameters(Hyperparameters):
    """How an encoder is fine-tuned, and the shape of the stand-in that starts from scratch. Each entry narrows the first three."""

    weights: str = Field("scratch", description="'scratch', or the hub id of published weights")
    revision: str = Field("0" * 40, pattern=r"^[0-9a-f]{40}$", description="commit of the pre-trained weights and tokenizer")
    max_length: int = Field(512, ge=8, le=4_096, description="tokens read of a text", json_schema_extra={"scale": "log"})
    batch_size: int = Field(32, ge=4, le=512, description="texts a step, where the training's batch_size allows as many", json_schema_extra={"scale": "log"})
    rate: float = Field(
        0.02, gt=0, le=1, description="pre-trained: peak learning rate as a share of the training's (2e-5 of 1e-3)", json_schema_extra={"scale": "log"}
    )
    warmup: float = Field(0.2, ge=0, le=0.9, description="share of the steps in which the slanted triangle rises")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of units dropped before the classifier")
    heads: int = Field(4, ge=1, le=12, description="from scratch: attention heads")
    head_width: int = Field(16, ge=4, le=64, description="from scratch: units a head", json_schema_extra={"scale": "log"})
    layers: int = Field(1, ge=1, le=12, description="from scratch: encoder layers")
    vocabulary: int = Field(2_000, ge=500, le=30_000, description="from scratch: word pieces at most", json_schema_extra={"scale": "log"})
