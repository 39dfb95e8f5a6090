"""Drift: seldom seen where there is none, seen where it was planted, and not asked of inputs too slow to tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from finml_models.core.batches import Table
from finml_models.core.serving import training_range
from finml_models.monitoring.documents import Shift
from finml_models.monitoring.drift import ALPHA, LARGE, drift, stability_index, stability_p
from finml_models.monitoring.served import Served

NAMES = tuple(f"x{i}" for i in range(8))
MORE = {"categories": ("colour",)}


def table(rng: np.random.Generator, n: int, *, entity: str = "") -> Table:
    """Eight inputs of different laws, a category, a row an entity."""
    normal = rng.standard_normal((n, 8))
    values = np.stack(
        [normal[:, 0], np.exp(normal[:, 1]), rng.integers(0, 3, n), rng.random(n) < 0.1, normal[:, 4], normal[:, 5] ** 3, normal[:, 6], normal[:, 7]], axis=1
    )
    values[rng.random(n) < 0.2, 6] = np.nan
    times = np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "D")
    names = np.array([entity or f"e{i}" for i in range(n)])
    return Table(values.astype(np.float32), NAMES, times, names, codes=rng.integers(1, 5, (n, 1)))


def as_served(batch: Table) -> Served:
    return Served(batch.values, batch.times, batch.entities, batch.codes)


def test_no_drift_is_seldom_called_drift() -> None:
    rng = np.random.default_rng(1)
    reference = training_range(table(rng, 4_000))
    alarms = np.mean([bool(drift(as_served(table(rng, 150)), reference, NAMES, unit="entity", **MORE).drifted) for _ in range(500)])
    assert alarms <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / 500)


def test_the_tests_alone_keep_their_level_too() -> None:
    """Without the bound on the size of a shift: the smallest adjusted p of all inputs."""
    rng = np.random.default_rng(2)
    reference = training_range(table(rng, 8_000))
    least = [min(one.p_adjusted for one in drift(as_served(table(rng, 200)), reference, NAMES, unit="entity").features) for _ in range(500)]
    assert np.mean(np.array(least) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)


@pytest.mark.parametrize(("column", "shift"), [(0, 1.0), (1, 2.0), (4, -1.0)])
def test_a_planted_shift_is_found_in_its_own_input_alone(column: int, shift: float) -> None:
    rng = np.random.default_rng(3)
    reference = training_range(table(rng, 4_000))
    moved = table(rng, 200)
    moved.values[:, column] += np.float32(shift)
    found = drift(as_served(moved), reference, NAMES, unit="entity", **MORE)
    assert found.drifted == (f"x{column}",)
    assert found.features[0].shift is Shift.LARGE
    assert found.features[0].psi > LARGE


def test_values_that_go_missing_and_categories_that_change_are_drift() -> None:
    rng = np.random.default_rng(4)
    reference = training_range(table(rng, 4_000))
    moved = table(rng, 200)
    moved.values[:150, 6] = np.nan
    changed = replace(moved, codes=np.full((200, 1), 7))
    assert set(drift(as_served(changed), reference, NAMES, unit="entity", **MORE).drifted) == {"x6", "colour"}


def test_a_slow_input_is_not_tested_on_a_month_of_it() -> None:
    """A random walk is always somewhere else than it was: one month of it is no sample of its distribution."""
    rng = np.random.default_rng(5)
    walk = table(rng, 2_000, entity="one")
    walk.values[:, 0] = np.cumsum(0.05 * rng.standard_normal(2_000))
    reference = training_range(walk)
    assert reference["persistence"][0] > 50
    assert reference["persistence"][4] < 1.2
    month = walk.take(np.arange(1_900, 2_000))
    month.values[:, 4] += 2
    found = {one.feature: one for one in drift(as_served(month), reference, NAMES, unit="date").features}
    assert found["x0"].shift is Shift.TOO_FEW
    assert found["x0"].p is None
    assert found["x4"].drifted


def test_too_few_rows_and_an_artifact_without_distributions_are_said_to_be_so() -> None:
    rng = np.random.default_rng(6)
    reference = training_range(table(rng, 1_000))
    assert "at least 50" in drift(as_served(table(rng, 20)), reference, NAMES, unit="entity").reason
    old = {name: reference[name] for name in ("low", "middle", "high", "common")}
    assert "train it again" in drift(as_served(table(rng, 200)), old, NAMES, unit="entity").reason


def test_the_reference_holds_the_distribution_ties_and_all() -> None:
    rng = np.random.default_rng(7)
    batch = table(rng, 1_000)
    found = training_range(batch)
    for column in (0, 2, 3):
        values = batch.values[:, column]
        expected = [(values <= point).mean() for point in found["quantiles"][:, column]]
        assert np.allclose(found["cumulative"][:, column], expected, atol=1e-6)
    known = batch.values[~np.isnan(batch.values[:, 6]), 6]
    assert found["missing"][6] == pytest.approx(1 - len(known) / 1_000, abs=1e-6)
    assert found["quantiles"][50, 6] == pytest.approx(np.quantile(known, 0.5, method="nearest"), abs=0.01)
    assert found["frequencies"].sum(axis=0) == pytest.approx(1)


def test_the_stability_index_has_the_law_that_its_chance_is_computed_from() -> None:
    rng = np.random.default_rng(8)
    p = []
    for _ in range(2_000):
        a, e = (np.bincount(rng.integers(0, 10, n), minlength=10) / n for n in (300, 3_000))
        psi, bins = stability_index(a, e, 300, 3_000)
        p.append(stability_p(psi, bins, 300, 3_000))
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_the_stability_index_of_a_worked_example() -> None:
    expected, actual = np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.25, 0.25])
    assert stability_index(actual, expected, 100, 100)[0] == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(2))
