"""The acting half of a learned policy in plain numpy: frozen normaliser, hidden layers, bounded actions.

It holds everything that was learned and is needed to act, as arrays, so that a service needs neither torch nor the library that trained it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from finml_models.core.errors import Diverged

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 10.0
"""Normalised observations are cut here, in training and after it."""
_MOMENTS = ("observation.mean", "observation.deviation")


@dataclass(frozen=True, slots=True)
class Actor:
    """tanh layers and a linear one, whose output between -1 and 1 becomes an action between 0 and 1.

    With `squashed` the hidden layers are ReLU and a tanh bounds the output, as soft actor-critic has it, where otherwise it is cut.
    Shapes: mean and deviation (f,) in float64; each layer a weight (out, in) and a bias (out,) in float32.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    squashed: bool = False

    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) → (n, actions)."""
        x = np.clip((observations - self.mean) / self.deviation, -CLIP, CLIP).astype(np.float32)
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = x @ w.T + b
            x = np.maximum(x, np.float32(0)) if self.squashed else np.tanh(x)
        x = x @ weight.T + bias
        return ((np.tanh(x) if self.squashed else np.clip(x, -1.0, 1.0)) + np.float32(1)) / np.float32(2)

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        weights = {f"policy.{i}.{part}": array for i, layer in enumerate(self.layers) for part, array in zip(("weight", "bias"), layer, strict=True)}
        return {_MOMENTS[0]: self.mean, _MOMENTS[1]: self.deviation, **weights}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], widths: tuple[int, ...], *, squashed: bool = False) -> Actor:
        """From the arrays of `state()`, for layers of these widths, observations first and actions last.

        Raises `KeyError` for a missing or unknown array, `ValueError` for a wrong shape.
        """
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_MOMENTS, (widths[0],))
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            shapes |= {f"policy.{i}.weight": (outputs, inputs), f"policy.{i}.bias": (outputs,)}
        if shapes.keys() != state.keys():
            raise KeyError(f"policy: arrays {sorted(shapes.keys() ^ state.keys())} are missing or unknown: take the state of the same model")
        for name, shape in shapes.items():
            if state[name].shape != shape:
                raise ValueError(f"{name}: shape {state[name].shape} where {shape} is needed: take the state of the same hyperparameters")
        layers = tuple((np.array(state[f"policy.{i}.weight"], np.float32), np.array(state[f"policy.{i}.bias"], np.float32)) for i in range(len(widths) - 1))
        mean, deviation = (np.array(state[name], np.float64) for name in _MOMENTS)
        return cls(mean, deviation, layers, squashed)

    def check_finite(self, epoch: int) -> None:
        """Raise `Diverged` where a weight is no longer a number."""
        if not all(np.isfinite(array).all() for array in self.state().values()):
            raise Diverged(f"policy: a weight is NaN or infinite in epoch {epoch}: lower learning_rate or gradient_clip, and look for extreme rewards")
