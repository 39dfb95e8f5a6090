"""Which model for a use case: what was measured first, what is claimed after it, what is not built last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from . import catalog
from .spec import Frozen, Level

Verdict = Literal["superior", "non_inferior", "inconclusive", "inferior"]
VERDICTS: dict[Verdict, str] = {
    "superior": "better than",
    "non_inferior": "no worse than",
    "inconclusive": "not shown to differ from",
    "inferior": "worse than",
}
"""Best first, with the words for a comparison with the best baseline."""

LEVELS = list(Level)


class Evidence(Frozen):
    """What the newest report says of a model in a use case."""

    verdict: Verdict
    metric: str
    lower_is_better: bool = True
    value: float
    baseline: str = Field(description="id of the best baseline, the one that the verdict is against")
    baseline_value: float
    milliseconds: float | None = Field(None, ge=0, description="measured latency of one prediction")
    megabytes: float | None = Field(None, ge=0, description="measured size of the artifact")
    released: bool = Field(False, description="the version passed its gate")


class Recommendation(Frozen):
    """One place of the ranking."""

    rank: int = Field(ge=1)
    id: str
    name: str
    role: Literal["model", "baseline"]
    built: bool
    reason: str
    evidence: Evidence | None = None
    minimum_samples: int | None = None
    recommended_samples: int | None = None
    """What its training needs; None for a baseline that stands in for the models that lost to it."""


def recommend(use_case: str, *, evidence: Mapping[str, Evidence] | None = None, rows: int | None = None) -> list[Recommendation]:
    """The models of a use case in the order in which to try them, each with its reason.

    Released winners first; without one, and with something measured, the best baseline; then the other measured
    models by verdict, the unmeasured ones by their claims against the `rows` there are, and what is not built last.
    Raises `UnknownName`.
    """
    found = evidence or {}
    pairs = catalog.pairs(use_case)
    runnable = [p for p in pairs if p.gap is None]
    measured = sorted((p for p in runnable if p.entry.id in found), key=lambda p: _measured_order(found[p.entry.id], p.entry.id))
    winners = [p for p in measured if _wins(found[p.entry.id])]
    ranking = [_model(p, _measured_reason(found[p.entry.id]), found[p.entry.id]) for p in measured]
    if measured and not winners:
        ranking.insert(0, _use_the_baseline(found[measured[0].entry.id]))
    claimed = sorted((p for p in runnable if p.entry.id not in found), key=lambda p: _claim_order(p.entry, rows))
    ranking += [_model(p, _claim_reason(p.entry, rows)) for p in claimed]
    ranking += [_model(p, f"not built yet: {p.gap}") for p in pairs if p.gap]
    return [place.model_copy(update={"rank": rank}) for rank, place in enumerate(ranking, start=1)]


def _wins(evidence: Evidence) -> bool:
    return evidence.released and evidence.verdict in ("superior", "non_inferior")


def _measured_order(evidence: Evidence, entry_id: str) -> tuple[bool, int, float, str]:
    return not _wins(evidence), list(VERDICTS).index(evidence.verdict), evidence.value if evidence.lower_is_better else -evidence.value, entry_id


def _claim_order(entry: catalog.Entry, rows: int | None) -> tuple[int, int, int, str]:
    need, card = entry.card.training, entry.card
    short = 0 if rows is None else (rows < need.minimum_samples) + (rows < need.recommended_samples)
    return short, LEVELS.index(card.data_requirements), LEVELS.index(card.latency_class), entry.id


def _model(pair: catalog.Pair, reason: str, evidence: Evidence | None = None) -> Recommendation:
    need = pair.entry.card.training
    return Recommendation(
        rank=1,
        id=pair.entry.id,
        name=pair.entry.card.name,
        role="model",
        built=pair.gap is None,
        reason=reason,
        evidence=evidence,
        minimum_samples=need.minimum_samples,
        recommended_samples=need.recommended_samples,
    )


def _use_the_baseline(evidence: Evidence) -> Recommendation:
    built = evidence.baseline in catalog.baselines()
    name = catalog.baseline(evidence.baseline).card.name if built else evidence.baseline
    score = f"{evidence.metric} {evidence.baseline_value:.4g}"
    reason = f"use the baseline {evidence.baseline} ({score}): no measured model both held its own against it and passed its gate"
    return Recommendation(rank=1, id=evidence.baseline, name=name, role="baseline", built=built, reason=reason)


def _measured_reason(evidence: Evidence) -> str:
    return "; ".join(_measured_parts(evidence))


def _measured_parts(evidence: Evidence) -> Iterator[str]:
    comparison = f"measured: {VERDICTS[evidence.verdict]} {evidence.baseline}"
    margin = f", {100 * (evidence.value - evidence.baseline_value) / abs(evidence.baseline_value):+.1f} %" if evidence.baseline_value else ""
    better = "lower" if evidence.lower_is_better else "higher"
    yield f"{comparison} ({evidence.metric} {evidence.value:.4g} against {evidence.baseline_value:.4g}{margin}; {better} is better)"
    if evidence.milliseconds is not None:
        yield f"{evidence.milliseconds:.3g} ms a prediction"
    if evidence.megabytes is not None:
        yield f"{evidence.megabytes:.3g} MB"
    yield "passed its gate" if evidence.released else "did not pass its gate"


def _claim_reason(entry: catalog.Entry, rows: int | None) -> str:
    need, card = entry.card.training, entry.card
    claims = f"not measured here yet; claims {card.data_requirements} data requirements and {card.latency_class} latency"
    if rows is None:
        return f"{claims}; wants {need.recommended_samples:,} samples"
    if rows < need.minimum_samples:
        return f"{claims}; {rows:,} samples are fewer than the {need.minimum_samples:,} below which training is refused"
    if rows < need.recommended_samples:
        return f"{claims}; {rows:,} samples are fewer than the {need.recommended_samples:,} recommended"
    return f"{claims}; {rows:,} samples are enough for the {need.recommended_samples:,} recommended"
