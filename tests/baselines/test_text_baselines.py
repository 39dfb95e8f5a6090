"""Reference readers of texts: scikit-learn's own predictions, the published figures of a public corpus, and rules one can read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from finml_models.baselines import _finance_words
from finml_models.baselines.class_prior import ClassPriorHyperparameters
from finml_models.baselines.finance_lexicon import CARD as LEXICON
from finml_models.baselines.finance_lexicon import SILENT, FinanceLexicon, FinanceLexiconHyperparameters
from finml_models.baselines.majority_class import MajorityClass
from finml_models.baselines.tfidf_logistic_regression import TfidfLogisticRegression, TfidfLogisticRegressionHyperparameters
from finml_models.core.batches import Table
from finml_models.core.errors import DataError
from finml_models.core.estimator import Estimator, Signature
from finml_models.core.spec import Kind, Objective
from finml_models.core.texts import Texts
from finml_models.datasets.news import synthetic
from finml_models.evaluation.metrics.classification import macro_f1

CLASSES = ("negative", "neutral", "positive")
SIGNATURE = Signature(kind=Kind.TEXTS, objective=Objective.CLASSIFY, feature_names=("words",), classes=CLASSES)


def texts(written: list[str], labels: list[int] | None = None) -> Texts:
    held = np.empty(len(written), object)
    held[:] = written
    times = np.datetime64("2020-01-01", "us") + np.arange(len(written)) * np.timedelta64(1, "m")
    return Texts(held, times, np.array([f"d{i}" for i in range(len(written))]), None if labels is None else np.array(labels, np.float32)[:, None])


@pytest.fixture(scope="module")
def news() -> Texts:
    frame = synthetic.generate(seed=4, texts=1_200).frame
    return texts(frame["text"].tolist(), frame["label"].map(CLASSES.index).tolist())


def split(batch: Texts) -> tuple[Texts, Texts, Texts]:
    return batch.take(np.arange(700)), batch.take(np.arange(700, 800)), batch.take(np.arange(800, len(batch)))


def probabilities(model: Estimator[Any], batch: Texts) -> np.ndarray:
    found = model.predict(batch)
    assert found.classes == CLASSES
    return np.stack(list(found.columns().values()), axis=1)


def linear(**changes: object) -> TfidfLogisticRegression:
    return TfidfLogisticRegression(TfidfLogisticRegressionHyperparameters(**changes), SIGNATURE)


@pytest.mark.parametrize("changes", [{}, {"longest": 1, "least_texts": 1}, {"longest": 3, "balanced": False, "inverse_penalty": 0.5}])
def test_the_linear_model_predicts_what_scikit_learn_predicts(news: Texts, changes: dict[str, object]) -> None:
    train, valid, test = split(news)
    known = train.join(valid)
    model = linear(**changes).fit(train, valid)
    h = model.hyperparameters
    vectors = TfidfVectorizer(ngram_range=(1, h.longest), min_df=h.least_texts, sublinear_tf=True)
    fitted = LogisticRegression(C=h.inverse_penalty, class_weight="balanced" if h.balanced else None, max_iter=1_000, tol=1e-5)
    fitted.fit(vectors.fit_transform(known.texts), known.target[:, 0].astype(int))
    expected = fitted.predict_proba(vectors.transform(test.texts))
    np.testing.assert_allclose(model.predict(test).values, expected, atol=2e-4)
    np.testing.assert_allclose(model.idf, vectors.idf_, rtol=1e-12)
    # With scikit-learn's own coefficients the two agree to rounding.
    model.weights, model.bias = fitted.coef_, fitted.intercept_
    np.testing.assert_allclose(model.predict(test).values, expected, rtol=1e-5, atol=1e-7)


def test_of_two_classes_in_training_the_third_is_all_but_impossible() -> None:
    batch = texts(["profit rose", "profit fell", "profit rose again", "profit fell again"] * 5, [2, 0, 2, 0] * 5)
    p = probabilities(linear().fit(batch, batch), batch)
    assert (p[:, 1] < 1e-9).all()
    assert (p.argmax(axis=1) == batch.target[:, 0]).all()
    fitted = LogisticRegression(C=3.0, class_weight="balanced", max_iter=1_000, tol=1e-5)
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    both = batch.join(batch)
    expected = fitted.fit(vectors.fit_transform(both.texts), both.target[:, 0]).predict_proba(vectors.transform(batch.texts))
    np.testing.assert_allclose(p[:, [0, 2]], expected, atol=1e-4)


def test_a_text_of_unknown_words_gets_the_intercepts_and_no_error(news: Texts) -> None:
    model = linear().fit(*split(news)[:2])
    first, second = probabilities(model, texts(["zzzz qqqq", "🚀"]))
    np.testing.assert_array_equal(first, second)


def test_the_linear_model_refuses_what_it_cannot_learn_from() -> None:
    one_class, no_term = texts(["profit rose"] * 4, [1] * 4), texts(["profit", "loss", "debt", "costs"], [0, 1, 0, 1])
    with pytest.raises(DataError, match="one class"):
        linear().fit(one_class, one_class)
    with pytest.raises(DataError, match="no term occurs"):
        linear(least_texts=3).fit(no_term, no_term)


def test_the_linear_models_state_holds_terms_as_bytes_and_gives_equal_bits(news: Texts) -> None:
    train, valid, test = split(news)
    model, again = linear().fit(train, valid), linear()
    again.restore(model.state())
    np.testing.assert_array_equal(again.predict(test).values, model.predict(test).values)
    assert {array.dtype.kind for array in model.state().values()} == {"u", "f"}


def test_public_sentences_are_classified_as_well_as_by_the_reference_baseline(test_data: Path) -> None:
    """Financial PhraseBank without repeats, five folds: accuracy 0.769, macro-F1 0.727; with full agreement 0.892 and 0.853."""
    frame = pd.read_csv(test_data / "sentiment" / "financial_phrasebank.csv.gz").drop_duplicates("text")
    for least, accuracy, f1 in ((50, 0.769, 0.727), (100, 0.892, 0.853)):
        rows = frame[frame["min_agreement_pct"] >= least]
        batch = texts(rows["text"].tolist(), rows["sentiment"].map(CLASSES.index).tolist())
        said = out_of_fold(linear(), batch)
        assert (said == batch.target[:, 0]).mean() == pytest.approx(accuracy, abs=0.02)
        assert macro_f1(batch.target[:, 0], said) == pytest.approx(f1, abs=0.02)


def test_the_word_list_beats_the_majority_on_public_sentences_that_it_has_never_seen(test_data: Path) -> None:
    frame = pd.read_csv(test_data / "sentiment" / "financial_phrasebank.csv.gz").drop_duplicates("text")
    batch = texts(frame["text"].tolist(), frame["sentiment"].map(CLASSES.index).tolist())
    said = out_of_fold(lexicon(), batch)
    assert (said == batch.target[:, 0]).mean() > 0.70  # the majority has 0.594
    assert macro_f1(batch.target[:, 0], said) > 0.65


def out_of_fold(model: Estimator[Any], batch: Texts) -> np.ndarray:
    said = np.empty(len(batch), np.int64)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(batch.texts, batch.target[:, 0]):
        said[test] = probabilities(model.fit(batch.take(train[:-5]), batch.take(train[-5:])), batch.take(test)).argmax(axis=1)
    return said


def lexicon(**changes: int) -> FinanceLexicon:
    return FinanceLexicon(FinanceLexiconHyperparameters(**changes), SIGNATURE)


@pytest.mark.parametrize(
    ("sentence", "signs"),
    [
        ("operating profit rose", [1]),
        ("operating costs rose", [-1]),
        ("operating costs fell sharply", [1]),
        ("the lender reported a rise in costs", [-1]),
        ("profit did not rise", [-1]),
        ("costs did not rise", [1]),
        ("the group won an order", [1]),
        ("the group has not won an order", [-1]),
        ("the group lost its case", [-1]),
        ("it lies higher than before", [1]),
        ("profit rose while costs rose", [1, -1]),
        ("the meeting takes place on monday", []),
    ],
)
def test_the_word_list_reads(sentence: str, signs: list[int]) -> None:
    assert lexicon().signs(sentence) == signs


def test_reaches_of_zero_know_no_negation_and_no_quantity() -> None:
    assert lexicon(negation_reach=0).signs("profit did not rise") == [1]
    assert lexicon(quantity_reach=0).signs("costs rose") == [1]


def test_a_negation_ends_with_its_sentence() -> None:
    assert lexicon().balances(["It is not. Profit rose."]).tolist() == lexicon().balances(["Profit rose."]).tolist()


def test_balances_are_cut_and_silence_has_a_row_of_its_own() -> None:
    found = lexicon().balances(["profit rose. " * 9, "costs rose. " * 9, "profit rose and profit fell", "nothing to see"])
    assert found.tolist() == [6, 0, 3, SILENT]


def test_a_word_is_on_one_list_only() -> None:
    lists = [set(_finance_words.QUANTITIES), set(_finance_words.DIRECTIONS), set(_finance_words.TONES), set(_finance_words.NEGATIONS)]
    assert sum(map(len, lists)) == len(set.union(*lists))
    assert all(word == word.lower() and " " not in word for word in set.union(*lists))


def test_the_word_lists_probabilities_are_the_shares_of_its_balances() -> None:
    batch = texts(["profit rose"] * 60 + ["costs rose"] * 40, [2] * 50 + [1] * 10 + [0] * 40)
    p = probabilities(lexicon().fit(batch, batch), texts(["revenue rose", "debt rose", "no word of it"]))
    assert p[0] == pytest.approx([0.0, 1 / 6, 5 / 6], abs=0.01)
    assert p[1] == pytest.approx([1.0, 0.0, 0.0], abs=0.01)
    # Never seen: the shares of all.
    assert p[2] == pytest.approx([0.4, 0.1, 0.5], abs=0.01)


def test_the_majority_reads_nothing() -> None:
    batch = texts(["profit rose", "profit fell", "profit rose"], [2, 1, 2])
    p = probabilities(MajorityClass(ClassPriorHyperparameters(), SIGNATURE).fit(batch, batch), texts(["costs", "loss"]))
    assert p.argmax(axis=1).tolist() == [2, 2]
    np.testing.assert_array_equal(p[0], p[1])


def test_a_table_is_no_text() -> None:
    table = Table(np.zeros((2, 1), np.float32), ("x",), np.zeros(2, "datetime64[us]"), np.array(["a", "b"]), np.array([[0.0], [1.0]], np.float32))
    with pytest.raises(TypeError, match=f"{LEXICON.name} reads texts, not Table"):
        lexicon().fit(table, table)


def test_terms_add_up_to_the_logits_that_are_predicted(news: Texts) -> None:
    train, valid, test = split(news)
    model = TfidfLogisticRegression(TfidfLogisticRegressionHyperparameters(), SIGNATURE).fit(train, valid)
    rows = test.take(np.arange(20))
    found, logs = model.explain(rows), np.log(probabilities(model, rows).astype(np.float64))
    np.testing.assert_allclose(found.value, logs[:, 2] - logs[:, :2].mean(axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.gap, 0, atol=1e-5)
    there = ~np.isnan(found.parts[0].weights)
    for text, row in zip(rows.texts, there, strict=True):
        words = set(re.findall(r"\b\w\w+\b", text.lower()))
        assert all(set(name.split()) <= words for name in np.array(found.parts[0].names)[row])


def test_the_lexicon_names_the_words_that_its_balance_counts() -> None:
    model = FinanceLexicon(FinanceLexiconHyperparameters(), SIGNATURE)
    rows = texts(["Profits rose. Costs fell, but a lawsuit looms.", "The meeting is on Monday."])
    found = model.explain(rows)
    told = [dict(zip(found.parts[0].names, row, strict=True)) for row in found.parts[0].weights]
    assert (told[0]["rose"], told[0]["fell"]) == (1, 1)
    assert np.isnan(list(told[1].values())).all()
    assert found.value[1] == 0
    assert model.balances(rows.texts.tolist())[0] == int(found.value[0]) + 3


def test_the_majority_class_names_no_word(news: Texts) -> None:
    train, valid, test = split(news)
    (part,) = MajorityClass(ClassPriorHyperparameters(), SIGNATURE).fit(train, valid).explain(test.take(np.arange(3))).parts
    assert (part.names, part.weights.shape) == ((), (3, 0))
