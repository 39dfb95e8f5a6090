"""Numbers as text: significant digits, never more than were measured, and the same everywhere; intervals as positions on a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

MISSING = "–"
WIDTH = 160.0
"""Of an interval's picture, in its own units."""
INSET = 5.0


def number(value: int | float | None, digits: int = 4) -> str:
    """With so many significant digits, a count with all of them; thousands grouped, a dash for what is not there."""
    if isinstance(value, int):
        return f"{value:,}"
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude >= 7 or magnitude < -5:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(digits - 1 - magnitude, 0)}f}" if magnitude < digits else f"{value:,.0f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:.{digits}%}"


def signed_percent(value: float | None, digits: int = 1) -> str:
    """A change, with its sign as typography has it."""
    return MISSING if value is None or not math.isfinite(value) else f"{value:+.{digits}%}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A duration in the two largest of its units."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    for size, unit, smaller, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"


def milliseconds(value: float | None) -> str:
    """A latency."""
    return MISSING if value is None else f"{number(value, 3)} ms"


def megabytes(value: float | None) -> str:
    """A size."""
    return MISSING if value is None else f"{number(value, 3)} MB"


def words(identifier: object) -> str:
    """An identifier as words: `price_forecasting` is "price forecasting"."""
    return str(identifier).replace("_", " ")


class Whisker(NamedTuple):
    """Positions of an interval's picture; `mark` is where what it is compared with lies."""

    low: float
    at: float
    high: float
    mark: float | None


def whisker(value: float, low: float, high: float, *, among: Sequence[float], mark: float | None = None) -> Whisker:
    """Where an interval lies on a line that holds all of `among`."""
    shown = [number for number in (*among, value, low, high, *(() if mark is None else (mark,))) if math.isfinite(number)]
    least, most = min(shown, default=0.0), max(shown, default=1.0)
    span = (most - least) or 1.0

    def place(one: float) -> float:
        return round(INSET + (WIDTH - 2 * INSET) * (min(max(one, least), most) - least) / span, 1)

    return Whisker(place(low), place(value), place(high), None if mark is None else place(mark))
