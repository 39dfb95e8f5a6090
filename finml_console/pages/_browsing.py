"""What the browser of models shows for its filters: which entries, how many in each family, what stands on a card."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse

from finml_ledger import Release
from finml_models.core import catalog
from finml_models.core.catalog import Entry
from finml_models.core.documents import ModelSummary, model_summary
from finml_models.core.spec import Category

BASELINE = "baseline"
"""Stands beside the families in the tabs, once baselines are shown."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for. The address of the page holds all of it."""

    category: str = ""
    use_case: str = ""
    q: str = ""
    production_ready: bool = False
    baselines: bool = False

    def address(self, **changes: str | bool) -> str:
        """The page with these filters, some of them changed."""
        held = {name: value for name, value in {**asdict(self), **changes}.items() if value}
        query = urlencode({name: "true" if value is True else value for name, value in held.items()})
        return f"/ui/models?{query}" if query else "/ui/models"

    def admits(self, entry: Entry) -> bool:
        """Whether an entry is of the chosen family."""
        return not self.category or self.category == family(entry)

    def finds(self, entry: Entry) -> bool:
        """Whether each word that is searched for stands in its name, description or what it is best for."""
        card = entry.card
        text = " ".join((entry.id, card.name, card.description, *card.best_for)).casefold()
        return all(word in text for word in self.q.casefold().split())


def addressed(answer: HTMLResponse, request: Request, address: str, *, passing: bool = False) -> HTMLResponse:
    """Tell htmx the address of what it asked for, without empty fields; `passing` states, as while one types, do not stay in the history."""
    if "hx-request" in request.headers:
        answer.headers["HX-Replace-Url" if passing else "HX-Push-Url"] = address
    return answer


class Tab(NamedTuple):
    """A family, how many of what was found belong to it, and where that is shown."""

    id: str
    label: str
    size: int
    address: str


class Card(NamedTuple):
    """An entry in short, with its newest release in each of its use cases, None where there is none."""

    summary: ModelSummary
    best_for: tuple[str, ...]
    releases: tuple[tuple[str, Release | None], ...]


def family(entry: Entry) -> str:
    """The tab that an entry belongs to."""
    return str(entry.category or BASELINE)


def choices(filters: Filters, ready: Collection[str]) -> list[Entry]:
    """What holds every condition but the family, in the order of the catalogue; baselines last."""
    use_case = filters.use_case or None
    wanted = True if filters.production_ready else None
    found = catalog.select(use_case=use_case, production_ready=wanted, ready=ready)
    if filters.baselines:
        named = catalog.task(use_case).baselines if use_case else catalog.baselines()
        found += [catalog.baseline(name) for name in named if not wanted or name in ready]
    return [entry for entry in found if filters.finds(entry)]


def tabs(filters: Filters, found: Sequence[Entry]) -> tuple[Tab, ...]:
    """All, the families, and the baselines where they are shown."""
    names = [*map(str, Category), *([BASELINE] if filters.baselines else [])]
    families = [Tab(name, LABELS[name], sum(family(entry) == name for entry in found), filters.address(category=name)) for name in names]
    return (Tab("", "All", len(found), filters.address(category="")), *families)


def cards(entries: Sequence[Entry], newest: Mapping[tuple[str, str], Release], ready: Collection[str]) -> tuple[Card, ...]:
    """The cards of these entries."""
    summaries = [(entry, model_summary(entry, ready=ready)) for entry in entries]
    return tuple(
        Card(summary, entry.card.best_for, tuple((use_case, newest.get((use_case, entry.id))) for use_case in summary.use_cases))
        for entry, summary in summaries
    )


LABELS = {
    Category.TIME_SERIES: "Time series",
    Category.REPRESENTATION: "Representation",
    Category.GRAPH: "Graph",
    Category.REINFORCEMENT: "Reinforcement",
    Category.NLP: "Language",
    Category.TABULAR: "Tabular",
    BASELINE: "Baselines",
}
"""What families are called on tabs."""
