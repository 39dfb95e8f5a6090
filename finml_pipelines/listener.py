"""Who hears of a training's progress: the run's log by default, the terminal when a command started the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from finml_models.core.estimator import OnProgress, Progress

if TYPE_CHECKING:
    import dagster as dg

Listener = Callable[[str, Progress], None]
"""listener(label, progress), where the label names asset, fold and seed."""

SECONDS_BETWEEN = 1.0


def to_run(context: dg.AssetExecutionContext, label: str, listener: Listener | None) -> OnProgress:
    """Progress of one fit as observations of its asset, an epoch each and at most one a second, and to the listener."""
    import dagster as dg

    last = 0.0

    def hear(progress: Progress) -> None:
        nonlocal last
        if listener is not None:
            listener(label, progress)
        if progress.step == progress.steps and time.monotonic() - last >= SECONDS_BETWEEN:
            last = time.monotonic()
            metadata = {"fit": label, "epoch": progress.epoch, "epochs": progress.epochs, "loss": progress.loss}
            if progress.metric is not None:
                metadata["validation"] = progress.metric
            context.log_event(dg.AssetObservation(asset_key=context.asset_key, metadata=metadata))

    return hear
