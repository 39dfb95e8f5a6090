"""How a network's parameters are optimised: groups with rates of their own, a schedule, and when each group begins to learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

Schedule = Callable[[int, int], float]
"""(step, steps of the whole training) → share of the peak rate."""

_WARM_UP_STEPS = 100


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that learn at `rate` × the configured learning rate, from epoch `from_epoch` on; before that they are frozen.

    Decay is for matrices only: shrinking a bias or a norm's gain regularises nothing. `decays` False leaves it out altogether.
    """

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    decays: bool = True
    from_epoch: int = 1


def warm_up_and_cosine(step: int, steps: int) -> float:
    """A linear warm-up of at most 100 steps, then a cosine down to 0."""
    warm_up = min(_WARM_UP_STEPS, steps // 10)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def _nothing(epoch: int) -> None:
    """For plans in which all epochs are alike."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The groups of a network, none of its parameters in two of them. `begin` is told each epoch (from 1) before its first step."""

    groups: tuple[Group, ...]
    schedule: Schedule = warm_up_and_cosine
    begin: Callable[[int], None] = _nothing

    @classmethod
    def plain(cls, parameters: Iterable[nn.Parameter]) -> Plan:
        """All parameters alike."""
        return cls((Group([p for p in parameters if p.requires_grad]),))

    def optimiser(self, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
        """AdamW (Loshchilov & Hutter 2019); each of its groups knows its `rate` and `from_epoch`."""
        parts = [
            {"params": chosen, "weight_decay": weight_decay if group.decays and matrices else 0.0, "rate": group.rate, "from_epoch": group.from_epoch}
            for group in self.groups
            for matrices in (True, False)
            if (chosen := [p for p in group.parameters if (p.ndim > 1) == matrices])
        ]
        # One pass over each parameter instead of ten: on a CPU the step of a small network takes a quarter of the time.
        return torch.optim.AdamW(parts, lr=learning_rate, fused=True)


def unfreeze(optimiser: torch.optim.Optimizer, epoch: int) -> None:
    """Let the groups whose time has come learn, and no others."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(epoch >= group["from_epoch"])


def set_rates(optimiser: torch.optim.Optimizer, peak: float) -> None:
    """Give each group its share of this step's rate."""
    for group in optimiser.param_groups:
        group["lr"] = peak * group["rate"]
