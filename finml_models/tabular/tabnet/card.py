"""TabNet: what the catalogue says of it, and its hyperparameters."""

from __future__ import annotations

from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training


class TabNetHyperparameters(Hyperparameters):
    """Width and number of the decision steps, and how sparse their masks are."""

    decision_width: int = Field(16, ge=4, le=128, description="units that a step gives to the output (n_d)", json_schema_extra={"scale": "log"})
    attention_width: int = Field(16, ge=4, le=128, description="units that a step gives to the next mask (n_a)", json_schema_extra={"scale": "log"})
    steps: int = Field(4, ge=1, le=10, description="sequential decision steps")
    relaxation: float = Field(1.3, ge=1, le=2, description="gamma; 1 lets a feature be used in one step only")
    sparsity: float = Field(1e-3, ge=1e-6, le=0.1, description="weight of the masks' entropy in the loss", json_schema_extra={"scale": "log"})
    shared_blocks: int = Field(2, ge=1, le=5, description="gated blocks that all steps share")
    step_blocks: int = Field(2, ge=1, le=5, description="gated blocks of each step")
    virtual_batch: int = Field(128, ge=16, le=4_096, description="rows of a ghost batch, at most the batch", json_schema_extra={"scale": "log"})
    momentum: float = Field(0.02, ge=0.01, le=0.5, description="of the ghost batch normalisation", json_schema_extra={"scale": "log"})
    sparse_masks: bool = Field(True, description="sparsemax; off, softmax masks over all features (ablation)")
    pretraining_epochs: int = Field(0, ge=0, le=200, description="epochs of self-supervised pre-training before the fit; 0 is none")


CARD = ModelCard(
    name="TabNet",
    description="Chooses a sparse set of columns step by step with sparsemax masks and adds up what each step decides; the masks say which "
    "columns each row's answer used.",
    kinds=frozenset({Kind.TABLE}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=TabNetHyperparameters,
    strengths=(
        "Masks name the columns that an answer used, row by row.",
        "Can be pre-trained on rows without labels.",
        "Sparse selection copes with many useless columns.",
    ),
    weaknesses=(
        "Gradient-boosted trees are usually at least as good and much faster to train (Grinsztajn et al. 2022).",
        "Sensitive to its settings: batch, ghost batch, relaxation and sparsity interact.",
        "Masks differ between seeds when columns are correlated, which weakens them as reasons.",
        "Does not export to ONNX: it is served in torch.",
    ),
    best_for=("wide tables of which few columns matter", "much unlabelled and little labelled data"),
    latency_class=Level.LOW,
    data_requirements=Level.MEDIUM,
    explainability=Level.HIGH,
    training=Training(minimum_samples=2_000, recommended_samples=50_000),
    deployment=Deployment(memory_mb=96),
    references=(
        Paper(title="TabNet: Attentive Interpretable Tabular Learning", year=2021, link="https://arxiv.org/abs/1908.07442"),
        Paper(title="Why do tree-based models still outperform deep learning on tabular data?", year=2022, link="https://arxiv.org/abs/2207.08815"),
    ),
    implementation="https://github.com/dreamquark-ai/tabnet",
)
