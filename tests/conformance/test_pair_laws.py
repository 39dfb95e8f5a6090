"""Laws that hold for every pair: what was trained is what answers, from raw rows, in training and over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_service import packed, post
from subjects import CASES, REQUESTS, every_pair, fitted, raw

from finml_models.core import catalog, serving
from finml_models.core.batches import newest
from finml_models.core.catalog import Pair


@every_pair
def test_from_raw_rows_to_http_and_offline_give_the_same_answer(pair: Pair, tmp_path: Path) -> None:
    held, body = packed(pair, tmp_path), REQUESTS[pair.task.source()](raw(pair.task.source()))
    answered = post(held, body)
    assert answered.status_code == 200, answered.text
    offline = serving.answer(held, pair.task.request.model_validate_json(json.dumps(body)))
    assert pair.task.response.model_validate_json(answered.content) == offline
    assert answered.json()["version"] == held.version


def rows_of(body: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Name and content of the list of a request or an answer whose elements are about entities."""
    return next((name, value) for name, value in body.items() if isinstance(value, list) and value and isinstance(value[0], dict))


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of a JSON value by path."""
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        return {leaf: found for name, part in parts for leaf, found in flat(part, f"{path}/{name}").items()}
    return {path: value}


def same(one: Any, other: Any) -> None:
    a, b = flat(one), flat(other)
    assert a.keys() == b.keys()
    for path, value in a.items():
        assert b[path] == (pytest.approx(value, rel=1e-4, abs=1e-6) if isinstance(value, float) else value), path


@every_pair
def test_a_request_sees_the_features_that_training_saw(pair: Pair) -> None:
    task, rows = pair.task(), raw(pair.task.source())
    request = pair.task.request.model_validate_json(json.dumps(REQUESTS[pair.task.source()](rows)))
    asked_with = newest(task.view(pair.kind, task.features(task.raw(request))))
    trained_on = newest(task.view(pair.kind, task.features(rows)))
    trained_on = trained_on.take(np.flatnonzero(np.isin(trained_on.entity, asked_with.entity)))
    np.testing.assert_array_equal(asked_with.entity, trained_on.entity)
    np.testing.assert_allclose(asked_with.inputs, trained_on.inputs, rtol=1e-5, atol=1e-6)
    asked, trained = (fitted(pair).predict(batch).columns() for batch in (asked_with, trained_on))
    for name, values in asked.items():
        np.testing.assert_allclose(values, trained[name], rtol=1e-4, atol=1e-4)


@every_pair
def test_the_order_of_a_requests_rows_does_not_matter(pair: Pair, tmp_path: Path) -> None:
    held, body = packed(pair, tmp_path), REQUESTS[pair.task.source()](raw(pair.task.source()))
    name, rows = rows_of(body)
    shuffled = {**body, name: [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]}
    assert post(held, shuffled).content == post(held, body).content


@every_pair
def test_an_entity_answers_the_same_alone_and_among_others(pair: Pair, tmp_path: Path) -> None:
    if pair.task.cross_section:
        pytest.skip("other entities' rows, a market average or neighbours, are part of an entity's input")
    held, body = packed(pair, tmp_path), REQUESTS[pair.task.source()](raw(pair.task.source()))
    among = {answer["entity"]: answer for answer in rows_of(post(held, body).json())[1]}
    entity, (name, rows) = next(iter(among)), rows_of(body)
    ((_, (alone,)),) = [rows_of(post(held, {**body, name: [row for row in rows if row["entity"] == entity]}).json())]
    same(alone, among[entity])


@every_pair
def test_inputs_outside_the_training_range_are_answered_with_a_warning(pair: Pair, tmp_path: Path) -> None:
    held, case = packed(pair, tmp_path), CASES[pair.task.source()]
    answered = post(held, case.wild(REQUESTS[pair.task.source()](raw(pair.task.source()))))
    assert answered.status_code == 200, answered.text
    assert any("outside the training range" in warning for warning in answered.json()["warnings"])


@every_pair
def test_too_short_a_history_is_refused_with_the_number_needed(pair: Pair, tmp_path: Path) -> None:
    if pair.task.history < 2:
        pytest.skip(f"{pair.task.id()} needs a single row")
    body = REQUESTS[pair.task.source()](raw(pair.task.source()), sessions=pair.task.history - 1)
    refused = post(packed(pair, tmp_path), body)
    assert refused.status_code == 422
    assert str(pair.task.history) in refused.json()["detail"]


def test_every_runnable_pair_is_a_subject() -> None:
    built = [task for task in catalog.tasks() if catalog.task_gap(catalog.task(task)) is None]
    assert {p.id for p in every_pair.args[1]} == {pair.id for task in built for pair in catalog.contenders(task)}
