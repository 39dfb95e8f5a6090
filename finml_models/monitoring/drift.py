"""Do requests still look like the training data? Each input's distribution against the one that its artifact keeps.

Two measures an input: the population stability index, which says how large a shift is, and the Kolmogorov-Smirnov distance, which
is sensitive to shifts inside a bin. An input has drifted when the shift is both large and no accident; large alone happens
with few rows, significant alone with many.

Rows of one day, and neighbouring days of a slow input, tell little new: a test that counts them all would call every calm
month a drift. So tests count independent rows: dates (or entities, by the task's unit) over the input's persistence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from finml_models.core.task import Unit
from finml_models.evaluation.statistics import holm

from .documents import DriftReport, FeatureDrift, Shift

if TYPE_CHECKING:
    from .served import Served

Float = NDArray[np.float64]

ALPHA = 0.01
"""Chance of any false alarm over all inputs of a version in one window, after Holm."""
MODERATE, LARGE = 0.10, 0.25
"""Of the stability index: below 0.10 no change, from 0.25 a large one (Siddiqi, Credit risk scorecards, Wiley 2006; Lewis, An introduction to
credit scoring, 1994). The numbers are convention, not theory; under no drift the index is about (bins - 1)(1/n + 1/m)."""
MINIMUM_ROWS = 50
MINIMUM_INDEPENDENT = 20.0
"""Independent rows below which an input is not tested: the laws of both statistics are asymptotic."""
DECILES = slice(10, 100, 10)


def drift(
    served: Served | None, reference: Mapping[str, NDArray[Any]], names: Sequence[str], *, unit: Unit, categories: Sequence[str] = (), alpha: float = ALPHA
) -> DriftReport:
    """Compare what was served with the `reference` of an artifact (`core.serving.training_range`), input by input.

    An artifact that was written before distributions were kept has no drift to measure: the report says so.
    """
    count = 0 if served is None else len(served)
    if "quantiles" not in reference:
        return DriftReport(rows=count, features=(), alpha=alpha, reason="the artifact keeps no distribution of its inputs; train it again")
    if served is None or count < MINIMUM_ROWS:
        return DriftReport(rows=count, features=(), alpha=alpha, reason=f"{count} different rows were served; at least {MINIMUM_ROWS} are needed")
    if served.inputs.shape[1] != reference["quantiles"].shape[1]:
        return DriftReport(rows=len(served), features=(), alpha=alpha, reason="requests have other inputs than the training; they cannot be compared")
    found = [_number(served, reference, names, column, unit) for column in range(served.inputs.shape[1])]
    if served.codes is not None and "frequencies" in reference:
        found += [_category(served, reference, name, column, unit) for column, name in enumerate(categories)]
    tested = [one for one in found if one.p is not None]
    adjusted = dict(zip((one.feature for one in tested), holm([one.p for one in tested if one.p is not None]), strict=True))
    judged = [
        one.model_copy(update={"p_adjusted": p, "drifted": one.psi >= LARGE and p < alpha}) if (p := adjusted.get(one.feature)) is not None else one
        for one in found
    ]
    drifted, untested = [one.feature for one in judged if one.drifted], len(judged) - len(tested)
    said = f"{len(drifted)} of {len(tested)} inputs drifted" + (f": {', '.join(drifted)}" if drifted else "")
    rest = f"; {untested} change too slowly to be tested in this window" if untested else ""
    return DriftReport(rows=len(served), features=tuple(sorted(judged, key=lambda one: (not one.drifted, -one.psi))), alpha=alpha, reason=f"{said}{rest}")


def stability_index(actual: Float, expected: Float, n: float, m: float) -> tuple[float, int]:
    """Population stability index Σ (a - e) log(a / e) over bins of shares (k,), and the number of bins that either side has rows in.

    An empty bin counts half a row, of `n` actual and `m` expected ones, so that the index stays finite.
    """
    there = (actual > 0) | (expected > 0)
    a, e = np.maximum(actual[there], 0.5 / n), np.maximum(expected[there], 0.5 / m)
    return float(((a - e) * np.log(a / e)).sum()), int(there.sum())


def stability_p(psi: float, bins: int, n: float, m: float) -> float:
    """Chance of an index at least this large without drift: it is about (1/n + 1/m) χ² with bins - 1 degrees of freedom (Yurdakul and
    Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation 14(4), 2020)."""
    from scipy.special import chdtrc

    return float(chdtrc(bins - 1, psi / (1 / n + 1 / m))) if bins > 1 else 1.0


def kolmogorov_p(distance: float, n: float, m: float) -> float:
    """Chance of a distance at least this large between samples of n and m independent rows (Kolmogorov 1933; Smirnov 1948), by the exact
    law of one sample of n m / (n + m) rows. Taken at percentiles alone the distance is smaller, so the chance errs to the safe side."""
    from scipy.stats import kstwo

    return float(kstwo.sf(distance, max(1, int(n * m / (n + m)))))


def _number(served: Served, reference: Mapping[str, NDArray[Any]], names: Sequence[str], column: int, unit: Unit) -> FeatureDrift:
    values = served.inputs[:, column]
    there = np.sort(values[np.isfinite(values)])
    points, cumulative = reference["quantiles"][:, column], reference["cumulative"][:, column].astype(np.float64)
    missing = float(reference["missing"][column])
    actual = np.searchsorted(there, points, side="right") / max(len(there), 1)
    lost = 1 - len(there) / len(values)
    n, m = _independent(served, reference, column, unit)
    psi, bins = stability_index(_bins(actual, lost), _bins(cumulative, missing), len(values), float(reference["rows"][0]))
    ks = float(np.abs(actual - cumulative).max()) if len(there) and np.isfinite(points).all() else 0.0
    name = names[column] if column < len(names) else f"input {column}"
    if n < MINIMUM_INDEPENDENT:
        return FeatureDrift(feature=name, shift=Shift.TOO_FEW, psi=psi, ks=ks, independent=n, drifted=False)
    p = min(1.0, 2 * min(stability_p(psi, bins, n, m), kolmogorov_p(ks, n, m)))
    return FeatureDrift(feature=name, shift=_size(psi), psi=psi, ks=ks, p=p, independent=n, drifted=False)


def _category(served: Served, reference: Mapping[str, NDArray[Any]], name: str, column: int, unit: Unit) -> FeatureDrift:
    assert served.codes is not None  # noqa: S101 - asked by `drift`
    expected = reference["frequencies"][:, column].astype(np.float64)
    codes = served.codes[:, column]
    size = max(len(expected), int(codes.max(initial=0)) + 1)
    actual = np.bincount(codes, minlength=size) / len(codes)
    rows = float(reference["rows"][0])
    psi, bins = stability_index(actual, np.pad(expected, (0, size - len(expected))), len(codes), rows)
    n = float(served.dates if unit == "date" else len(served))
    if n < MINIMUM_INDEPENDENT:
        return FeatureDrift(feature=name, shift=Shift.TOO_FEW, psi=psi, independent=n, drifted=False)
    m = float(reference["dates"][0]) if unit == "date" else rows
    return FeatureDrift(feature=name, shift=_size(psi), psi=psi, p=stability_p(psi, bins, n, m), independent=n, drifted=False)


def _independent(served: Served, reference: Mapping[str, NDArray[Any]], column: int, unit: Unit) -> tuple[float, float]:
    """Rows that count, of the served ones and of the reference."""
    if unit == "entity":
        return float(len(served)), float(reference["rows"][0])
    slow = float(reference["persistence"][column])
    return served.dates / slow, max(float(reference["dates"][0]) / slow, 1.0)


def _bins(cumulative: Float, missing: float) -> Float:
    """(11,) shares of the reference's ten bins by deciles, and of rows without a value."""
    edges = np.concatenate([[0.0], cumulative[DECILES], [1.0]])
    return np.append(np.diff(edges) * (1 - missing), missing)


def _size(psi: float) -> Shift:
    return Shift.LARGE if psi >= LARGE else Shift.MODERATE if psi >= MODERATE else Shift.NONE
