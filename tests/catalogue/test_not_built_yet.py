"""What the catalogue describes and does not hold yet. Strict: what gets built has to leave this list."""

from __future__ import annotations

from finml_models.core import catalog

MODELS: dict[str, str] = {}
USE_CASES: dict[str, str] = {}


def test_exactly_the_listed_models_have_no_code() -> None:
    assert {model_id for model_id, entry in catalog.models().items() if entry.gap} == set(MODELS)


def test_exactly_the_listed_use_cases_have_no_code() -> None:
    assert {task_id for task_id, use_case in catalog.tasks().items() if catalog.task_gap(use_case)} == set(USE_CASES)


def test_a_use_case_with_code_has_all_its_baselines() -> None:
    for task_id, use_case in catalog.tasks().items():
        if task_id not in USE_CASES:
            assert set(use_case.baselines) <= set(catalog.baselines())


def test_a_built_model_loads_and_takes_its_own_hyperparameters() -> None:
    for model_id, entry in catalog.models().items():
        if model_id not in MODELS:
            assert entry.estimator().__module__ == entry.module
