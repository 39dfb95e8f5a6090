"""The course of a policy's learning: epochs counted in environment steps, validation after each, the best policy kept, progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from finml_models.core.errors import Diverged
from finml_models.core.estimator import OnProgress, Progress

from .checkpoint import EpochLoss
from .policy import play

if TYPE_CHECKING:
    from finml_models.core.market import Market

    from .actor import Actor

FULL_EPOCHS = 20
"""An epoch is a twentieth of a model's `environment_steps`: 20 of `max_epochs`, the default, take all of them, a fast profile's 6 their part."""
_EVENT_SECONDS = 0.2


def steps_of(environment_steps: int, max_epochs: int) -> int:
    """How many steps a fit takes: `environment_steps` · `max_epochs` / 20."""
    return environment_steps * max_epochs // FULL_EPOCHS


class Course:
    """Follows a learning of `steps` environment steps in `epochs`; an algorithm tells it how far it is.

    `actor()` is a copy of the policy as it is now, `returns` the list to which the environment adds the reward of every episode
    that ended; it is emptied after each epoch. `best` is the actor with the largest mean reward on the validation episodes,
    played without its noise, and `history` has a row an epoch with minus the mean rewards. Rollouts that span several epochs leave one row.
    """

    def __init__(self, actor: Callable[[], Actor], valid: Market, returns: list[float], *, steps: int, epochs: int, on_progress: OnProgress) -> None:
        self._actor, self._valid, self._returns, self._send = actor, valid, returns, on_progress
        self._steps, self._epochs = steps, epochs
        self._began = self._last = time.monotonic()
        self._epoch, self._value = 0, -np.inf
        self.best = actor()
        self.history: list[EpochLoss] = []

    def collected(self, done: int) -> None:
        """Steps were taken and not yet learned from: an event, at most five a second."""
        if time.monotonic() - self._last >= _EVENT_SECONDS:
            self._emit(min(self._epoch + 1, self._epochs), done, self._loss(), None)

    def updated(self, done: int) -> None:
        """The policy has learned from all steps so far. At the end of an epoch: validate and report. Raises `Diverged`."""
        epoch = min(done * self._epochs // self._steps, self._epochs)
        if epoch <= self._epoch:
            return
        self._epoch = epoch
        actor = self._actor()
        actor.check_finite(epoch)
        value = float(play(self._valid, actor).returns.mean())
        if not np.isfinite(value):
            raise Diverged(f"reward: its mean on the validation episodes is {value} in epoch {epoch}: look for extreme values in the data")
        self.history.append(EpochLoss(epoch, self._loss(), -value))
        self._returns.clear()
        if value > self._value:
            self.best, self._value = actor, value
        self._emit(epoch, done, self.history[-1].train, -value)

    def _loss(self) -> float:
        """Minus the mean reward of the epoch's episodes so far; where none ended, the last epoch's."""
        if self._returns:
            return -float(np.mean(self._returns))
        return self.history[-1].train if self.history else 0.0

    def _emit(self, epoch: int, done: int, loss: float, metric: float | None) -> None:
        self._last = time.monotonic()
        step = min(done, self._steps)
        left = (self._last - self._began) / max(step, 1) * (self._steps - step)
        self._send(Progress(epoch=epoch, epochs=self._epochs, step=step, steps=self._steps, loss=loss, metric=metric, seconds_left=left))
