"""TF-IDF and logistic regression: words and pairs of words, weighed by how rare they are, and one coefficient for each and class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field

from finml_models.core.errors import DataError
from finml_models.core.estimator import Estimator, OnProgress, Progress, ignore
from finml_models.core.explanations import Explanation
from finml_models.core.predictions import Probabilities
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training

from ._classes import class_numbers
from ._texts import by_words, texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from finml_models.core.batches import Batch

_WORDS = re.compile(r"\b\w\w+\b")
"""Words of two characters and more, as in scikit-learn's `TfidfVectorizer`."""


class TfidfLogisticRegressionHyperparameters(Hyperparameters):
    """What counts as a term, and how much is shrunk."""

    longest: int = Field(2, ge=1, le=3, description="words in a row that make a term, at most")
    least_texts: int = Field(2, ge=1, le=100, description="training texts that a term has to occur in")
    inverse_penalty: float = Field(3.0, ge=1e-3, le=1e3, description="C of the logistic regression; smaller shrinks more", json_schema_extra={"scale": "log"})
    balanced: bool = Field(
        True, description="classes weigh the same whatever their number; off, probabilities are those of the shares, and rare classes suffer"
    )


CARD = ModelCard(
    name="TF-IDF and logistic regression",
    description="Counts of words and pairs of words, damped by a logarithm, weighed by how few texts they occur in, scaled to length one, and a multinomial "
    "logistic regression on them: the linear model that a deep one has to beat.",
    kinds=frozenset({Kind.TEXTS}),
    objectives=frozenset({Objective.CLASSIFY}),
    hyperparameters=TfidfLogisticRegressionHyperparameters,
    strengths=("trains in a second and answers in a millisecond", "reads documents of any length", "a coefficient for each term, which a person can read"),
    weaknesses=(
        "word order beyond pairs is lost: what rose, and whether it did, is not known",
        "a word that was not in training says nothing",
        "with balanced classes its probabilities lean towards the rare ones",
    ),
    best_for=("a few thousand labelled texts", "the reference of every text classifier"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=100, recommended_samples=2_000),
    deployment=Deployment(memory_mb=20),
    references=(
        Paper(title="Term-weighting approaches in automatic text retrieval", year=1988, link="https://doi.org/10.1016/0306-4573(88)90021-0"),
        Paper(title="Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", year=2012, link="https://aclanthology.org/P12-2018/"),
    ),
)


class TfidfLogisticRegression(Estimator[TfidfLogisticRegressionHyperparameters]):
    """softmax(W x + b), x the terms' (1 + log count) · idf, scaled to length one; idf = log((1 + texts) / (1 + texts with the term)) + 1.

    `letters` is the UTF-8 of the terms in ascending order, one a line; idf (terms,), weights (classes, terms), bias (classes,).
    Scikit-learn fits the regression; terms are counted here, so that a prediction needs numpy and scipy alone.
    """

    seeded = False

    letters: NDArray[np.uint8]
    idf: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from both parts: nothing here is stopped early."""
        from sklearn.linear_model import LogisticRegression

        texts = [*texts_of(train, CARD.name), *texts_of(valid, CARD.name)]
        numbers = np.concatenate([class_numbers(part, self.signature) for part in (train, valid)])
        if len(np.unique(numbers)) < 2:
            raise DataError(f"target: all {len(texts)} texts are of one class; give texts of two classes at least")
        counted = [Counter(self._terms(text)) for text in texts]
        spread = Counter(term for counts in counted for term in counts)
        terms = sorted(term for term, number in spread.items() if number >= self.hyperparameters.least_texts)
        if not terms:
            raise DataError(f"texts: no term occurs in {self.hyperparameters.least_texts} of {len(texts)} texts; lower least_texts or give more texts")
        self._take(terms)
        self.idf = np.log((1 + len(texts)) / (1 + np.array([spread[term] for term in self._place], np.float64))) + 1
        fitted = LogisticRegression(
            C=self.hyperparameters.inverse_penalty, class_weight="balanced" if self.hyperparameters.balanced else None, max_iter=1_000, tol=1e-5
        ).fit(self._matrix(counted), numbers)
        self._spread(fitted.classes_, fitted.coef_, fitted.intercept_)
        loss = -float(np.log(np.maximum(self._probabilities(counted)[np.arange(len(numbers)), numbers], 1e-12)).mean())
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=loss, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Probabilities:
        return Probabilities(self._probabilities([Counter(self._terms(text)) for text in texts_of(batch, CARD.name)]), self.signature.classes)

    def explain(self, batch: Batch) -> Explanation:
        """Weight × coefficient of each term, exactly what the regression adds up."""
        texts = texts_of(batch, CARD.name)
        matrix = self._matrix([Counter(self._terms(text)) for text in texts])
        others = np.arange(len(self.weights)) != len(self.weights) - 1
        slope, start = self.weights[-1] - self.weights[others].mean(axis=0), float(self.bias[-1] - self.bias[others].mean())
        terms = list(self._place)
        found = [
            {terms[column]: float(value * slope[column]) for column, value in zip(matrix.indices[a:b], matrix.data[a:b], strict=True)}
            for a, b in pairwise(matrix.indptr)
        ]
        output = f"logit of {self.signature.classes[-1]!r} less the mean of the other logits"
        return by_words(found, start, method="coefficients of the regression, from a text without a known term", output=output)

    def state(self) -> Mapping[str, NDArray]:
        return {"letters": self.letters, "idf": self.idf, "weights": self.weights, "bias": self.bias}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        self._take(state["letters"].tobytes().decode().split("\n"))
        self.idf, self.weights, self.bias = state["idf"], state["weights"], state["bias"]

    def _take(self, terms: list[str]) -> None:
        self.letters = np.frombuffer("\n".join(terms).encode(), np.uint8).copy()
        self._place = {term: place for place, term in enumerate(terms)}

    def _spread(self, present: NDArray[np.int64], weights: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        """Coefficients a class; of two, scikit-learn gives those of the second alone, and none for a class that did not occur."""
        if len(present) == 2:
            weights, bias = np.vstack([-weights / 2, weights / 2]), np.concatenate([-bias / 2, bias / 2])
        self.weights = np.zeros((len(self.signature.classes), len(self._place)))
        self.bias = np.full(len(self.signature.classes), -30.0)
        self.weights[present], self.bias[present] = weights, bias

    def _terms(self, text: str) -> Iterator[str]:
        words = _WORDS.findall(text.lower())
        for length in range(1, self.hyperparameters.longest + 1):
            yield from (" ".join(words[start : start + length]) for start in range(len(words) - length + 1))

    def _matrix(self, counted: Sequence[Counter[str]]) -> csr_array:
        """(n, terms) weights of the terms, each row of length one, or zero where no term is known."""
        from scipy.sparse import csr_array

        known = [[(self._place[term], count) for term, count in counts.items() if term in self._place] for counts in counted]
        ends = np.cumsum([0, *map(len, known)])
        flat = np.array([pair for row in known for pair in row], np.float64).reshape(-1, 2)
        columns = flat[:, 0].astype(np.int64)
        values = (1 + np.log(flat[:, 1])) * self.idf[columns]
        rows = np.repeat(np.arange(len(known)), np.diff(ends))
        length = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(known)))
        return csr_array((values / length[rows], columns, ends), shape=(len(known), len(self._place)))

    def _probabilities(self, counted: Sequence[Counter[str]]) -> NDArray[np.float32]:
        from scipy.special import softmax

        return np.asarray(softmax(self._matrix(counted) @ self.weights.T + self.bias, axis=1), np.float32)
