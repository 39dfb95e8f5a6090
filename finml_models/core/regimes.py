"""Names of regimes: by their place in the order of volatility, so that a name means the same from refit to refit."""

from __future__ import annotations

NAMES = {1: ("all days",), 2: ("calm", "turbulent"), 3: ("calm", "normal", "turbulent")}


def regime_names(number: int) -> tuple[str, ...]:
    """The names of so many regimes, calmest first."""
    return NAMES.get(number) or ("calm", *(f"between {i}" for i in range(1, number - 1)), "turbulent")
