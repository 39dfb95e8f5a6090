"""What the baselines that read texts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from finml_models.core.batches import Batch

CAVEAT = "Words are weighed as this model weighs them: another word that always stands beside one may share its weight, and irony is not heard."


def texts_of(batch: Batch, name: str) -> list[str]:
    """The texts of a batch; `TypeError` for a batch of another kind."""
    if not isinstance(batch, Texts):
        raise TypeError(f"batch: {name} reads texts, not {type(batch).__name__}")
    return batch.texts.tolist()


def by_words(found: Sequence[Mapping[str, float]], start: float, *, method: str, output: str) -> Explanation:
    """The explanation of texts whose words each add to a number that is `start` where nothing is said; `found` a text."""
    words = sorted({word for one in found for word in one})
    place = {word: i for i, word in enumerate(words)}
    weights = np.full((len(found), len(words)), np.nan, np.float32)
    for row, one in zip(weights, found, strict=True):
        row[[place[word] for word in one]] = list(one.values())
    part = Attribution("words", tuple(words), weights, f"what the word adds to the {output}, with all of its places in the text", adds=True)
    value = np.array([start + sum(one.values()) for one in found], np.float64)
    return Explanation(method, CAVEAT, (part,), output, value, np.full(len(found), start))
