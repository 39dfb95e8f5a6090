"""News analysis: requests as they are sent, features of the text alone, labels a day later, answers that say who read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import published_weights
import pytest
from pydantic import ValidationError

from finml_models.baselines.class_prior import ClassPriorHyperparameters
from finml_models.baselines.majority_class import MajorityClass
from finml_models.core import artifact, serving
from finml_models.core.artifact import Artifact
from finml_models.core.errors import DataError
from finml_models.core.estimator import Estimator, TrainingConfig
from finml_models.core.spec import Kind
from finml_models.core.texts import Texts
from finml_models.datasets.news import schema, synthetic
from finml_models.nlp.finbert.card import FinBERTHyperparameters
from finml_models.nlp.finbert.model import FinBERT
from finml_models.tasks._news import MOST_CHARACTERS, NewsRequest, NewsResponse
from finml_models.tasks.news_analysis import CLASSES, LABEL_DAYS, NewsAnalysis

TASK = NewsAnalysis()
QUICK = TrainingConfig(max_epochs=1, device="cpu")


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return synthetic.generate(seed=6, texts=400).frame


@pytest.fixture(scope="module")
def batch(raw: pd.DataFrame) -> Texts:
    return TASK.texts(TASK.features(raw), TASK.target(raw))


def item(**changes: Any) -> dict[str, Any]:
    return {"entity": "d1", "time": "2021-06-01T09:30:00Z", "text": "Operating profit rose."} | changes


def request(*items: dict[str, Any]) -> NewsRequest:
    return NewsRequest.model_validate_json(json.dumps({"rows": items}))


def packed(estimator: Estimator[Any], batch: Texts, root: Path, entry: str) -> Artifact:
    folder = artifact.save(root, estimator, task="news_analysis", entry=entry, fingerprint={}, reference=serving.training_range(batch))
    return artifact.load(folder)


def test_a_request_becomes_a_raw_frame_in_utc() -> None:
    frame = TASK.raw(request(item(entity="z"), item(entity="a", time="2021-06-01T09:30:00+02:00")))
    assert frame["entity"].tolist() == ["a", "z"]
    assert frame["time"].tolist() == [pd.Timestamp("2021-06-01 07:30"), pd.Timestamp("2021-06-01 09:30")]
    schema.check(frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"text": ""},
        {"text": " \n\t\u00a0"},
        {"text": "\u0000\u0007"},
        {"text": "x" * (MOST_CHARACTERS + 1)},
        {"text": None},
        {"text": 7},
        {"text": ["Profit rose."]},
        {"time": "2021-06-01T09:30:00"},
        {"time": "yesterday"},
        {"time": 1_622_540_000},
        {"entity": ""},
        {"entity": "x" * 129},
        {"label": "positive"},
    ],
    ids=str,
)
def test_a_request_is_refused_for(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(item(**changes))


def test_an_empty_request_and_one_of_too_many_rows_are_refused() -> None:
    for items in ([], [item(entity=str(i)) for i in range(1_001)]):
        with pytest.raises(ValidationError):
            request(*items)


def test_half_a_surrogate_pair_is_refused_in_a_request() -> None:
    with pytest.raises(ValidationError):
        NewsRequest.model_validate_json('{"rows": [{"entity": "d1", "time": "2021-06-01T09:30:00Z", "text": "profit \\ud83d rose"}]}')


def test_an_id_that_comes_twice_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="d1 stand there more than once"):
        TASK.raw(request(item(), item(text="Costs rose.")))


def test_features_are_the_text_in_one_form() -> None:
    frame = pd.DataFrame({"entity": ["a"], "time": pd.to_datetime(["2021-06-01"]), "text": ["  cafe\u0301\x00 profit\n\n rose "]})
    assert TASK.features(frame)["text"].tolist() == ["caf\u00e9 profit rose"]


def test_a_label_is_a_class_number_known_a_day_after_the_publication(raw: pd.DataFrame) -> None:
    y = TASK.target(raw)
    assert [CLASSES[int(number)] for number in y["class"]] == raw["label"].tolist()
    assert (y["until"] - y["time"] == pd.Timedelta(days=LABEL_DAYS)).all()


def test_what_is_not_labelled_yet_is_no_training_row_and_can_be_asked_about(raw: pd.DataFrame) -> None:
    at = raw["time"].iloc[300].to_datetime64()
    early = TASK.known(raw, at)
    x, y = TASK.features(early), TASK.target(early)
    waiting = (early["time"] + pd.Timedelta(days=1) > at).sum()
    assert waiting > 0
    assert len(TASK.texts(x)) == 301
    assert len(TASK.texts(x, y)) == 301 - waiting
    assert (TASK.texts(x, y).until <= at).all()


def test_rows_are_in_the_order_of_time_whatever_their_order_was(raw: pd.DataFrame, batch: Texts) -> None:
    shuffled = raw.sample(frac=1, random_state=0).reset_index(drop=True)
    again = TASK.view(Kind.TEXTS, TASK.features(shuffled), TASK.target(shuffled))
    np.testing.assert_array_equal(again.texts, batch.texts)
    np.testing.assert_array_equal(again.target, batch.target)


def test_there_is_no_other_view(raw: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="has no view 'table'"):
        TASK.view(Kind.TABLE, TASK.features(raw))


def test_words_stand_for_tokens_when_long_documents_are_scored(batch: Texts) -> None:
    tokens = TASK.facts(batch)["tokens"]
    assert (tokens > 512).sum() > 5
    assert tokens[0] == batch.texts[0].count(" ") + 1


def test_the_stand_in_says_in_every_answer_that_it_is_not_finbert(batch: Texts, tmp_path: Path) -> None:
    estimator = FinBERT(FinBERTHyperparameters(max_length=16), TASK.signature(batch), QUICK).fit(batch, batch)
    held = packed(estimator, batch, tmp_path, "finbert")
    answer = serving.answer(held, request(item(), item(entity="d2", text="Costs rose. " * 10)))
    assert isinstance(answer, NewsResponse)
    assert "not FinBERT" in answer.weights
    assert [text.entity for text in answer.texts] == ["d1", "d2"]
    assert [warning for warning in answer.warnings if "reads the first 16" in warning] == ["d2: it has 32 tokens and the model reads the first 16"]


def test_published_weights_are_named_in_every_answer(batch: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_WEIGHTS", str(published_weights.write(tmp_path / "weights")))
    estimator = FinBERT(FinBERTHyperparameters(weights="ProsusAI/finbert"), TASK.signature(batch), QUICK).fit(batch, batch)
    held = packed(estimator, batch, tmp_path / "artifacts", "finbert")
    answer = serving.answer(held, request(item()))
    assert answer.weights.startswith("ProsusAI/finbert at commit 4556d1301521")
    assert held.record.hyperparameters["weights"] == "ProsusAI/finbert"


def test_a_reader_without_an_encoder_names_no_weights(batch: Texts, tmp_path: Path) -> None:
    estimator = MajorityClass(ClassPriorHyperparameters(), TASK.signature(batch)).fit(batch, batch)
    answer = serving.answer(packed(estimator, batch, tmp_path, "majority_class"), request(item()))
    assert answer.weights is None
    assert all("outside the training range" in warning for warning in answer.warnings)


def test_an_answer_holds_a_distribution_and_its_likeliest_label(batch: Texts, tmp_path: Path) -> None:
    estimator = FinBERT(FinBERTHyperparameters(), TASK.signature(batch), QUICK).fit(batch, batch)
    rows = batch.take(np.arange(30))
    answer = TASK.respond(rows, estimator.predict(rows), version="v")
    for text, values in zip(answer.texts, estimator.predict(rows).values, strict=True):
        p = text.probabilities.model_dump()
        assert sum(p.values()) == pytest.approx(1, abs=1e-5)
        assert text.label == max(p, key=p.__getitem__) == CLASSES[values.argmax()]
        assert text.as_of.utcoffset().total_seconds() == 0


def test_the_schema_of_a_request_explains_itself() -> None:
    fields = NewsRequest.model_json_schema()["$defs"]["NewsItem"]["properties"]
    assert all(field.get("description") and field.get("examples") for field in fields.values())


def test_rows_from_the_corpus_of_the_weights_are_contaminated(raw: pd.DataFrame) -> None:
    model = FinBERT(FinBERTHyperparameters(weights="ProsusAI/finbert"), TASK.signature(TASK.texts(TASK.features(raw))))
    assert model.contaminated_by(TASK.corpora(raw)) == ()
    copied = raw.assign(source=pd.array(["financial_phrasebank"] * len(raw), dtype="str"))
    assert model.contaminated_by(TASK.corpora(copied)) == ("financial_phrasebank",)
