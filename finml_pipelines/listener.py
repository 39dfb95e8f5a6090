"""Who hears of a training's progress: the run's log by default, the terminal when a command started the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from finml_models.core.estimator import OnProgress, Progress

if TYPE_CHECKING:
    import dagster as dg

Listener = Callable[[str, Progress], None]
"""listener(label, progress), where the label names asset, fold and seed."""

SECONDS_BETWEEN = 1.0
SECONDS_WITHIN_EPOCH = 10.0
"""Between observations in the midst of an epoch, which tell that it goes on and how far it is."""


class Course:
    """The fits of one training in their order, each heard by the run's log and the listener, and how far they are together.

    An observation of the training's asset has the metadata `fit` (its label), `done` (the share of the whole training, by rows of
    training data, 0 to 1, rising) and `seconds_left` (at the pace so far; early stopping may end it sooner); within a fit also
    `epoch`, `epochs`, `loss`, and at the end of an epoch `validation` where the model validates.
    """

    def __init__(self, context: dg.AssetExecutionContext, pair_id: str, listener: Listener | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._pair, self._listener, self._clock = context, pair_id, listener, clock
        self._rows: tuple[int, ...] = ()
        self._fit = -1
        self._last: float | None = None
        self._began = clock()

    def plan(self, rows: Sequence[int]) -> None:
        """Say how many rows each fit to come learns from, in the order in which they will begin."""
        self._rows, self._began = tuple(rows), self._clock()

    def begin(self, fold: int | None, seed: int) -> OnProgress:
        """The next fit begins: who listens to it."""
        self._fit += 1
        label = f"{self._pair} {'final fit' if fold is None else f'fold {fold + 1}'} seed {seed}"
        self._observe(label, 0.0, {}, SECONDS_BETWEEN)

        def hear(progress: Progress) -> None:
            if self._listener is not None:
                self._listener(label, progress)
            # Steps count over all epochs of a fit; an epoch's end tells its validation loss, or is the end of a fit that has none.
            ended = progress.metric is not None or progress.step == progress.steps
            facts: dict[str, Any] = {"epoch": progress.epoch, "epochs": progress.epochs, "loss": progress.loss}
            if progress.metric is not None:
                facts["validation"] = progress.metric
            self._observe(label, progress.step / max(progress.steps, 1), facts, SECONDS_BETWEEN if ended else SECONDS_WITHIN_EPOCH)

        return hear

    def done(self, within: float) -> float | None:
        """The share of the whole that is done when this share of the present fit is; None where no plan was told."""
        if not self._rows or self._fit >= len(self._rows):
            return None
        return (sum(self._rows[: self._fit]) + min(max(within, 0.0), 1.0) * self._rows[self._fit]) / sum(self._rows)

    def _observe(self, label: str, within: float, facts: dict[str, Any], seconds: float) -> None:
        now = self._clock()
        if self._last is not None and now - self._last < seconds:
            return
        import dagster as dg

        self._last = now
        metadata: dict[str, Any] = {"fit": label, **facts}
        if (done := self.done(within)) is not None:
            metadata["done"] = done
            if done > 0:
                metadata["seconds_left"] = (now - self._began) / done * (1 - done)
        self._context.log_event(dg.AssetObservation(asset_key=self._context.asset_key, metadata=metadata))
