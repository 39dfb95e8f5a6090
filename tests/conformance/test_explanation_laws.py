"""Laws of explanations, for every pair: who must explain does, over HTTP as offline, and what adds up adds up."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from packed_service import packed, post
from subjects import PAIRS, REQUESTS, raw

from bento.problem import MEDIA_TYPE
from finml_models.core import explained, serving
from finml_models.core.artifact import Artifact
from finml_models.core.batches import Batch
from finml_models.core.catalog import Pair
from finml_models.core.errors import NotExplained
from finml_models.core.explained import ExplainResponse
from finml_models.core.spec import Level

SILENT = {
    "news_analysis-finbert": "it reads word pieces, between which there is no line to integrate along",
    "news_analysis-longformer": "as FinBERT",
    "portfolio_allocation-ppo": "a weight an asset is no single number, and which one would be explained is nobody's choice",
}
"""Pairs that explain nothing, all with low cards, and why."""
explains = pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.id not in SILENT], ids=lambda pair: pair.id)


@pytest.fixture(scope="session")
def held(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The artifact of a pair, packed once."""
    known: dict[str, Artifact] = {}

    def of(pair: Pair) -> Artifact:
        if pair.id not in known:
            known[pair.id] = packed(pair, tmp_path_factory.mktemp("explained"))
        return known[pair.id]

    return of


def body(pair: Pair) -> dict[str, Any]:
    return REQUESTS[pair.task.source()](raw(pair.task.source()))


def asked(pair: Pair, held: Artifact) -> Batch:
    return serving.asked(held, pair.task.request.model_validate_json(json.dumps(body(pair))))[0]


def known_names(pair: Pair, held: Artifact, batch: Batch) -> set[str]:
    """What an explanation may name: features, categories, assets, steps of a window, and words of a text."""
    s = held.record.signature
    entities = {str(name) for name in getattr(batch, "entities", ())}
    steps = {"t", *(f"t-{lag}" for lag in range(1, s.length))}
    words = {" ".join(found) for text in getattr(batch, "texts", ()) for found in terms(text.lower())}
    return {*s.feature_names, *s.category_names, *s.static_names, *s.known_names, *s.actions, *entities, *steps, *words}


def terms(text: str) -> list[tuple[str, ...]]:
    split = (re.findall(r"\b\w\w+\b", text), re.findall(r"[a-z]+(?:['’-][a-z]+)*", text))
    return [tuple(words[i : i + n]) for words in split for n in (1, 2) for i in range(len(words))]


@explains
def test_the_service_explains_with_the_bits_of_the_estimator(pair: Pair, held: Any) -> None:
    artifact = held(pair)
    first, second = (post(artifact, body(pair), "/explain") for _ in range(2))
    assert first.status_code == 200, first.text
    assert first.content == second.content
    told, batch = ExplainResponse.model_validate_json(first.content), asked(pair, artifact)
    assert (told.task, told.model, told.version) == (pair.task.id(), pair.entry.id, artifact.version)
    assert [row.entity for row in told.rows] == batch.entity.tolist()
    assert [np.datetime64(row.time, "us") for row in told.rows] == batch.time.astype("datetime64[us]").tolist()
    own, allowed = artifact.estimator.explain(batch), known_names(pair, artifact, batch)
    for i, row in enumerate(told.rows):
        assert (row.value, row.start) == (None, None) if own.value is None else (own.value[i], own.start[i])
        for part, theirs in zip(row.parts, own.parts, strict=True):
            weights = dict(zip(theirs.names, theirs.weights[i].astype(np.float64), strict=True))
            assert {one.name: one.weight for one in part.inputs}.items() <= weights.items()
            assert len(part.inputs) + part.left_out == np.isfinite(theirs.weights[i]).sum()
            assert {one.name for one in part.inputs} <= allowed
            assert sum(one.share for one in part.inputs) <= 1 + 1e-9


@explains
def test_what_adds_up_adds_up_and_a_row_is_explained_the_same_alone(pair: Pair, held: Any) -> None:
    artifact = held(pair)
    batch = asked(pair, artifact)
    found = artifact.estimator.explain(batch)
    if found.gap is not None:
        size = sum(np.nansum(np.abs(part.weights), axis=1, dtype=np.float64) for part in found.parts if part.adds)
        assert (np.abs(found.gap) <= 0.011 * size + 1e-6 * np.abs(found.value) + 1e-9).all()
    last = artifact.estimator.explain(batch.take(np.array([len(batch) - 1])))
    for part, alone in zip(found.parts, last.parts, strict=True):
        among = dict(zip(part.names, part.weights[-1], strict=True))
        np.testing.assert_allclose(alone.weights[0], [among[name] for name in alone.names], rtol=1e-4, atol=1e-5, err_msg=part.name)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.id in SILENT], ids=lambda pair: pair.id)
def test_who_explains_nothing_says_so_and_names_who_does(pair: Pair, held: Any) -> None:
    assert pair.entry.card.explainability is Level.LOW
    artifact = held(pair)
    refused = post(artifact, body(pair), "/explain")
    assert (refused.status_code, refused.headers["content-type"]) == (409, MEDIA_TYPE)
    others = {p.entry.id for p in PAIRS if p.task is pair.task and p.id not in SILENT and p.entry.card.explainability is not Level.LOW}
    assert others
    assert all(f"{other} (" in refused.json()["detail"] for other in others)
    with pytest.raises(NotExplained):
        explained.explain(artifact, pair.task.request.model_validate_json(json.dumps(body(pair))))
