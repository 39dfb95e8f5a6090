"""News frames: what the schema refuses, what cleaning repairs, and a generator whose ceiling is known."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from finml_models.core.errors import DataError
from finml_models.datasets.news import synthetic
from finml_models.datasets.news.clean import clean
from finml_models.datasets.news.schema import CLASSES, check, corpora
from finml_models.datasets.news.wording import LONGEST, normalised
from finml_models.evaluation.metrics.classification import macro_f1

PROBABILITIES = ["p0", "p1", "p2"]


@pytest.fixture(scope="module")
def simulated() -> synthetic.Simulated:
    return synthetic.generate()


def rows(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(
        {"entity": ["b", "a"], "time": ["2020-01-02T09:00:00Z", "2020-01-03T09:00:00+01:00"], "text": ["Profit rose.", "Profit fell."], **columns}
    )


def test_clean_rows_are_a_raw_frame_in_utc_sorted_by_entity() -> None:
    frame, repairs = clean(rows(label=[" Positive", "negative"]))
    assert frame["entity"].tolist() == ["a", "b"]
    assert frame["time"].tolist() == [pd.Timestamp("2020-01-03 08:00"), pd.Timestamp("2020-01-02 09:00")]
    assert frame["label"].tolist() == ["negative", "positive"]
    assert frame["known_at"].equals(frame["time"])
    assert repairs == {"empty_texts": 0, "copies": 0}


def test_a_copy_of_a_text_is_left_out_and_the_first_published_stays() -> None:
    frame, repairs = clean(rows(text=["Profit  rose.\n", "Profit rose."]))
    assert frame["entity"].tolist() == ["b"]
    assert repairs["copies"] == 1


@pytest.mark.parametrize("empty", ["", "  \n\t", "\x00\x07", None, float("nan")])
def test_rows_without_a_text_are_left_out_and_counted(empty: object) -> None:
    frame, repairs = clean(rows(text=["Profit rose.", empty]))
    assert len(frame) == 1
    assert repairs["empty_texts"] == 1


def test_a_label_may_be_missing_and_may_not_be_another_word() -> None:
    frame, _ = clean(rows(label=["positive", None]))
    assert frame["label"].isna().tolist() == [True, False]
    with pytest.raises(DataError, match="'bullish'"):
        clean(rows(label=["positive", "bullish"]))


def test_missing_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"\['text'\] are missing"):
        clean(rows().drop(columns="text"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: f.assign(text=""),
        lambda f: f.assign(text="   "),
        lambda f: f.assign(label="bullish"),
        lambda f: f.assign(known_at=f["time"] - pd.Timedelta(minutes=1)),
        lambda f: f.iloc[::-1].reset_index(drop=True),
        lambda f: f.assign(entity=f["entity"].iloc[0], time=f["time"].iloc[0]),
        lambda f: f.drop(columns="known_at"),
    ],
    ids=["empty text", "blank text", "unknown label", "known before published", "unsorted", "twice the same", "no known_at"],
)
def test_the_schema_refuses(simulated: synthetic.Simulated, spoil: object) -> None:
    frame = simulated.frame.head(5)
    with pytest.raises(DataError, match="not a raw news frame"):
        check(spoil(frame))


def test_corpora_are_the_named_sources(simulated: synthetic.Simulated) -> None:
    frame = simulated.frame.head(2)
    assert corpora(frame.assign(source=pd.array(["financial_phrasebank", None], dtype="str"))) == {"financial_phrasebank"}
    assert corpora(frame.drop(columns="source")) == frozenset()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("  profit\t rose\u00a0\n", "profit rose"),
        ("cafe\u0301", "caf\u00e9"),
        ("profit\x00rose", "profit rose"),
        ("\ud83d", "\ufffd"),
        ("\U0001f680", "\U0001f680"),
        ("PROFIT Rose!", "PROFIT Rose!"),
        ("x" * (LONGEST + 5), "x" * LONGEST),
    ],
)
def test_a_text_has_one_form(written: str, read: str) -> None:
    assert normalised(written) == read
    assert normalised(read) == read
    read.encode()


def test_the_generator_repeats_itself_by_seed() -> None:
    first, second, other = (synthetic.generate(seed=seed, texts=200) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.frame, second.frame)
    pd.testing.assert_frame_equal(first.truth, second.truth)
    assert not first.frame["text"].equals(other.frame["text"])


def test_generation_takes_less_than_a_second() -> None:
    began = time.process_time()
    synthetic.generate(seed=9)
    assert time.process_time() - began < 1


def test_the_corpus_is_what_its_documentation_says(simulated: synthetic.Simulated) -> None:
    frame = check(simulated.frame)
    words = frame["text"].str.count(" ") + 1
    assert len(frame) == 5_000
    assert not frame["text"].duplicated().any()
    assert all(normalised(text) == text for text in frame["text"].head(500))
    assert 0.04 < (words > 512).mean() < 0.06
    assert words[words <= 512].max() < 200
    assert frame["time"].dt.day_of_week.max() < 5
    assert frame["time"].is_monotonic_increasing
    assert 0.25 < (frame["label"] == "negative").mean() < 0.35
    assert 0.25 < (frame["label"] == "positive").mean() < 0.35


def test_the_ceiling_follows_from_the_share_of_torn_texts(simulated: synthetic.Simulated) -> None:
    p, best = simulated.truth[PROBABILITIES].to_numpy(), synthetic.ceiling(simulated.truth)
    torn = (p.max(axis=1) == 0.5).mean()
    assert torn == pytest.approx(0.05 * 0.95, abs=0.01)
    assert best.accuracy == pytest.approx((1 - torn) * 0.94 + torn * 0.5)
    assert best.log_loss == pytest.approx((1 - torn) * 0.2686 + torn * 1.0397, abs=1e-4)


def test_labels_follow_the_truth_and_reach_its_ceiling(simulated: synthetic.Simulated) -> None:
    p, best = simulated.truth[PROBABILITIES].to_numpy(), synthetic.ceiling(simulated.truth)
    label = simulated.frame["label"].map({name: number for number, name in enumerate(CLASSES)}).to_numpy()
    assert (np.abs(np.bincount(label, minlength=3) - p.sum(axis=0)) < 4 * np.sqrt((p * (1 - p)).sum(axis=0))).all()
    error = np.sqrt(best.accuracy * (1 - best.accuracy) / len(p))
    assert (p.argmax(axis=1) == label).mean() == pytest.approx(best.accuracy, abs=4 * error)
    assert macro_f1(label, p.argmax(axis=1)) == pytest.approx(best.macro_f1, abs=4 * error)
    assert -np.log(p[np.arange(len(p)), label]).mean() == pytest.approx(best.log_loss, abs=0.05)


def test_the_ceiling_is_what_many_labels_of_the_same_texts_give(simulated: synthetic.Simulated) -> None:
    p, best = simulated.truth[PROBABILITIES].to_numpy(), synthetic.ceiling(simulated.truth)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([(rng.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1) for _ in range(40)])
    assert macro_f1(drawn, np.tile(p.argmax(axis=1), 40)) == pytest.approx(best.macro_f1, abs=0.003)
