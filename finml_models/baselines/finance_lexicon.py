"""Finance lexicon: counts good and bad news by a list of words, with negation, and with the sign of what rises or falls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field

from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.explanations import Explanation
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._classes import class_numbers
from ._finance_words import DIRECTIONS, NEGATIONS, QUANTITIES, TONES
from ._texts import by_words, texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

MOST = 3
"""Balances beyond this count as this: more of the same tone says little more."""
SILENT = 2 * MOST + 1
"""Number of the row for texts without any word of the list, behind those of the balances from -3 to 3."""

_SENTENCES = re.compile(r"(?<=[.!?;])\s+")
_WORDS = re.compile(r"[a-z]+(?:['’-][a-z]+)*")


class FinanceLexiconHyperparameters(Hyperparameters):
    """How far a word reaches."""

    negation_reach: int = Field(3, ge=0, le=10, description="words after a negation that it turns round; 0 knows no negation (ablation)")
    quantity_reach: int = Field(14, ge=0, le=50, description="words between a direction and the quantity that moves; 0 takes every rise for good (ablation)")


CARD = ModelCard(
    name="Finance lexicon",
    description="The balance of good and bad news by a word list of our own: words of direction take the sign of the quantity that moves, negations turn "
    "words round, and the training texts say how often each balance goes with each label.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=FinanceLexiconHyperparameters,
    strengths=(
        "every answer can be read off the words",
        "needs few labels: 24 shares are all that it learns",
        "knows that rising costs are bad and rising profits good",
    ),
    weaknesses=("a word that is not on the list does not exist", "no irony, no comparison of figures", "English only"),
    best_for=("few or no labels", "the reference of every financial text classifier"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=100, recommended_samples=1_000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(
            title="When Is a Liability Not a Liability? Textual Analysis, Dictionaries, and 10-Ks",
            year=2011,
            link="https://doi.org/10.1111/j.1540-6261.2010.01625.x",
        ),
    ),
)


class FinanceLexicon(Estimator[FinanceLexiconHyperparameters]):
    """p(class | balance) from the training texts. `shares` (8, classes): a row for each balance from -3 to 3, and one for silence."""

    seeded = False

    shares: NDArray[np.float64]

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Count the classes of each balance in both parts: nothing here is stopped early."""
        rows = np.concatenate([self.balances(texts_of(part, CARD.name)) for part in (train, valid)])
        numbers = np.concatenate([class_numbers(part, self.signature) for part in (train, valid)])
        counts = np.zeros((SILENT + 1, len(self.signature.classes)))
        np.add.at(counts, (rows, numbers), 1.0)
        # A balance that was hardly ever seen leans on the shares of all texts, with the weight of one of them.
        prior = (counts.sum(axis=0) + 0.5) / (counts.sum() + 0.5 * counts.shape[1])
        self.shares = (counts + prior) / (counts.sum(axis=1, keepdims=True) + 1)
        loss = -float(np.log(self.shares[rows, numbers]).mean())
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=loss, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        return Probabilities(self.shares[self.balances(texts_of(batch, CARD.name))].astype(np.float32), self.signature.classes)

    def state(self) -> Mapping[str, NDArray]:
        return {"shares": self.shares}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self.shares = state["shares"]

    def balances(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """(n,) number of each text's row in `shares`."""
        return np.array([self._row([sign for sentence in _SENTENCES.split(text.lower()) for sign in self.signs(sentence)]) for text in texts], np.int64)

    def explain(self, batch: Batch) -> Explanation:
        """The good and the bad news that a text's balance is the sum of, by word."""
        found: list[dict[str, float]] = []
        for text in texts_of(batch, CARD.name):
            counted: dict[str, float] = {}
            for sentence in _SENTENCES.split(text.lower()):
                for word, sign in self.news(sentence):
                    counted[word] = counted.get(word, 0.0) + sign
            found.append(counted)
        return by_words(found, 0.0, method=f"the lexicon's balance, which counts up to {MOST} either way", output="balance of good and bad news")

    def signs(self, sentence: str) -> list[int]:
        """The good (1) and bad (-1) news of one sentence in lower case, in the order of its words."""
        return [sign for _, sign in self.news(sentence)]

    def news(self, sentence: str) -> list[tuple[str, int]]:
        """The words of a sentence in lower case that are good (1) or bad (-1) news, in their order."""
        words = _WORDS.findall(sentence)
        quantities = [(place, QUANTITIES[word]) for place, word in enumerate(words) if word in QUANTITIES]
        found = []
        for place, word in enumerate(words):
            if word in DIRECTIONS:
                sign = DIRECTIONS[word] * self._moved(quantities, place)
            elif word in TONES and word not in NEGATIONS:
                sign = TONES[word]
            else:
                continue
            negated = any(other in NEGATIONS for other in words[max(0, place - self.hyperparameters.negation_reach) : place])
            found.append((word, -sign if negated else sign))
        return found

    def _moved(self, quantities: Sequence[tuple[int, int]], place: int) -> int:
        """The sign of the quantity next to a direction: rather the one before it ("costs rose") than one behind it ("a rise in costs")."""
        near = [(place - at if at < place else at - place + 1, sign) for at, sign in quantities if abs(at - place) <= self.hyperparameters.quantity_reach]
        return min(near)[1] if near else 1

    @staticmethod
    def _row(signs: Sequence[int]) -> int:
        return SILENT if not signs else max(-MOST, min(MOST, sum(signs))) + MOST
