"""The box of a card's hyperparameters as the space that a search draws from: read from the JSON Schema that forms and requests use too."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from finml_models.core.errors import FinmlError, UnknownName

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from finml_models.core.spec import Hyperparameters

DECADES = 2.0
"""Bounds at least this many powers of ten apart are searched by orders of magnitude."""
BELOW_DEFAULT = 1e-3
"""Where a logarithmic scale has 0 for its open bound, and so no end, the search begins at this share of the default."""


def search_space(box: type[Hyperparameters], only: Collection[str] = ()) -> dict[str, BaseDistribution]:
    """A distribution for each hyperparameter with more than one value to choose, by name, or for `only` these.

    Free text and fields with `"searched": False` (how long to train, whose weights to start from) keep their default unless they are named.
    Numbers are drawn on a logarithmic scale where their field says so, or where their bounds are positive and span two decades or more.
    Raises `UnknownName` for a name that is no hyperparameter, `FinmlError` for a number without a bound on each side.
    """
    from optuna.distributions import CategoricalDistribution

    space: dict[str, BaseDistribution] = {}
    fields = box.model_json_schema().get("properties", {})
    if unknown := sorted({*only} - {*fields}):
        raise UnknownName("hyperparameter", unknown[0], fields)
    for name, field in fields.items():
        if (name not in only) if only else field.get("searched") is False:
            continue
        if choices := [False, True] if field.get("type") == "boolean" else field.get("enum"):
            space[name] = CategoricalDistribution(choices)
        elif field.get("type") in {"integer", "number"}:
            distribution = _range(f"{box.__name__}.{name}", field)
            if not distribution.single():
                space[name] = distribution
    return space


def _range(name: str, field: dict[str, Any]) -> BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    whole, logarithmic = field["type"] == "integer", field.get("scale") == "log"
    low = field.get("minimum", _beside(field.get("exclusiveMinimum"), math.inf, whole=whole))
    high = field.get("maximum", _beside(field.get("exclusiveMaximum"), -math.inf, whole=whole))
    if low is None or high is None:
        raise FinmlError(f"{name} lies between {low} and {high}; a search needs a bound on each side: give the field ge or gt, and le or lt")
    if whole:
        return IntDistribution(int(low), int(high), log=low > 0 and (logarithmic or math.log10(high / low) >= DECADES))
    if field.get("exclusiveMinimum") == 0:
        return FloatDistribution(field["default"] * BELOW_DEFAULT if logarithmic else low, high, log=logarithmic)
    return FloatDistribution(low, high, log=low > 0 and (logarithmic or math.log10(high / low) >= DECADES))


def _beside(bound: float | None, towards: float, *, whole: bool) -> float | None:
    """The nearest value to an exclusive bound on the side that is allowed."""
    if bound is None:
        return None
    return bound + math.copysign(1, towards) if whole else math.nextafter(bound, towards)
