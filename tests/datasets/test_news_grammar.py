"""The grammar of generated news: every sentence means what its parts say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from finml_models.datasets.news import grammar
from finml_models.datasets.news.grammar import FALLING, FALLS, RISES, RISING, UNWELCOME, WELCOME, Draw


@pytest.fixture
def draw() -> Draw:
    return Draw(np.random.default_rng(0))


def quantity(sentence: str) -> int:
    """The sign of the growth of the quantity that a sentence is about."""
    return next(sign for name, sign in sorted([*((n, 1) for n in WELCOME), *((n, -1) for n in UNWELCOME)], key=lambda pair: -len(pair[0])) if name in sentence)


def direction(sentence: str) -> int:
    words = {**dict.fromkeys(RISES + RISING, 1), **dict.fromkeys(FALLS + FALLING, -1)}
    return next(sign for word, sign in sorted(words.items(), key=lambda pair: -len(pair[0])) if re.search(rf"\b{word}\b", sentence))


def test_a_move_has_the_sign_of_its_quantity_times_that_of_its_verb(draw: Draw) -> None:
    for _ in range(500):
        sentence, sign = grammar.move(draw)
        if " reported " not in sentence:
            assert sign == quantity(sentence) * direction(sentence), sentence


def test_a_reported_move_has_the_sign_of_its_quantity_times_that_of_its_name(draw: Draw) -> None:
    reported = [found for found in (grammar.move(draw) for _ in range(500)) if " reported " in found[0]]
    assert len(reported) > 50
    for sentence, sign in reported:
        up = 1 if any(f" {name} in " in sentence for name in grammar.RISE_NAMES) else -1
        assert sign == quantity(sentence.partition(" in ")[2]) * up, sentence


def test_figures_are_compared(draw: Draw) -> None:
    for _ in range(300):
        sentence, sign = grammar.figures(draw)
        new, old = (int(number) for number in re.findall(r"(\d+) million", sentence))
        assert sign == quantity(sentence) * (1 if new > old else -1), sentence


def test_a_negation_turns_the_sign_round(draw: Draw) -> None:
    for _ in range(300):
        sentence, sign = grammar.negated(draw)
        assert re.search(r"did not|failed to|could not", sentence)
        assert sign == -quantity(sentence) * direction(sentence.replace("failed", "")), sentence


def test_a_surprise_is_decided_by_the_expectation_and_its_figures_agree(draw: Draw) -> None:
    for _ in range(300):
        sentence, sign = grammar.surprise(draw)
        above = any(words in sentence for words in grammar.ABOVE)
        actual, expected = (int(number) for number in re.findall(r"(\d+) percent", sentence))
        assert sign == quantity(sentence) * (1 if above else -1), sentence
        assert above == ((actual - expected) * direction(sentence) > 0), sentence


def test_a_torn_sentence_holds_one_good_and_one_bad_move(draw: Draw) -> None:
    for _ in range(100):
        first, _, second = grammar.torn(draw)[0].partition(", while ")
        if " reported " not in first + second:
            assert quantity(first) * direction(first) == -quantity(second) * direction(second)


def test_a_loaded_sentence_has_the_sign_that_was_asked_for(draw: Draw) -> None:
    assert {grammar.loaded(draw, sign)[1] for sign in (-1, 1) for _ in range(100)} == {-1, 1}
    assert all(grammar.loaded(draw, 1)[1] == 1 for _ in range(100))


def test_a_notice_has_no_sign_although_it_uses_loaded_words(draw: Draw) -> None:
    notices = [grammar.notice(draw) for _ in range(500)]
    assert {sign for _, sign in notices} == {0}
    assert sum(any(name in sentence for name in WELCOME + UNWELCOME) for sentence, _ in notices) > 100


def test_a_sentence_is_printed_with_a_capital_and_a_stop(draw: Draw) -> None:
    for _ in range(100):
        printed = grammar.written(draw, grammar.loaded(draw)[0])
        assert printed[0].isupper()
        assert printed.endswith(".")
        assert "{" not in printed


def test_draws_are_even_and_inside_their_bounds(draw: Draw) -> None:
    found = np.bincount([draw.whole(2, 7) for _ in range(20_000)], minlength=7)
    assert found[:2].tolist() == [0, 0]
    np.testing.assert_allclose(found[2:] / 20_000, 0.2, atol=0.015)
