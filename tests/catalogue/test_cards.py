"""What every card has to say, and what none may."""

from __future__ import annotations

import re

import pytest

from finml_models.core import catalog
from finml_models.core.spec import THRESHOLDS, Level, ModelCard

CARDS = {model_id: entry.card for model_id, entry in catalog.models().items()}
every_card = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)


@every_card
def test_references_are_papers_with_a_secure_link(card: ModelCard) -> None:
    assert card.references
    for paper in card.references:
        assert re.match(r"https://(arxiv\.org/abs/\d{4}\.\d{4,5}|doi\.org/10\.|openreview\.net/forum\?id=|jmlr\.org/|proceedings\.mlr\.press/)", paper.link)
        arxiv = re.search(r"arxiv\.org/abs/(\d\d)", paper.link)
        # A conference may print a preprint years later, never before it.
        assert arxiv is None or 0 <= paper.year - 2000 - int(arxiv[1]) <= 3
    links = [paper.link for paper in card.references]
    assert len(links) == len(set(links))


@every_card
def test_a_reference_implementation_is_a_secure_address(card: ModelCard) -> None:
    assert card.implementation is None or card.implementation.startswith("https://")


@every_card
def test_the_data_claim_agrees_with_the_recommended_samples(card: ModelCard) -> None:
    need = card.training
    assert need.minimum_samples < need.recommended_samples
    low, high = {Level.LOW: (1, 5_000), Level.MEDIUM: (5_001, 50_000), Level.HIGH: (50_001, 10**9)}[card.data_requirements]
    pretrained = "weights" in card.hyperparameters.model_fields
    assert low <= need.recommended_samples <= high or (pretrained and card.data_requirements == Level.HIGH)


@every_card
def test_sentences_end_and_repeat_nothing(card: ModelCard) -> None:
    for sentences in (card.strengths, card.weaknesses):
        assert all(sentence.endswith(".") for sentence in sentences)
    said = [*card.strengths, *card.weaknesses, *card.best_for]
    assert len(said) == len(set(said))
    assert len(card.weaknesses) >= len(card.strengths)


@every_card
def test_nothing_is_claimed_ahead_of_its_test(card: ModelCard) -> None:
    assert not card.training.online_learning
    assert not card.training.transfer_learning


def test_no_two_models_share_a_name_or_a_description() -> None:
    assert len({card.name for card in CARDS.values()}) == len(CARDS)
    assert len({card.description for card in CARDS.values()}) == len(CARDS)


def test_every_level_of_every_claim_has_its_threshold() -> None:
    assert set(THRESHOLDS) == {"latency_class", "data_requirements", "explainability"}
    assert all(set(levels) == set(Level) and all(levels.values()) for levels in THRESHOLDS.values())
