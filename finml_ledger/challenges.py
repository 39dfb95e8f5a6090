"""The rule that a version must beat the champion on rows that neither was trained on before it may replace it."""

from __future__ import annotations

from typing import Any

from finml_models.core.spec import Frozen
from finml_models.monitoring.documents import Challenge, Result

from .deployments import Deployments, Slot
from .ledger import Ledger

CHALLENGE = "challenge"
"""Key of a release's headline under which the pipeline leaves the challenge of the champion that served when the version was judged."""


class Standing(Frozen):
    """Whether a version may replace the champion by its challenge, and why."""

    may_replace: bool
    reason: str
    challenge: Challenge | None = None


def standing(ledger: Ledger, task: str, slot: Slot) -> Standing:
    """What the ledger knows of a version's challenge; light, nothing is computed. Raises `UnknownName` for a version that there is not.

    Without a champion there is nothing to beat. A challenge of another champion than the present one counts for nothing.
    """
    champion = Deployments(ledger).now(task).state.champion
    found: dict[str, Any] | None = ledger.release(task, slot.entry, slot.version).headline.get(CHALLENGE)
    held = None if found is None else Challenge.model_validate(found)
    if champion is None:
        return Standing(may_replace=True, reason="nothing is deployed that it would replace", challenge=held)
    serves = f"{champion.entry}:{champion.version}"
    if held is None or held.champion != serves:
        return Standing(may_replace=False, reason=f"it was never compared with {serves} on fresh rows; run its report again", challenge=held)
    return Standing(may_replace=held.outcome is Result.WON, reason=held.reason, challenge=held)
