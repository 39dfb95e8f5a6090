"""Models, use cases, and the matrix that follows from them."""

from __future__ import annotations

import pytest

from finml_models.core import catalog
from finml_models.core.errors import NotBuilt, UnknownName
from finml_models.core.spec import Category, Kind, Level

LEAST = {
    "price_forecasting": {"tft", "patchtst", "lstm"},
    "volatility_forecasting": {"tft", "informer"},
    "regime_detection": {"vae", "contrastive", "gcn"},
    "cross_asset_effects": {"gcn", "gat", "temporal_gnn"},
    "trading_execution": {"ppo", "sac"},
    "portfolio_allocation": {"ppo", "tft"},
    "fraud_detection": {"tabnet", "lstm", "gru", "tabm"},
    "credit_risk": {"tabnet", "ft_transformer", "tabm"},
    "news_analysis": {"finbert", "longformer"},
    "anomaly_detection": {"vae", "denoising_autoencoder"},
}
ADMITTED = {
    "price_forecasting": {"informer", "gru"},
    "volatility_forecasting": {"patchtst", "lstm", "gru"},
    "fraud_detection": {"ft_transformer"},
}
"""Pairs beyond the least ones, all wanted; a pair that is in neither table came in by accident."""


def test_there_are_eighteen_models_in_six_families() -> None:
    assert len(catalog.models()) == 18
    assert catalog.categories() == {
        Category.TIME_SERIES: 5,
        Category.REPRESENTATION: 3,
        Category.GRAPH: 3,
        Category.REINFORCEMENT: 2,
        Category.NLP: 2,
        Category.TABULAR: 3,
    }


def test_there_are_ten_use_cases() -> None:
    assert set(catalog.tasks()) == set(LEAST)


@pytest.mark.parametrize("use_case", LEAST)
def test_the_derived_matrix_holds_the_least_pairs_and_none_by_accident(use_case: str) -> None:
    derived = [pair.entry.id for pair in catalog.pairs(use_case)]
    assert len(derived) == len(set(derived))
    assert set(derived) == LEAST[use_case] | ADMITTED.get(use_case, set())


def test_every_model_serves_a_use_case() -> None:
    assert [model_id for model_id in catalog.models() if not catalog.use_cases(model_id)] == []


def test_a_pair_names_the_view_that_both_sides_know() -> None:
    for pair in catalog.pairs():
        assert pair.kind in pair.task.kinds
        assert pair.kind in pair.entry.card.kinds
    assert {p.entry.id: p.kind for p in catalog.pairs("portfolio_allocation")} == {"tft": Kind.WINDOWS, "ppo": Kind.MARKET}


def test_every_exception_to_the_rule_names_a_model_and_a_reason() -> None:
    for use_case in catalog.tasks().values():
        assert not set(use_case.include) & set(use_case.exclude)
        for model_id, reason in {**use_case.include, **use_case.exclude}.items():
            assert model_id in catalog.models()
            assert len(reason) > 20


def test_an_exception_that_changes_nothing_is_not_kept() -> None:
    for use_case in catalog.tasks().values():
        free = type(use_case.__name__, (use_case,), {"include": {}, "exclude": {}, "__module__": use_case.__module__})
        ruled = {model_id for model_id, entry in catalog.models().items() if catalog.fits(entry, free)}
        assert not set(use_case.include) & ruled
        assert set(use_case.exclude) <= ruled


def test_every_gate_is_against_a_listed_baseline_or_an_ablation_of_a_model() -> None:
    for use_case in catalog.tasks().values():
        ablations = {name for pair in catalog.pairs(use_case.id()) for name in pair.entry.card.ablations}
        assert set(use_case.gate.naive) <= {*use_case.baselines, *ablations}
        assert use_case.gate.version.startswith(f"{use_case.id()}/")


def test_history_and_quantile_levels_are_in_order() -> None:
    for use_case in catalog.tasks().values():
        assert list(use_case.horizons) == sorted(set(use_case.horizons))
        assert list(use_case.levels) == sorted(set(use_case.levels))
        assert use_case.history >= 1


def test_an_unknown_id_is_answered_with_its_near_matches() -> None:
    with pytest.raises(UnknownName, match="patchtst"):
        catalog.model("patch_tst")
    with pytest.raises(UnknownName, match="volatility_forecasting"):
        catalog.task("volatility_forcasting")
    with pytest.raises(UnknownName, match="time_series"):
        catalog.select(category="time-series")
    with pytest.raises(UnknownName, match="volatility_forecasting-lstm"):
        catalog.pair("volatility_forecasting-lstn")


def test_conditions_are_joined_by_and() -> None:
    assert {e.id for e in catalog.select(category="graph")} == {"gcn", "gat", "temporal_gnn"}
    assert {e.id for e in catalog.select(category="graph", use_case="regime_detection")} == {"gcn"}
    assert {e.id for e in catalog.select(use_case="price_forecasting", production_ready=True, ready={"lstm", "gcn"})} == {"lstm"}
    assert {e.id for e in catalog.select(category="nlp", production_ready=False, ready={"finbert"})} == {"longformer"}
    assert all(e.card.explainability == Level.HIGH for e in catalog.select(explainability=Level.HIGH))
    assert catalog.select(production_ready=True) == []


def test_what_is_not_built_says_so_instead_of_running() -> None:
    missing = [pair for pair in catalog.pairs() if pair.gap]
    assert missing
    with pytest.raises(NotBuilt):
        catalog.contenders("anomaly_detection")
    with pytest.raises(NotBuilt, match="tabnet"):
        catalog.model("tabnet").estimator()
