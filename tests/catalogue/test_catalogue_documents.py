"""The documents hold every field that was promised, and stay the same through JSON."""

from __future__ import annotations

import pytest

from finml_models.core import catalog, documents
from finml_models.core.errors import UnknownName

SUMMARY = {"id", "name", "category", "use_cases", "description", "production_ready", "latency_class", "data_requirements", "explainability"}
CARD = SUMMARY | {"strengths", "weaknesses", "best_for", "hyperparameters", "training", "deployment", "references", "implementation", "module"}
USE_CASE = {"id", "name", "description", "objective", "kinds", "metrics", "baselines", "gate", "models", "built", "gap"}


def test_a_list_of_models_holds_every_field_of_the_summary() -> None:
    listed = documents.model_list().model_dump(mode="json")
    assert set(listed) == {"models", "count"}
    assert listed["count"] == len(listed["models"]) == len(catalog.models())
    assert all(set(model) == SUMMARY for model in listed["models"])


@pytest.mark.parametrize("model_id", catalog.models())
def test_a_detail_holds_the_whole_card_and_survives_json(model_id: str) -> None:
    entry = catalog.model(model_id)
    detail = documents.model_detail(entry)
    shown = detail.model_dump(mode="json")
    assert set(shown) >= CARD | {"thresholds", "built", "gap", "kinds", "objectives"}
    assert documents.ModelDetail.model_validate_json(detail.model_dump_json()) == detail
    assert shown["training"].keys() >= {"minimum_samples", "recommended_samples", "online_learning", "transfer_learning"}
    assert shown["deployment"].keys() >= {"gpu", "memory_mb"}
    assert all(paper.keys() == {"title", "year", "link"} for paper in shown["references"])
    form = shown["hyperparameters"]
    assert set(form["defaults"]) == set(form["json_schema"]["properties"])
    assert entry.card.hyperparameters.model_validate(form["defaults"]) == entry.card.hyperparameters()
    assert shown["built"] == (shown["gap"] is None)


@pytest.mark.parametrize("task_id", catalog.tasks())
def test_a_use_case_holds_definition_metrics_baselines_and_gate(task_id: str) -> None:
    summary = documents.use_case_summary(catalog.task(task_id))
    assert set(summary.model_dump()) >= USE_CASE
    assert documents.UseCaseSummary.model_validate_json(summary.model_dump_json()) == summary
    assert summary.metrics
    assert summary.baselines
    assert set(summary.models) == {e.id for e in catalog.select(use_case=task_id)}


def test_a_model_and_a_use_case_name_each_other() -> None:
    for use_case in documents.use_case_list():
        for model in documents.model_list().models:
            assert (model.id in use_case.models) == (use_case.id in model.use_cases)


def test_production_ready_is_derived_and_never_a_claim() -> None:
    assert not any(model.production_ready for model in documents.model_list().models)
    listed = documents.model_list(ready={"lstm"})
    assert [model.id for model in listed.models if model.production_ready] == ["lstm"]
    assert [model.id for model in documents.model_list(production_ready=True, ready={"lstm"}).models] == ["lstm"]
    assert documents.model_list(production_ready=False, ready={"lstm"}).count == 17
    assert documents.model_detail(catalog.model("lstm"), ready={"lstm"}).production_ready


def test_an_unknown_filter_value_is_refused_with_what_is_near() -> None:
    with pytest.raises(UnknownName, match="graph"):
        documents.model_list(category="graphs")
    with pytest.raises(UnknownName, match="credit_risk"):
        documents.model_list(use_case="credit_risks")


def test_families_are_counted() -> None:
    assert {str(family.id): family.count for family in documents.category_list()} == {
        "time_series": 5,
        "representation": 3,
        "graph": 3,
        "reinforcement": 2,
        "nlp": 2,
        "tabular": 3,
    }


def test_a_baseline_has_the_same_documents_as_a_model() -> None:
    baseline = documents.model_detail(catalog.baseline("log_har"))
    assert baseline.category is None
    assert baseline.use_cases == ("cross_asset_effects", "volatility_forecasting")
    assert baseline.built
