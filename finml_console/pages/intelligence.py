"""The page of the market's state: the current regime, regimes over time, and a picture of an embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from finml_console.routes._inputs import Serving
from finml_console.schemas.intelligence import Choice, Insight
from finml_console.services.evidence import Evidences
from finml_console.views.catalogue import recommendation
from finml_console.views.intelligence import choices, insight
from finml_models.core import catalog
from finml_models.core.errors import CorruptArtifact, NotBuilt, UnknownName
from finml_models.core.recommend import VERDICTS

from . import _states
from ._render import page

router = APIRouter(include_in_schema=False)
Pair = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_]*-[a-z][a-z0-9_]*$", max_length=129)]
Span = Literal["60", "250", "all"]
SPANS: dict[Span, str] = {"60": "60 sessions", "250": "a year", "all": "all"}
STAYS = 12
SESSIONS = 20


@router.get("/ui/intelligence")
def show(request: Request, serving: Serving, regimes: Pair = None, embedding: Pair = None, span: Span = "250") -> HTMLResponse:
    """Regimes by one model and an embedding by another, of the newest `span` sessions; without a choice, those that the reports speak for."""
    found = choices(serving.evidence)
    finders, embedders = [one for one in found if one.regimes], [one for one in found if one.embedding]
    finder = _named(regimes, finders) if regimes else _best_finder(serving.evidence, finders)
    embedder = _named(embedding, embedders) if embedding else _best_embedder(embedders, finder)
    (course, missing), (picture, lacking) = (_insight(serving.evidence, choice) for choice in (finder, embedder))
    sessions = None if span == "all" else int(span)
    return page(
        request,
        "intelligence.html",
        finders=finders,
        embedders=embedders,
        finder=finder,
        embedder=embedder,
        course=course,
        missing=missing,
        picture=picture,
        lacking=lacking,
        span=span,
        spans=SPANS,
        words_of=VERDICTS,
        key=_key,
        tone=_states.tone,
        **(_over_time(course, sessions) if course and course.current else {}),
        **(_mapped(picture, course, sessions) if picture else {}),
    )


def _key(choice: Choice) -> str:
    """What an address calls a choice."""
    return f"{choice.use_case}-{choice.model_id}"


def _named(key: str, among: Iterable[Choice]) -> Choice:
    known = {_key(choice): choice for choice in among}
    if key not in known:
        raise UnknownName("choice", key, known)
    return known[key]


def _best_finder(evidence: Evidences, among: list[Choice]) -> Choice:
    """Of those whose regimes are kept, the one that its use case's recommendation puts first; it may be a baseline."""
    kept = {_key(choice): choice for choice in among if choice.kept}
    for use_case in dict.fromkeys(choice.use_case for choice in kept.values()):
        for place in recommendation(evidence, use_case).recommendations:
            if (found := kept.get(f"{use_case}-{place.id}")) is not None:
                return found
    return next(iter(kept.values()), among[0])


def _best_embedder(among: list[Choice], finder: Choice) -> Choice:
    """The one that was shown to be best; of the same use case as the regimes, if one is kept there, for its dates are the same."""
    verdicts = list(VERDICTS)
    return min(
        among,
        key=lambda choice: (
            not choice.kept,
            choice.use_case != finder.use_case,
            choice.model_id != finder.model_id,
            verdicts.index(choice.verdict.value) if choice.verdict else len(verdicts),
        ),
    )


def _insight(evidence: Evidences, choice: Choice) -> tuple[Insight | None, str | None]:
    """What a choice says, or why it says nothing: the other one is shown all the same."""
    try:
        return insight(evidence, choice.use_case, choice.model_id), None
    except (NotBuilt, CorruptArtifact) as error:
        return None, str(error)


def _over_time(course: Insight, sessions: int | None) -> dict[str, Any]:
    moments = list(course.states.moments())
    places = course.states.places()
    shown, step = _states.thinned(moments if sessions is None else moments[-sessions:])
    return {
        "places": places,
        "shown": shown,
        "step": step,
        "probabilities": _states.probabilities(shown, places),
        "market": _states.market(shown, places),
        "stays": _states.stays(course.states, STAYS),
        "newest": moments[: -SESSIONS - 1 : -1],
    }


def _mapped(picture: Insight, course: Insight | None, sessions: int | None) -> dict[str, Any]:
    if picture.states.embedding is None:
        return {"map": None}
    alike = course is not None and course.states.snapshot == picture.states.snapshot
    return {
        "map": _states.map_of(picture.states.embedding, sessions, course.states if course is not None and alike else None),
        "alike": alike,
        "sort": catalog.task(picture.use_case).name,
    }
