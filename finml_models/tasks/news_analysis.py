"""News analysis: the sentiment of a headline or a document in three classes."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, Gate, Task


class NewsAnalysis(Task):
    """A headline or a document to the probabilities of negative, neutral and positive."""

    name = "News analysis"
    description = (
        "A headline or a document in; calibrated probabilities of negative, neutral and positive out. Scored by macro-F1, on long documents "
        "also against the cut at 512 tokens. Weights are never scored on the set that they were tuned on: such a result is flagged as "
        "contaminated. Sentiment is what the words say, not what the price will do."
    )
    dataset = "news"
    objective = Objective.CLASSIFY
    kinds = (Kind.TEXTS,)
    metrics = ("macro_f1", "ece", "macro_f1_long_documents")
    baselines = ("majority_class", "finance_lexicon", "tfidf_logistic_regression")
    # A document of 4,096 tokens takes seconds on one core, and BERT-sized weights take hundreds of megabytes.
    gate = Gate(version="news_analysis/1", naive=("majority_class",), margin=0.02, coverage=None, budget=BudgetGuard(milliseconds=20_000, megabytes=1_000))
