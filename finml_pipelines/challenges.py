"""The challenge of the champion by a version that was just judged: part of its report's step, for there data and network are at hand."""

from __future__ import annotations

import pandas as pd

from finml_ledger import Deployments, Ledger
from finml_models.core.errors import FinmlError
from finml_models.monitoring.challenge import Trained, challenge_versions
from finml_models.monitoring.documents import Challenge, Result

from .records import ModelRecord


def against_champion(ledger: Ledger, model: ModelRecord, raw: pd.DataFrame) -> Challenge | None:
    """Compare a trained version with what serves its use case; None where nothing does, or where it serves itself.

    What keeps the two from being compared, such as an artifact that is gone, is a challenge that decided nothing and says why: a
    report is worth having without it.
    """
    champion = Deployments(ledger).now(model.task).state.champion
    if champion is None or champion.version == model.version:
        return None
    mark = {str(name): value for name, value in model.fingerprint.items()}
    rival = Trained(model.task, model.entry, model.version, model.artifact, mark)  # type: ignore[arg-type]
    try:
        release = ledger.release(model.task, champion.entry, champion.version)
        return challenge_versions(Trained(release.task, release.entry, release.version, release.artifact, release.fingerprint), rival, raw)
    except FinmlError as error:
        return Challenge(
            outcome=Result.TOO_FEW,
            task=model.task,
            metric="",
            champion=f"{champion.entry}:{champion.version}",
            challenger=f"{model.entry}:{model.version}",
            after="",
            rows=0,
            alpha=0.05,
            reason=f"the two could not be compared: {error}",
        )
