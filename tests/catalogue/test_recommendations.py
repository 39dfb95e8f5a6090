"""A ranking puts what was measured before what is claimed, and the baseline first where it won."""

from __future__ import annotations

from dataclasses import replace

import pytest

from finml_models.core import catalog, documents
from finml_models.core.errors import UnknownName
from finml_models.core.recommend import Evidence, Verdict, recommend

TASK = "volatility_forecasting"


@pytest.fixture
def all_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model of the use case as if its code were there."""
    pairs = tuple(replace(pair, entry=replace(pair.entry, gap=None)) for pair in catalog.pairs(TASK))
    monkeypatch.setattr(catalog, "pairs", lambda _: pairs)
    monkeypatch.setattr(catalog, "task_gap", lambda _: None)


def found(verdict: Verdict, value: float = 0.2, *, released: bool = True) -> Evidence:
    return Evidence(verdict=verdict, metric="qlike", value=value, baseline="log_har", baseline_value=0.25, milliseconds=0.4, megabytes=0.2, released=released)


@pytest.mark.usefixtures("all_built")
def test_verdicts_decide_the_order_and_unmeasured_models_follow() -> None:
    evidence = {"tft": found("inferior", 0.3), "lstm": found("inconclusive", 0.24), "gru": found("superior"), "informer": found("non_inferior", 0.25)}
    ranking = recommend(TASK, evidence=evidence)
    assert [place.id for place in ranking] == ["gru", "informer", "lstm", "tft", "patchtst"]
    assert [place.rank for place in ranking] == [1, 2, 3, 4, 5]
    assert "better than log_har" in ranking[0].reason
    assert "-20.0 %" in ranking[0].reason
    assert "0.4 ms" in ranking[0].reason
    assert ranking[0].evidence == evidence["gru"]
    assert "not measured" in ranking[-1].reason


@pytest.mark.usefixtures("all_built")
@pytest.mark.parametrize("verdicts", [("inferior", "inferior"), ("inconclusive", "inferior"), ("inconclusive", "inconclusive")])
def test_the_baseline_comes_first_where_no_measured_model_held_its_own(verdicts: tuple[Verdict, Verdict]) -> None:
    first, *rest = recommend(TASK, evidence={"lstm": found(verdicts[0], 0.26), "gru": found(verdicts[1], 0.27)})
    assert (first.id, first.role) == ("log_har", "baseline")
    assert first.reason.startswith("use the baseline log_har")
    assert [place.id for place in rest][:2] == ["lstm", "gru"]


@pytest.mark.usefixtures("all_built")
def test_a_winner_that_failed_its_gate_does_not_displace_the_baseline() -> None:
    ranking = recommend(TASK, evidence={"gru": found("superior", released=False)})
    assert [place.id for place in ranking][:2] == ["log_har", "gru"]
    assert "did not pass its gate" in ranking[1].reason


@pytest.mark.usefixtures("all_built")
def test_a_released_model_comes_before_a_better_one_that_failed_its_gate() -> None:
    ranking = recommend(TASK, evidence={"gru": found("superior", released=False), "lstm": found("non_inferior", 0.25)})
    assert [place.id for place in ranking][:2] == ["lstm", "gru"]


@pytest.mark.usefixtures("all_built")
def test_without_measurement_the_need_for_data_decides() -> None:
    ranking = recommend(TASK, rows=1_500)
    assert {place.id for place in ranking[:2]} == {"lstm", "gru"}
    assert {place.id for place in ranking[-2:]} == {"tft", "informer"}
    assert "below which training is refused" in ranking[-1].reason
    assert all(place.evidence is None for place in ranking)
    assert "are enough" in recommend(TASK, rows=10**6)[0].reason


def test_what_is_not_built_comes_last_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = tuple(replace(p, entry=replace(p.entry, gap="its network is missing")) if p.entry.id == "longformer" else p for p in catalog.pairs("news_analysis"))
    monkeypatch.setattr(catalog, "pairs", lambda _: pairs)
    first, last = recommend("news_analysis", evidence={"longformer": found("superior")})
    assert first.built
    assert first.id == "finbert"
    assert not last.built
    assert last.reason.startswith("not built yet")


def test_an_unknown_use_case_names_its_near_matches() -> None:
    with pytest.raises(UnknownName, match="fraud_detection"):
        recommend("fraud_detecton")


def test_the_document_survives_json() -> None:
    ranking = documents.recommendation_list(TASK, evidence={"lstm": found("superior")}, rows=5_000)
    assert documents.RecommendationList.model_validate_json(ranking.model_dump_json()) == ranking
    assert len(ranking.recommendations) == len(catalog.pairs(TASK))


@pytest.mark.usefixtures("all_built")
def test_where_more_of_a_metric_is_better_the_larger_value_comes_first_and_the_reason_says_so() -> None:
    def scored(value: float) -> Evidence:
        return Evidence(
            verdict="superior", metric="average_precision", lower_is_better=False, value=value, baseline="log_har", baseline_value=0.5, released=True
        )

    first, second, *_ = recommend(TASK, evidence={"gru": scored(0.6), "lstm": scored(0.7)})
    assert (first.id, second.id) == ("lstm", "gru")
    assert "higher is better" in first.reason
