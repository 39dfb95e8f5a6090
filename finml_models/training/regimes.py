"""Regimes from embeddings: a Gaussian mixture over what a network says of a row, and the law of the next return in each component."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from finml_models.core.errors import DataError
from finml_models.core.predictions import Regimes

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

Float = NDArray[np.float64]

HELD_OUT = 0.3
"""Share of the training rows, the newest, on which the number of regimes is chosen."""
LUCK = 2.0
"""Standard errors by which one more regime has to predict better."""
PRIOR_ROWS = 22.0
"""Rows of the pool that each regime's moments start with: a month. A regime that hardly ever occurs keeps the law of all days."""
LEAST_SHARE = 0.05
"""Least std of the next return in a regime, as a share of the pool's: a lucky calm must not make a density without bounds."""
RIDGE = 1e-3
"""Added to the variances of scaled embeddings: a unit that a network never uses must not make a component singular."""


@dataclass(frozen=True, slots=True)
class Laws:
    """Mean and standard deviation of the next return in each regime. Shapes: (k,), float64."""

    mean: Float
    std: Float

    @classmethod
    def of(cls, weights: Float, following: Float) -> Self:
        """Moments weighted by the probabilities `weights` (n, k) of the returns that followed (n,), shrunk towards those of the pool."""
        following = np.asarray(following, np.float64)
        centre, spread = float(following.mean()), max(float(following.var()), 1e-16)
        rows = weights.sum(axis=0)
        share = rows / (rows + PRIOR_ROWS)
        mean = centre + (weights.T @ (following - centre)) / (rows + PRIOR_ROWS)
        gaps = np.square(following[:, None] - mean)
        variance = np.maximum((weights * gaps).sum(axis=0) / np.maximum(rows, 1e-12), LEAST_SHARE**2 * spread)
        # Logarithms are averaged, not variances: a few stormy days of the pool would drown a calm regime's own.
        return cls(mean, np.exp(0.5 * (share * np.log(variance) + (1 - share) * np.log(spread))))

    @property
    def calmest_first(self) -> NDArray[np.intp]:
        """(k,) the regimes by std: an order that names them alike from refit to refit."""
        return np.argsort(self.std, kind="stable")

    def take(self, regimes: NDArray[np.intp]) -> Laws:
        """The laws of these regimes, in this order."""
        return Laws(self.mean[regimes], self.std[regimes])

    def log_density(self, probabilities: Float, following: Float) -> Float:
        """(n,) log density of the mixture at the returns that followed."""
        from scipy.special import logsumexp

        z = (np.asarray(following, np.float64)[:, None] - self.mean) / self.std
        with np.errstate(divide="ignore"):  # a regime without probability has the logarithm -inf, and no part in the sum
            weight = np.log(probabilities)
        return np.asarray(logsumexp(weight - 0.5 * z**2 - np.log(self.std) - 0.5 * np.log(2 * np.pi), axis=1))

    def regimes(self, probabilities: Float) -> Regimes:
        """The prediction of rows with these probabilities (n, k)."""
        mean, std = (np.tile(values.astype(np.float32), (len(probabilities), 1)) for values in (self.mean, self.std))
        return Regimes(probabilities.astype(np.float32), mean, std)


def number_of_regimes(most: int, rows: int, score: Callable[[int, slice, slice], Float]) -> int:
    """2 … `most`: the fewest whose fit on the older training rows predicts the newest `HELD_OUT` of them about as well as any.

    `score(number, older, newer)` is the predictive log-likelihood of each row of `newer` by a fit on `older`. About as well: its
    mean is within `LUCK` standard errors of the best. Breiman et al. (Classification and Regression Trees, 1984) take one, which
    lets luck add a regime in one refit of six; regimes are to be stable.
    """
    if most == 2:
        return 2
    cut = rows - int(HELD_OUT * rows)
    found = [score(number, slice(0, cut), slice(cut, rows)) for number in range(2, most + 1)]
    gaps = [max(found, key=lambda own: float(own.mean())) - own for own in found]
    return 2 + next(i for i, gap in enumerate(gaps) if gap.mean() <= LUCK * gap.std() / np.sqrt(len(gap)))


