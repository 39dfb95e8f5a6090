"""Standardisation, learned from the training rows and kept with the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from finml_models.core.batches import Batch, Float, Int, Table, Windows
from finml_models.core.errors import DataError
from finml_models.core.estimator import Signature
from finml_models.core.graphs import Graphs

CLIP = 10.0
"""Standardised inputs beyond this are cut. Prices have crashes and bad ticks of 20 and more standard deviations: one such
row saturates the gates, blows up its batch's gradient, and at serving time asks for an extrapolation that no network holds."""

_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and standard deviation a column. Shapes: (f,), float32."""

    mean: Float
    std: Float

    @classmethod
    def of(cls, values: Float, weights: NDArray[np.int64], names: Sequence[str]) -> Self:
        """Weighted moments of `values` (rows, f) with `weights` (rows,), in float64 and in chunks. Raises `DataError` on NaN."""
        rows = np.flatnonzero(weights)
        chunks = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
        total = float(weights.sum())
        mean = sum(weights[c] @ values[c].astype(np.float64) for c in chunks) / total
        if not np.isfinite(mean).all():
            name = names[int(np.argmin(np.isfinite(mean)))]
            raise DataError(f"{name!r} holds NaN or infinity inside the training rows: drop those rows or fill them in the task's view")
        variance = sum(weights[c] @ (values[c].astype(np.float64) - mean) ** 2 for c in chunks) / total
        return cls._of_moments(mean, np.sqrt(variance))

    @classmethod
    def of_known(cls, values: Float) -> Self:
        """Moments of the numbers that are there, in float64; a column without any has mean 0 and deviation 1."""
        there = np.isfinite(values)
        count = np.maximum(there.sum(axis=0), 1)
        known = np.where(there, values, 0).astype(np.float64)
        mean = known.sum(axis=0) / count
        return cls._of_moments(mean, np.sqrt((np.where(there, known - mean, 0) ** 2).sum(axis=0) / count))

    @classmethod
    def _of_moments(cls, mean: NDArray[np.float64], std: NDArray[np.float64]) -> Self:
        # A constant column has only rounding noise left, which must not be blown up to unit variance.
        constant = std <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
        return cls(mean.astype(np.float32), np.where(constant, 1.0, std).astype(np.float32))

    def standardise(self, values: Float) -> Float:
        """A fresh array of the same shape (..., f)."""
        out = np.subtract(values, self.mean, dtype=np.float32)
        out /= self.std
        return out

    def original(self, values: Float) -> Float:
        """Standardised values in the units that they came in; a fresh array."""
        out: Float = values * self.std + self.mean
        return out

    def clipped(self, values: Float) -> Float:
        """Standardised and cut at ±`CLIP`; a fresh array."""
        out = self.standardise(values)
        return np.clip(out, -CLIP, CLIP, out=out)


@dataclass(frozen=True, slots=True)
class Scaling:
    """The scales of a fitted estimator's inputs, and of static or known inputs where there are any."""

    inputs: Scale
    static: Scale | None = None
    known: Scale | None = None

    @classmethod
    def of(cls, train: Batch, signature: Signature) -> Self:
        """Moments over the rows that the training samples read, each as often as it is read.

        A table's missing numbers have no part in them and become 0, the mean, when standardised; the task's own indicators say
        that they were missing.
        """
        if isinstance(train, Table):
            return cls(Scale.of_known(train.values))
        if isinstance(train, Graphs):
            read = np.bincount(train.snapshot, minlength=len(train.times)) > 0
            return cls(Scale.of(_rows(train.nodes), (train.present & read[:, None]).ravel().astype(np.int64), signature.feature_names))
        if not isinstance(train, Windows):
            raise TypeError(f"batch: {type(train).__name__} cannot be standardised; give Windows, Graphs or a Table")
        static = known = None
        if train.static is not None:
            static = Scale.of(train.static, np.bincount(train.series, minlength=len(train.static)), signature.static_names)
        if train.known is not None:
            ahead = train.known.shape[1] - train.panel.shape[1]
            known = Scale.of(_rows(train.known), coverage(train, ahead), signature.known_names)
        return cls(Scale.of(_rows(train.panel), coverage(train), signature.feature_names), static, known)

    def inputs_of(self, name: str) -> Scale:
        """The scale `inputs`, `static` or `known`; `DataError` where the training data had none."""
        scale: Scale | None = getattr(self, name)
        if scale is None:
            raise DataError(f"{name}: the batch has these inputs and the training data had none: train again or leave them out")
        return scale

    def state(self) -> dict[str, NDArray]:
        """All moments by name."""
        scales = {name: getattr(self, name) for name in ("inputs", "static", "known")}
        return {f"{name}.{part}": getattr(scale, part) for name, scale in scales.items() if scale is not None for part in ("mean", "std")}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray], signature: Signature) -> Self:
        """The scaling of `state()`; `KeyError` for a missing array, `ValueError` for one of another shape."""
        sizes = {"inputs": signature.features, "static": len(signature.static_names), "known": len(signature.known_names)}
        return cls(**{name: Scale(*(expect(state, f"{name}.{part}", (size,)) for part in ("mean", "std"))) for name, size in sizes.items() if size})


def first_row(windows: Windows) -> Int:
    """(n,) position of each window's first row that exists."""
    return np.maximum(windows.end - (windows.length - 1), 0)


def coverage(windows: Windows, ahead: int = 0) -> NDArray[np.int64]:
    """How many windows read each row of the flattened panel. Shape: (s * (t + ahead),). No window is built for it."""
    series, steps = windows.panel.shape[0], windows.panel.shape[1] + ahead
    size = series * (steps + 1)
    base = windows.series * (steps + 1)
    begins = np.bincount(base + first_row(windows), minlength=size)
    ends = np.bincount(base + windows.end + ahead + 1, minlength=size)
    return np.cumsum((begins - ends).reshape(series, steps + 1), axis=1)[:, :-1].ravel()


def _rows(values: Float) -> Float:
    return values.reshape(-1, values.shape[-1])


def expect(state: Mapping[str, NDArray], name: str, shape: tuple[int, ...]) -> Float:
    """A copy of a saved array; `KeyError` where it is missing, `ValueError` where its shape is another one."""
    array = state[name]
    if array.shape != shape:
        raise ValueError(f"{name}: shape {array.shape} does not fit the signature, which needs {shape}: take the state of the same signature")
    return np.array(array, dtype=np.float32)
