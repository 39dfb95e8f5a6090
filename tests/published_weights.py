"""A tiny BERT classifier and a tiny Longformer as their publishers would lay them out, for tests of everything that begins with published weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from finml_models.nlp.finbert.model import LABELS

WEIGHTS = "ProsusAI/finbert"
LONGFORMER = "allenai/longformer-base-4096"
SENTENCES = ("Profit rose strongly.", "Costs fell in the quarter.", "The company held its annual meeting.")
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


def write_longformer(folder: Path, *, seed: int = 0, reach: int = 4, positions: int = 4_096, texts: Sequence[str] = SENTENCES) -> Path:
    """Write `<folder>/allenai/longformer-base-4096`, a bare encoder with byte-level pieces of `texts`, and return `folder`."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LongformerConfig, LongformerForMaskedLM

    own = folder / LONGFORMER
    own.mkdir(parents=True)
    pieces = ByteLevelBPETokenizer()
    pieces.train_from_iterator(texts, vocab_size=400, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False)
    pieces.save_model(str(own))
    config = LongformerConfig(
        vocab_size=pieces.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        attention_window=[2 * reach] * 2,
        # Positions begin behind the padding's id, which is 1.
        max_position_embeddings=positions + 2,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LongformerForMaskedLM(config).save_pretrained(own)
    return folder
