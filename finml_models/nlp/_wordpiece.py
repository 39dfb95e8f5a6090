"""Word pieces: a vocabulary learned from the training texts, and texts as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

PAD, UNKNOWN, START, END, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROLES = ((PAD, "<pad>"), (START, "<s>"), (END, "</s>"))
"""Padding, start and end of a sequence, as a BERT and as a RoBERTa spells them."""
_MOST_CHARACTERS = 1_000


def train(texts: Sequence[str], size: int) -> str:
    """A tokenizer of at most about `size` word pieces, as JSON; the same texts give the same vocabulary.

    Words are split from the left into the longest pieces known (Wu et al. 2016, section 4.1), lower-cased, without accents. Pieces
    are found by merging the most frequent neighbours. Of scripts with very many characters only the most frequent are kept.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    normaliser, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    plain = [normaliser.normalize_str(text) for text in texts]
    counts = Counter(chain.from_iterable(plain))
    kept = sorted(sorted(counts), key=lambda c: (-counts[c], c))[:_MOST_CHARACTERS]
    if len(kept) < len(counts):
        dropped = dict.fromkeys(map(ord, counts.keys() - set(kept)))
        plain = [text.translate(dropped) for text in plain]
    # The trainer numbers continuing characters in the order of a hash map, and ties between merges follow the numbers: named
    # beforehand, they have an order (huggingface/tokenizers issue 1794).
    continuing = [f"##{character}" for character in sorted(set(kept)) if not character.isspace()]
    learner = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    learner.pre_tokenizer = splitter
    learner.train_from_iterator(plain, trainers.WordPieceTrainer(vocab_size=size, min_frequency=2, special_tokens=[*SPECIAL, *continuing], show_progress=False))
    tokenizer = Tokenizer(models.WordPiece(learner.get_vocab(with_added_tokens=False), unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normaliser, splitter
    tokenizer.add_special_tokens(list(SPECIAL))
    written: str = tokenizer.to_str()
    return written


def read(written: str) -> Tokenizer:
    """The tokenizer of `train`, or of a published model, without padding or cutting: both are done here."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(written)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # A text that spells [SEP] is a text: only what is added here may steer the encoder.
    tokenizer.encode_special_tokens = True
    return tokenizer


def special(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """The ids of padding, start and end; `ValueError` where a tokenizer spells them otherwise."""
    known = [next((number for name in names if (number := tokenizer.token_to_id(name)) is not None), None) for names in ROLES]
    pad, start, end = known
    if pad is None or start is None or end is None:
        raise ValueError(f"tokenizer: one of {', '.join(' or '.join(names) for names in ROLES)} is missing: take the tokenizer of a BERT or a RoBERTa")
    return pad, start, end


@dataclass(frozen=True, slots=True)
class Tokens:
    """Texts as numbers one behind the other. Shapes: ids (sum of lengths,), lengths (n,), without any special token."""

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, tokenizer: Tokenizer, texts: Iterable[str]) -> Tokens:
        """All texts in one call."""
        encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(np.fromiter(chain.from_iterable(text.ids for text in encoded), np.int32, int(lengths.sum())), lengths)
