"""What the page of a model shows: hyperparameters as rows, claims grouped, a measurement with how to read its metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from finml_console.schemas.catalogue import Claim, Measurement, ModelPage
from finml_console.services.evidence import Judged
from finml_models.core.documents import HyperparameterForm
from finml_models.evaluation.document import MetricNote

from ._comparing import aligned

MEANINGS: Mapping[str, tuple[str, str]] = {
    "production_ready": ("production-ready", "Derived, not claimed: the newest version in at least one use case passed its gate."),
    "latency_class": ("latency", "Time of one prediction on one CPU core. A measured time above the claimed class refutes it."),
    "data_requirements": ("data requirements", "How many rows it needs to be useful. One size of data does not decide that."),
    "memory_mb": (
        "memory",
        "Resident memory that one more loaded version adds, at most. An artifact larger than that refutes it; a smaller one leaves it open.",
    ),
    "gpu": ("GPU", "Whether it needs a GPU to answer within its latency class."),
}
"""Of each claim, its name and a sentence."""


class Knob(NamedTuple):
    """A hyperparameter."""

    name: str
    default: str
    allowed: str
    description: str


class ClaimGroup(NamedTuple):
    """A claim with each measurement of it."""

    label: str
    explanation: str
    name: str
    claimed: str
    rows: tuple[Claim, ...]


class MeasuredIn(NamedTuple):
    """A use case of a model: what was measured there, how to read it, and its numbers with the same decimals; or nothing of that."""

    use_case: str
    measurement: Measurement | None
    note: MetricNote | None
    value: str = ""
    low: str = ""
    high: str = ""
    baseline: str = ""


def measured_in(shown: ModelPage, found: Sequence[Judged]) -> tuple[MeasuredIn, ...]:
    """Every use case that a model fits, those with a measurement first."""
    notes = {judged.release.task: judged.report.metrics[0] for judged in found}
    measurements = {one.source.use_case: one for one in shown.measurements}
    rows = [_measured(name, measurements.get(name), notes.get(name)) for name in dict.fromkeys((*shown.use_cases, *measurements))]
    return tuple(sorted(rows, key=lambda row: row.measurement is None))


def _measured(use_case: str, one: Measurement | None, note: MetricNote | None) -> MeasuredIn:
    return MeasuredIn(use_case, one, note, *(aligned([one.value, one.low, one.high, one.baseline_value]) if one else ()))


def claim_groups(claims: Sequence[Claim]) -> tuple[ClaimGroup, ...]:
    """Claims by name, in the order of `MEANINGS`."""
    order = list(MEANINGS)
    ordered = sorted(claims, key=lambda claim: order.index(claim.name))
    grouped = {name: tuple(rows) for name, rows in groupby(ordered, key=lambda claim: claim.name)}
    return tuple(ClaimGroup(*MEANINGS[name], name, _claimed(rows[0]), rows) for name, rows in grouped.items())


def knobs(form: HyperparameterForm) -> tuple[Knob, ...]:
    """The hyperparameters of a JSON Schema with their defaults and bounds."""
    properties: Mapping[str, Mapping[str, Any]] = form.json_schema.get("properties", {})
    return tuple(Knob(name, _plain(form.defaults.get(name)), allowed(schema), schema.get("description", "")) for name, schema in properties.items())


def allowed(schema: Mapping[str, Any]) -> str:
    """The values that a schema of a scalar allows, in words."""
    if "enum" in schema:
        return ", ".join(map(_plain, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(allowed(part) for part in schema["anyOf"]))
    if schema.get("type") in {"boolean", "null"}:
        return {"boolean": "true or false", "null": "none"}[schema["type"]]
    if "pattern" in schema:
        return f"text like {schema['pattern']}"
    low = _bound(schema, "minimum", "exclusiveMinimum", "over")
    high = _bound(schema, "maximum", "exclusiveMaximum", "below")
    scale = ", searched on a log scale" if schema.get("scale") == "log" else ""
    if low and high:
        return f"{low} to {high}{scale}"
    return f"{f'from {low}' if low else f'up to {high}' if high else schema.get('type', 'any')}{scale}"


def _bound(schema: Mapping[str, Any], closed: str, opened: str, word: str) -> str:
    if closed in schema:
        return _plain(schema[closed])
    return f"{word} {_plain(schema[opened])}" if opened in schema else ""


def _claimed(claim: Claim) -> str:
    words = {"true": "yes", "false": "no"}.get(claim.claimed, claim.claimed)
    return f"{words} MB at most" if claim.name == "memory_mb" else words


def _plain(value: object) -> str:
    """A scalar, thousands grouped."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
