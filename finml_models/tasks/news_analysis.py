"""News analysis: the sentiment of a headline or a document in three classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.task import BudgetGuard, CalibrationGuard, Gate, SeedGuard, Task, WalkForward, WorstSliceGuard

from ._classes import labels, view_rows
from ._news import NewsRequest, NewsResponse, Reader, Sentiment, TextSentiment, request_frame, unread
from ._realised import LabelOutcome, of_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame
    from pydantic import BaseModel

    from finml_models.core.predictions import Probabilities
    from finml_models.core.realised import Outcomes, Realised
    from finml_models.core.task import Explainable
    from finml_models.core.texts import Texts

CLASSES = ("negative", "neutral", "positive")
LABEL_DAYS = 1
"""Days from the publication until a label is there: somebody has to read the text first."""


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
    split = WalkForward(folds=3)
    unit = "entity"
    metrics = ("macro_f1", "ece", "macro_f1_long_documents")
    baselines = ("majority_class", "finance_lexicon", "tfidf_logistic_regression")
    gate = Gate(
        version="news_analysis/2",
        naive=("majority_class",),
        # Who reads whole documents has to be better for it than with the rest of each cut away.
        ablations=("cut_at_512",),
        margin=0.02,
        coverage=None,
        calibration=CalibrationGuard(within=0.05),
        worst_slice=WorstSliceGuard(by="year", within=0.25),
        seeds=SeedGuard(within=0.1),
        # A document of 4,096 tokens takes seconds on one core, and BERT-sized weights take hundreds of megabytes.
        budget=BudgetGuard(milliseconds=20_000, megabytes=1_000),
    )
    request = NewsRequest
    response = NewsResponse
    outcome = LabelOutcome
    # Macro-F1 has no value a row; the Brier score is proper, and bounded.
    loss = "brier"

    def known(self, raw: DataFrame, at: np.datetime64) -> DataFrame:
        """Texts that could be read by then, without the labels that came later."""
        early = raw[raw["known_at"] <= at].reset_index(drop=True)
        if "label" in early.columns:
            early.loc[_labelled_at(early) > at, "label"] = None
        return early

    def features(self, raw: DataFrame) -> DataFrame:
        """The text, with its Unicode and white space in one form, each row from itself alone."""
        import pandas as pd

        from finml_models.datasets.news.wording import normalised

        frame = raw[["entity", "time"]].reset_index(drop=True)
        frame["text"] = pd.array([normalised(text) for text in raw["text"]], dtype="str")
        return frame

    def target(self, raw: DataFrame) -> DataFrame:
        """The number of the label, known a day after the publication; NaN where nobody has labelled the text."""
        frame = raw[["entity", "time"]].reset_index(drop=True)
        label = raw["label"].reset_index(drop=True)
        frame["until"] = _labelled_at(frame).where(label.notna())
        frame["class"] = label.map({name: number for number, name in enumerate(CLASSES)}).astype("float64")
        return frame

    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Texts:
        """The `texts`, the only view."""
        if kind is not Kind.TEXTS:
            raise ValueError(f"kind: news analysis has no view {kind.value!r}; use 'texts'")
        return self.texts(x, y)

    def texts(self, x: DataFrame, y: DataFrame | None = None) -> Texts:
        """All texts, or with `y` those that have a label, by (time, entity)."""
        import numpy as np

        from finml_models.core.texts import Texts

        rows = view_rows(x, y)
        return Texts(
            texts=x["text"].to_numpy(object)[rows],
            times=x["time"].to_numpy()[rows],
            entities=x["entity"].to_numpy(dtype=np.str_)[rows],
            **labels(y, rows),
        )

    def signature(self, batch: Texts) -> Signature:
        """The classes, and the number of words as the one input whose range is watched."""
        return Signature(kind=batch.kind, objective=self.objective, feature_names=("words",), classes=CLASSES)

    def corpora(self, raw: DataFrame) -> frozenset[str]:
        """What the texts name as their source."""
        from finml_models.datasets.news.schema import corpora

        return corpora(raw)

    def facts(self, batch: Texts) -> Mapping[str, NDArray[Any]]:
        """`tokens`: the words. A word has one word piece or more, so a text of more than 512 words fits into no reader of 512 tokens."""
        return {"tokens": batch.inputs[:, 0]}

    def raw(self, request: BaseModel) -> DataFrame:
        """The texts of a request as training saw them, without labels."""
        return request_frame(request)

    def respond(
        self, batch: Texts, prediction: Probabilities, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None
    ) -> NewsResponse:
        """Label and probabilities of each text; `explain` holds the model, which says whose weights it has and what it did not read."""
        from datetime import UTC

        reader = explain.estimator if explain is not None and isinstance(explain.estimator, Reader) else None
        answers = tuple(
            TextSentiment(
                entity=str(entity),
                as_of=time.astype("datetime64[us]").item().replace(tzinfo=UTC),
                label=CLASSES[int(p.argmax())],
                probabilities=Sentiment(**{name: min(1.0, float(value)) for name, value in zip(CLASSES, p, strict=True)}),
                words=int(words),
            )
            for entity, time, p, words in zip(batch.entity, batch.time, prediction.values, batch.inputs[:, 0], strict=True)
        )
        return NewsResponse(
            version=version,
            weights=None if reader is None else reader.weights,
            texts=answers,
            warnings=warnings if reader is None else (*warnings, *unread(reader, batch)),
        )

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """Probabilities beside the label that a reader gave."""
        return of_classes(answer["texts"], outcomes, lambda known: CLASSES.index(known["label"]), lambda one: [one["probabilities"][name] for name in CLASSES])

    def came_true(self, target: tuple[float, ...]) -> LabelOutcome:
        """The label."""
        return LabelOutcome.model_validate({"label": CLASSES[int(target[0])]})


def _labelled_at(frame: DataFrame) -> Any:
    import pandas as pd

    return frame["time"] + pd.Timedelta(days=LABEL_DAYS)
