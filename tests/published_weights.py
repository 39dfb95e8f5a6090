"""A tiny BERT classifier as its publisher would lay it out, for tests of everything that begins with published weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from finml_models.nlp.finbert.model import LABELS

WEIGHTS = "ProsusAI/finbert"
WORDS = ("profit", "profits", "revenue", "costs", "loss", "rose", "fell", "strongly", "the", "company", "in", "of", "quarter", "##s", "##ing", ".", ",")


def write(folder: Path, *, labels: Sequence[str] = LABELS[WEIGHTS], layers: int = 2, seed: int = 0, words: Sequence[str] = WORDS) -> Path:
    """Write `<folder>/ProsusAI/finbert` with random weights of a seed and return `folder`, which `FINML_WEIGHTS` may name."""
    from transformers import BertConfig, BertForSequenceClassification

    own = folder / WEIGHTS
    own.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={name: number for number, name in enumerate(labels)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertForSequenceClassification(config).save_pretrained(own)
    (own / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return folder
