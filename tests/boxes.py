"""Random points of a hyperparameter box, as a search would propose them."""

from __future__ import annotations

import math
import random
from typing import Any

from finml_models.core.spec import Hyperparameters


def properties(box: type[Hyperparameters]) -> dict[str, dict[str, Any]]:
    return box.model_json_schema()["properties"]


def bounds(field: dict[str, Any]) -> tuple[float, float]:
    low = field["minimum"] if "minimum" in field else math.nextafter(field["exclusiveMinimum"], math.inf)
    high = field["maximum"] if "maximum" in field else math.nextafter(field["exclusiveMaximum"], -math.inf)
    return low, high


def draw(field: dict[str, Any], rng: random.Random) -> Any:
    """A value of the field as a search would propose it, ends of the range included."""
    if "enum" in field:
        return rng.choice(field["enum"])
    if field["type"] == "boolean":
        return rng.random() < 0.5
    if field["type"] == "string":
        return field["default"]
    low, high = bounds(field)
    end = rng.random()
    if end < 0.2:
        return low if end < 0.1 else high
    if field["type"] == "integer":
        return rng.randint(int(low), int(high))
    return rng.uniform(low, high)


def points(box: type[Hyperparameters], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Seeded random points of the box."""
    rng = random.Random(seed)  # noqa: S311  (a search, not a secret)
    return [{name: draw(field, rng) for name, field in properties(box).items()} for _ in range(count)] if "properties" in box.model_json_schema() else [{}]
