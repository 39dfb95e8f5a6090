"""Regimes and embedding by date as pictures: what charts draw, and an SVG of points; of a span of the newest sessions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from math import expm1
from typing import Any, NamedTuple

from finml_models.evaluation.states import Embedding, Moment, Spell, States

MOST_DRAWN = 700
"""Dates of a picture: more are narrower than its pixels, and would be most of the page."""
MOST_BEHIND = 300
"""Points of the ground, the dates that the fit has seen."""
TRAIL = 20
"""Sessions of the path that leads to a date."""
WIDTH, HEIGHT, MARGIN = 640.0, 420.0, 16.0


class Map(NamedTuple):
    """An embedding to be drawn: paths of dots by tone, and for each date that can be pointed at its place and its regime, a number among `names`."""

    behind: str
    dots: dict[str, str]
    trail: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dates: tuple[str, ...]
    regimes: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def coloured(self) -> bool:
        """Whether some date has a regime."""
        return any(self.regimes)

    @property
    def said(self) -> str:
        """The newest date in words."""
        return ", ".join(filter(None, (self.dates[-1], self.names[self.regimes[-1]])))


def tone(place: float) -> str:
    """The colour of a regime by its place from calmest (0) to most turbulent (1): a name of the stylesheet."""
    return "accent" if place <= 0 else "bad" if place >= 1 else "soft" if place < 0.5 else "strong" if place == 0.5 else "warn"


def thinned(moments: Sequence[Moment]) -> tuple[Sequence[Moment], int]:
    """Every so manieth moment, the newest always, so that a picture holds them; and how many sessions lie between two."""
    step = -(-len(moments) // MOST_DRAWN)
    return moments[(len(moments) - 1) % step :: step], step


def probabilities(shown: Sequence[Moment], places: Mapping[str, float]) -> dict[str, Any]:
    """Stacked shares of the regimes by date, calmest at the bottom."""
    series = [{"label": name, "values": [_of(moment, name) for moment in shown], "tone": tone(place)} for name, place in places.items()]
    return _over_time(shown) | {"stack": True, "range": [0, 1], "height": 190, "series": series}


def market(shown: Sequence[Moment], places: Mapping[str, float]) -> dict[str, Any]:
    """The market's return since the first date, the ground coloured by the likeliest regime of each."""
    start = shown[0].market
    values = [round(100 * expm1(moment.market - start), 2) for moment in shown]
    shades: list[dict[str, Any]] = []
    for moment, following in zip(shown, [*shown[1:], shown[-1]], strict=True):
        colour, end = tone(places[moment.regime]), _seconds(following.date)
        if shades and shades[-1]["tone"] == colour:
            shades[-1]["to"] = end
        else:
            shades.append({"from": _seconds(moment.date), "to": end, "tone": colour})
    series = [{"label": "market", "values": values, "tone": "ink"}]
    return _over_time(shown) | {"unit": "%", "height": 190, "series": series, "shades": shades}


def map_of(embedding: Embedding, span: int | None, courses: States | None) -> Map:
    """The embedding's newest `span` dates that the fit has not seen (None: all of them) over the ground of those that it has."""
    places = {} if courses is None else courses.places()
    regimes = {} if courses is None else {moment.date: moment.regime for moment in courses.moments()}
    # The first one is of a date without a regime.
    names = ("", *places)
    scale = _scale(embedding)
    points = [scale(x, y) for x, y in zip(embedding.x, embedding.y, strict=True)]
    first = embedding.seen if span is None else max(embedding.seen, len(points) - span)
    step = -(-(len(points) - first) // MOST_DRAWN) or 1
    kept = range(first + (len(points) - first - 1) % step, len(points), step) if first < len(points) else range(0)
    own = [regimes.get(embedding.dates[i], "") for i in kept]
    dots: dict[str, list[tuple[float, float]]] = {}
    for i, name in zip(kept, own, strict=True):
        dots.setdefault(tone(places[name]) if name else "strong", []).append(points[i])
    ground = points[: embedding.seen : -(-embedding.seen // MOST_BEHIND) or 1]
    held = [points[i] for i in kept]
    return Map(
        behind=_dots(ground),
        dots={colour: _dots(parts) for colour, parts in dots.items()},
        trail=" ".join(f"{x:g},{y:g}" for x, y in held[-TRAIL:]),
        x=tuple(x for x, _ in held),
        y=tuple(y for _, y in held),
        dates=tuple(embedding.dates[i].isoformat() for i in kept),
        regimes=tuple(map(names.index, own)),
        names=names,
    )


def stays(states: States, most: int) -> list[tuple[Spell, float]]:
    """The newest stays in a regime, the last one first, each with the market's return from its first date's close to its last one's."""
    return [(spell, expm1(spell.last.market - spell.first.market)) for spell in reversed(states.spells()[-most:])]


def _over_time(shown: Sequence[Moment]) -> dict[str, Any]:
    refits = [one for before, one in itertools.pairwise(shown) if one.stretch.fold != before.stretch.fold]
    return {
        "x": [_seconds(moment.date) for moment in shown],
        "time": True,
        "days": True,
        "marks": [{"at": _seconds(one.date), "label": "refit"} for one in refits],
    }


def _of(moment: Moment, name: str) -> float | None:
    names = [law.name for law in moment.stretch.regimes]
    return round(moment.probabilities[names.index(name)], 3) if name in names else None


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _scale(embedding: Embedding) -> Any:
    """From coordinates to the picture's; both axes in one unit, so that distances are what they look like."""
    middle = [(min(values) + max(values)) / 2 for values in (embedding.x, embedding.y)]
    spans = [max(values) - min(values) for values in (embedding.x, embedding.y)]
    unit = min((WIDTH - 2 * MARGIN) / (spans[0] or 1.0), (HEIGHT - 2 * MARGIN) / (spans[1] or 1.0))
    return lambda x, y: (round(WIDTH / 2 + unit * (x - middle[0]), 1), round(HEIGHT / 2 - unit * (y - middle[1]), 1))


def _dots(points: Sequence[tuple[float, float]]) -> str:
    """A path of lines without length: with round ends each is a dot, for a dozen bytes."""
    return "".join(f"M{x:g} {y:g}h0" for x, y in points)
