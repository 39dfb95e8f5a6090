"""The list of models before its route: what the two of them say is the same, and what was judged shows soon."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import httpx
import pytest
from console_cases import GRU_2, LOSER, release
from fastapi import FastAPI

from finml_console import listing
from finml_console.listing import filters_of
from finml_ledger import Ledger
from finml_models.core import catalog

FILTERS = [
    "&".join(part for part in parts if part)
    for parts in itertools.product(
        ["", *(f"category={name}" for name in catalog.categories())],
        ["", "use_case=volatility_forecasting", "use_case=fraud_detection"],
        ["", "production_ready=true", "production_ready=false"],
    )
]
ROUTES_OWN = [
    "category=tabularr",
    "use_case=",
    "category=tabular&category=graph",
    "production_ready=yes",
    "production_ready=1",
    "production_ready=maybe",
    "limit=3",
    "category=%00",
    "category=tabular&x=1",
]


def test_every_combination_of_filters_is_answered_as_its_route_answers(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(filters_of(query.encode()) is not None for query in FILTERS)
    before = {query: api.get(f"/models/list?{query}") for query in FILTERS}
    monkeypatch.setattr(listing, "PATH", "/nowhere")
    for query, short in before.items():
        routed = api.get(f"/models/list?{query}")
        assert (short.status_code, short.content) == (200, routed.content)
        # The route's answer is compressed for whom that helps; the short one is quicker as it is.
        squeezed = {"vary", "content-encoding", "content-length"}
        told, expected = ({name: value for name, value in answer.headers.items() if name not in squeezed} for answer in (short, routed))
        assert told == expected


@pytest.mark.parametrize("query", ROUTES_OWN)
def test_what_is_unusual_is_left_to_the_route(query: str, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert filters_of(query.encode()) is None
    before = api.get(f"/models/list?{query}")
    monkeypatch.setattr(listing, "PATH", "/nowhere")
    routed = api.get(f"/models/list?{query}")
    assert (before.status_code, before.content) == (routed.status_code, routed.content)


def test_other_methods_are_refused_as_before(api: httpx.Client) -> None:
    for method in ("HEAD", "POST", "DELETE"):
        assert api.request(method, "/models/list").status_code == 405


def test_a_version_that_was_just_judged_shows_within_a_second(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    def ready() -> set[str]:
        return {model["id"] for model in api.get("/models/list").json()["models"] if model["production_ready"]}

    assert ready() == {"gru"}
    release(ledger, home, LOSER.model_copy(update={"version": "l2"}))
    release(ledger, home, GRU_2.model_copy(update={"version": "g3"}), passed=False)
    time.sleep(1.0)
    assert ready() == {"lstm"}


def test_the_ledger_is_asked_twice_a_second_at_most(app: FastAPI, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    evidence = app.state.services.evidence
    ready = evidence.ready
    monkeypatch.setattr(evidence, "ready", lambda: asked.append(1) or ready())
    began = time.monotonic()
    for _ in range(40):
        assert api.get("/models/list").status_code == 200
    assert len(asked) <= 1 + (time.monotonic() - began) / 0.5
