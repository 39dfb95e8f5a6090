"""The one training loop: AdamW, warm-up and cosine, early stopping, progress, and resuming at an epoch's boundary.

The loop is our own (docs/decisions/0001-training-loop.md); Lightning Fabric carries it where precision is mixed (`precision`). All
randomness of epoch e comes from generators seeded by (seed, e), so a resumed training draws what an uninterrupted one would have
drawn, without saving any generator's state, and the caller's generators stay as they were.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from finml_models.core.errors import Diverged, FinmlError
from finml_models.core.estimator import OnProgress, Progress, TrainingConfig, ignore

from .checkpoint import Checkpoints, EpochLoss, Snapshot
from .memory import reused
from .minibatch import CHUNK, Source
from .phases import Phases
from .plan import Plan, set_rates, unfreeze
from .precision import precision_of

_EVENT_SECONDS = 0.2

Loss = Callable[[Any, Any], Tensor]
"""(what the network answers, the minibatch) → scalar mean over the minibatch."""


class Loop:
    """Trains a network in place. `history` is the learning curve so far."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        train: Source,
        valid: Source,
        config: TrainingConfig,
        on_progress: OnProgress = ignore,
        plan: Plan | None = None,
        phases: Phases | None = None,
    ) -> None:
        self.plan = plan or Plan.plain(network.parameters())
        self.network, self.loss, self.train, self.valid, self.config = network, loss, train, valid, config
        self.device = next(network.parameters()).device
        self.precision = precision_of(self.device, config.precision)
        self.optimizer = self.precision.optimiser(self.plan.optimiser(config.learning_rate, config.weight_decay))
        self.phases = phases
        units = len(self._units(epoch=1))
        # Epochs differ by a unit or two; the schedule of rates wants as many steps of each.
        self.steps = min(units, math.ceil(train.samples * units / len(train) / config.batch_size))
        self.history: list[EpochLoss] = []
        self.best = _copy(network)
        self._reporter = _Reporter(on_progress, config.max_epochs, self.steps)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` of them passed without a better validation loss."""
        return len(self.history) >= self.config.max_epochs or self._stale >= self.config.patience

    def run(self, checkpoints: Checkpoints | None = None, key: str = "") -> None:
        """Train to the end and leave the best weights in the network. Raises `Diverged` and `LeaseHeld`.

        With `checkpoints`, every epoch is written, and a training of the same key goes on after its last one.
        """
        with checkpoints.lease() if checkpoints else nullcontext():
            if checkpoints and (snapshot := checkpoints.load(key)):
                self._resume(snapshot)
            self._reporter.start(len(self.history))
            while not self.finished:
                epoch = len(self.history) + 1
                self.history.append(EpochLoss(epoch, self.run_epoch(epoch), self._validate(epoch)))
                if self._stale == 0:
                    self.best = _copy(self.network)
                if checkpoints:
                    checkpoints.save(key, self._snapshot())
                self._reporter.epoch(self.history[-1], finished=self.finished)
            self.network.load_state_dict(self.best)
            self.network.eval()
            if checkpoints:
                checkpoints.clear()

    @reused()
    def run_epoch(self, epoch: int) -> float:
        """One pass over the epoch's training units in the order of (seed, epoch). Returns the mean loss."""
        self.network.train()
        unfreeze(self.optimizer, epoch)
        self.plan.begin(epoch)
        units = self._units(epoch)
        order = units[torch.randperm(len(units), generator=generator(self.config.seed, epoch, stream="batches"))]
        total = torch.zeros((), device=self.device)
        seen = 0
        with seeded(self.config.seed, epoch, stream="dropout", device=self.device):
            # Batches of equal size (± 1): a last batch of three rows would have a gradient of noise.
            for step, rows in enumerate(order.tensor_split(self.steps)):
                batch = self.train.gather(rows)
                loss = self.loss(self.precision.forward(self.network, batch), batch)
                self.optimizer.zero_grad(set_to_none=True)
                self.precision.backward(loss)
                self.precision.clip(self.network, self.optimizer, self.config.gradient_clip)
                self._set_rate((epoch - 1) * self.steps + step)
                self.optimizer.step()
                seen += len(rows)
                total += loss.detach() * len(rows)
                if self._reporter.is_due():
                    self._reporter.step(epoch, step + 1, self._finite(total.item() / seen, epoch))
        return self._finite(total.item() / seen, epoch)

    def _units(self, epoch: int) -> Tensor:
        return torch.arange(len(self.train)) if self.phases is None else self.phases.units(epoch)

    @property
    def _stale(self) -> int:
        losses = [row.valid for row in self.history]
        return len(losses) - 1 - losses.index(min(losses)) if losses else 0

    @reused()
    @torch.inference_mode()
    def _validate(self, epoch: int) -> float:
        self.network.eval()
        total = torch.zeros((), device=self.device)
        for rows in chunks(len(self.valid), self.valid.chunk):
            batch = self.valid.gather(rows)
            total += self.loss(self.precision.forward(self.network, batch), batch) * len(rows)
        return self._finite(total.item() / len(self.valid), epoch)

    def _set_rate(self, step: int) -> None:
        set_rates(self.optimizer, self.config.learning_rate * self.plan.schedule(step, self.steps * self.config.max_epochs))

    def _finite(self, loss: float, epoch: int) -> float:
        # A step that diverged leaves NaN in the weights and so in every later loss: looking now and then finds it.
        if not math.isfinite(loss):
            raise Diverged(
                f"loss: {loss} in epoch {epoch} at learning_rate {self.config.learning_rate:g}: lower learning_rate or gradient_clip, "
                "and look for extreme values in the target"
            )
        return loss

    def _snapshot(self) -> Snapshot:
        arrays = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        arrays |= {f"best.{name}": value for name, value in self.best.items()}
        arrays |= {f"optimizer.{i}.{name}": value for i, state in self.optimizer.state_dict()["state"].items() for name, value in state.items()}
        return Snapshot(list(self.history), {name: value.detach().cpu().numpy() for name, value in arrays.items()})

    def _resume(self, snapshot: Snapshot) -> None:
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
        for name, value in snapshot.arrays.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = torch.from_numpy(value.copy())
        self.network.load_state_dict(parts["network"])
        self.best = {name: value.to(self.device) for name, value in parts["best"].items()}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, moment = name.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.history = list(snapshot.history)


class _Reporter:
    """Progress events: at most five a second, and one at the end of each epoch. Steps count over the whole training."""

    def __init__(self, on_progress: OnProgress, epochs: int, steps: int) -> None:
        self._send, self._epochs, self._steps = on_progress, epochs, steps
        self._began = self._last = 0.0
        self._first = 0

    def start(self, epochs_done: int) -> None:
        self._began = self._last = time.monotonic()
        self._first = epochs_done * self._steps

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= _EVENT_SECONDS

    def step(self, epoch: int, step: int, loss: float) -> None:
        self._emit(epoch, (epoch - 1) * self._steps + step, loss, None)

    def epoch(self, row: EpochLoss, *, finished: bool) -> None:
        self._emit(row.epoch, row.epoch * self._steps, row.train, row.valid, finished=finished)

    def _emit(self, epoch: int, step: int, loss: float, metric: float | None, *, finished: bool = False) -> None:
        self._last = time.monotonic()
        steps = self._epochs * self._steps
        left = 0.0 if finished else (self._last - self._began) / (step - self._first) * (steps - step)
        self._send(Progress(epoch=epoch, epochs=self._epochs, step=step, steps=steps, loss=loss, metric=metric, seconds_left=left))


def chunks(units: int, size: int = CHUNK) -> Iterator[Tensor]:
    """0..units-1 in pieces of `size`."""
    return iter(torch.arange(units).split(size)) if units else iter(())


def pick_device(name: str) -> torch.device:
    """'auto' is CUDA when it is present. Raises `FinmlError` for 'cuda' without one."""
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise FinmlError("device: 'cuda' was asked for and no CUDA device is present: use 'auto' or 'cpu'")
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def generator(seed: int, epoch: int, *, stream: str) -> torch.Generator:
    """A generator of its own for each seed, epoch and purpose."""
    return torch.Generator().manual_seed(_mix(seed, epoch, stream))


@contextmanager
def seeded(seed: int, epoch: int, *, stream: str, device: torch.device) -> Iterator[None]:
    """The global generators of the CPU and of `device` seeded for a while, and put back as they were."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        # Not torch.manual_seed, which also seeds devices that are not put back.
        torch.default_generator.manual_seed(_mix(seed, epoch, stream))
        if device.type == "cuda":
            torch.cuda.manual_seed(_mix(seed, epoch, stream))
        yield


def _mix(seed: int, epoch: int, stream: str) -> int:
    return int(np.random.SeedSequence([seed, epoch, *stream.encode()]).generate_state(1, np.uint64)[0] >> 1)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
