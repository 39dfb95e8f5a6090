"""News whose truth is known: the embedded default, made by `grammar` from a seed. It is not a benchmark.

How a label comes about. The text is built first, of a meaning that the grammar knows. Then an imperfect annotator labels it:
- a clear text gets its own class with probability 1 - 2a and each of the others with a = 0.03 (`SLIP`);
- a text torn between a good and a bad half gets neutral with 0.5, negative and positive with 0.25 each (`TORN`).
Given the text the label depends on nothing else, so those probabilities are the best possible prediction, and what it scores in
expectation is the ceiling: `ceiling` computes it. With a share m of torn texts, accuracy ≤ (1 - m)·0.94 + m·0.5, and the log
loss cannot fall under (1 - m)·0.2686 + m·1.0397 nats, the mean entropy.

A twentieth of the texts are documents of more than 512 words, a tenth notes of a few sentences. Of all sentences in either,
some carry the meaning and the others are notices; where they stand is random, so that a model that stops reading misses them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .grammar import Draw, loaded, notice, torn, written
from .schema import CLASSES, check

SOURCE = "finml_generated_news"
FIRST_DAY = "2015-01-05"
YEARS = 6
SLIP = 0.03
TORN = (0.25, 0.5, 0.25)
NEUTRAL_SHARE, TORN_SHARE = 0.42, 0.05
NOTE_SHARE, DOCUMENT_SHARE = 0.10, 0.05
DOCUMENT_WORDS = 540


@dataclass(frozen=True)
class Simulated:
    """`frame` is a raw news frame; `truth` has entity, time and p0, p1, p2: the probability of each label given the text."""

    frame: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True)
class Ceiling:
    """What the true probabilities score in expectation; accuracy and log loss can't be beaten, macro-F1 hardly (it is no mean of rows)."""

    accuracy: float
    macro_f1: float
    log_loss: float


def generate(*, seed: int = 20_150_105, texts: int = 5_000) -> Simulated:
    """Headlines, notes and documents of six years, none of them twice, in the order of their publication."""
    rng = np.random.default_rng(seed)
    draw = Draw(rng)
    written_texts: dict[str, int] = {}
    while len(written_texts) < texts:
        text, number = _text(draw)
        written_texts.setdefault(text, number)
    probability = _probabilities(np.array(list(written_texts.values())))
    label = (rng.random((texts, 1)) > probability.cumsum(axis=1)).sum(axis=1)
    time = _moments(rng, texts)
    entity = pd.array([f"n{number:06d}" for number in range(texts)], dtype="str")
    frame = pd.DataFrame(
        {
            "entity": entity,
            "time": time,
            "text": pd.array(list(written_texts), dtype="str"),
            "label": pd.array(np.array(CLASSES, object)[np.minimum(label, 2)], dtype="str"),
            "source": pd.array([SOURCE] * texts, dtype="str"),
            "known_at": time,
        }
    )
    truth = pd.DataFrame({"entity": entity, "time": time, **{f"p{i}": probability[:, i] for i in range(len(CLASSES))}})
    return Simulated(check(frame), truth)


def ceiling(truth: pd.DataFrame) -> Ceiling:
    """The expected scores of always answering with `truth`, on a large sample of the same texts."""
    p = truth[[f"p{i}" for i in range(len(CLASSES))]].to_numpy(np.float64)
    best = p.argmax(axis=1)
    hits = np.bincount(best, weights=p.max(axis=1), minlength=len(CLASSES))
    f1 = 2 * hits / (p.sum(axis=0) + np.bincount(best, minlength=len(CLASSES)))
    return Ceiling(float(p.max(axis=1).mean()), float(f1.mean()), float(-(p * np.log(p)).sum(axis=1).mean()))


_TORN_NUMBER = len(CLASSES)


def _text(draw: Draw) -> tuple[str, int]:
    """A text, and the number of its row in `_probabilities`: that of its class, or `_TORN_NUMBER`."""
    length, meaning = draw.share(), draw.share()
    if length < DOCUMENT_SHARE:
        return _document(draw, neutral=meaning < NEUTRAL_SHARE)
    neutral = meaning < NEUTRAL_SHARE
    if not neutral and meaning > 1 - TORN_SHARE:
        text, number = written(draw, torn(draw)[0]), _TORN_NUMBER
    else:
        sentence, sign = notice(draw) if neutral else loaded(draw)
        text, number = written(draw, sentence), sign + 1
    if length >= DOCUMENT_SHARE + NOTE_SHARE:
        return text, number
    sentences = [written(draw, notice(draw)[0]) for _ in range(draw.whole(2, 7))]
    sentences.insert(draw.whole(0, len(sentences) + 1), text)
    return " ".join(sentences), number


def _document(draw: Draw, *, neutral: bool) -> tuple[str, int]:
    """More than 512 words of notices and, unless it is neutral, three loaded sentences of one sign anywhere among them."""
    sentences: list[str] = []
    words, wanted = 0, DOCUMENT_WORDS + draw.whole(0, 300)
    while words < wanted:
        sentences.append(written(draw, notice(draw)[0]))
        words += sentences[-1].count(" ") + 1
    if neutral:
        return " ".join(sentences), 1
    text, sign = loaded(draw)
    for sentence in (text, loaded(draw, sign)[0], loaded(draw, sign)[0]):
        sentences.insert(draw.whole(0, len(sentences) + 1), written(draw, sentence))
    return " ".join(sentences), sign + 1


def _probabilities(number: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, classes) probability of each label. Shape of `number`: (n,)."""
    table = np.full((_TORN_NUMBER + 1, len(CLASSES)), SLIP)
    np.fill_diagonal(table, 1 - 2 * SLIP)
    table[_TORN_NUMBER] = TORN
    return table[number]


def _moments(rng: np.random.Generator, texts: int) -> NDArray[np.datetime64]:
    """(texts,) ascending minutes of working days, between seven and eighteen o'clock."""
    days = pd.bdate_range(FIRST_DAY, periods=YEARS * 261).to_numpy().astype("datetime64[m]")
    minutes = np.sort(rng.choice(len(days) * 660, size=texts, replace=texts > len(days) * 660))
    return np.asarray(days[minutes // 660] + np.timedelta64(420, "m") + (minutes % 660).astype("timedelta64[m]"), "datetime64[us]")