@dataclass(frozen=True, slots=True)
class RegimeMixture:
    """A mixture of Gaussians over centred and scaled embeddings, calmest component first, and the next return's law in each.

    A row's probabilities follow from its own embedding alone, which a network makes of trailing rows: they are filtered and never
    smoothed. Shapes: centre (d,), scale (1,), weights (k,), means (k, d), precision (k, d, d): lower factors of the inverse
    covariances, laws (k,); float64.
    """

    PREFIX = "regimes."

    centre: Float
    scale: Float
    weights: Float
    means: Float
    precision: Float
    laws: Laws

    @classmethod
    def of(cls, embedding: NDArray[np.floating], following: NDArray[np.floating], most: int, seed: int) -> Self:
        """Fit on training rows in the order of time: embedding (n, d), following (n,) the return after each row.

        The number of components, 2 to `most`, is chosen by `number_of_regimes`; the mixture is then fitted on all rows.
        """
        x, following = np.asarray(embedding, np.float64), np.asarray(following, np.float64).reshape(-1)
        if x.ndim != 2 or len(x) != len(following) or len(x) < 10 * most:
            raise DataError(f"regimes: embeddings {x.shape} and {len(following)} returns for up to {most} regimes; give 10 rows a regime, and a return a row")
        if not (np.isfinite(x).all() and np.isfinite(following).all()):
            raise DataError("regimes: an embedding or a return is not finite; leave out the row, or train with a smaller learning rate")

        def score(number: int, older: slice, newer: slice) -> Float:
            found = cls._fitted(x[older], following[older], number, seed)
            return found.laws.log_density(found.probabilities(x[newer]), following[newer])

        return cls._fitted(x, following, number_of_regimes(most, len(x), score), seed)

    def probabilities(self, embedding: NDArray[np.floating]) -> Float:
        """(n, d) -> (n, k) posterior of each component."""
        from scipy.special import softmax

        x = (np.asarray(embedding, np.float64) - self.centre) / self.scale
        # Without BLAS, whose order of summation depends on the number of rows: a row is the same alone and among others.
        turned = np.einsum("nkd,kde->nke", x[:, None, :] - self.means, self.precision)
        scale = np.log(np.diagonal(self.precision, axis1=1, axis2=2)).sum(axis=1)
        return np.asarray(softmax(np.log(self.weights) + scale - 0.5 * np.square(turned).sum(axis=2), axis=1))

    def predict(self, embedding: NDArray[np.floating]) -> Regimes:
        """One prediction a row of (n, d), each from its own embedding."""
        return self.laws.regimes(self.probabilities(embedding))

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays, under names that begin with `PREFIX`."""
        arrays = {name: getattr(self, name) for name in ("centre", "scale", "weights", "means", "precision")}
        return {self.PREFIX + name: values for name, values in (arrays | {"mean": self.laws.mean, "std": self.laws.std}).items()}

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """The mixture of `state()`; `KeyError` for a missing array, `ValueError` for one of another shape."""
        k, d = state[cls.PREFIX + "means"].shape
        shapes = {"centre": (d,), "scale": (1,), "weights": (k,), "means": (k, d), "precision": (k, d, d), "mean": (k,), "std": (k,)}
        held = {name: np.array(state[cls.PREFIX + name], np.float64) for name in shapes}
        for name, shape in shapes.items():
            if held[name].shape != shape:
                raise ValueError(f"{cls.PREFIX}{name}: shape {held[name].shape} where {shape} is needed: take the state of the same model")
        laws = Laws(held.pop("mean"), held.pop("std"))
        return cls(**held, laws=laws)

    @classmethod
    def _fitted(cls, x: Float, following: Float, number: int, seed: int) -> Self:
        # One scale for all units: a unit that a network hardly uses must not count as much as one that it does.
        centre, scale = x.mean(axis=0), np.sqrt(x.var(axis=0).mean(keepdims=True))
        scale = np.where(scale > 1e-12, scale, 1.0)
        found = _mixture((x - centre) / scale, number, seed)
        free = cls(centre, scale, found.weights_, found.means_, found.precisions_cholesky_, Laws(np.zeros(number), np.ones(number)))
        laws = Laws.of(free.probabilities(x), following)
        order = laws.calmest_first
        return cls(centre, scale, free.weights[order], free.means[order], free.precision[order], laws.take(order))


def _mixture(x: Float, number: int, seed: int) -> GaussianMixture:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        # An embedding with fewer distinct points than components, of an untrained network, is worth a prediction all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(number, covariance_type="full", reg_covar=RIDGE, max_iter=200, n_init=3, random_state=seed).fit(x)
