from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_cases import LEVELS, halves, make, panel_windows

from finml_models.training.conformal import moved, offsets


def forecasts(seed: int, n: int = 400, *, width: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2, levels) quantiles of normals of another width than that of the outcomes (n, 2)."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((n, 2))
    normal = np.array([-1.645, -0.674, 0.0, 0.674, 1.645])
    return (centre[..., None] + width * normal).astype(np.float32), (centre + rng.standard_normal((n, 2))).astype(np.float32)


def covered(quantiles: np.ndarray, target: np.ndarray, low: int, high: int) -> np.ndarray:
    return ((target >= quantiles[..., low]) & (target <= quantiles[..., high])).mean(axis=0)


@given(seed=st.integers(0, 1000), width=st.floats(0.3, 3.0), n=st.integers(60, 400))
def test_on_the_rows_it_was_measured_on_every_interval_holds_its_level(seed: int, width: float, n: int) -> None:
    quantiles, target = forecasts(seed, n, width=width)
    better = moved(quantiles, offsets(quantiles, target, LEVELS))
    for low, high, level in ((0, 4, 0.9), (1, 3, 0.5)):
        share = covered(better, target, low, high)
        assert (share >= level - 1e-9).all()
        assert (share <= level + 3 / n + 1e-9).all()


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_new_rows_of_the_same_law_are_covered_as_promised(width: float) -> None:
    shares = []
    for seed in range(40):
        quantiles, target = forecasts(seed, width=width)
        new, outcome = forecasts(1000 + seed, width=width)
        shares.append(covered(moved(new, offsets(quantiles, target, LEVELS)), outcome, 0, 4))
    assert np.mean(shares) == pytest.approx(0.9, abs=0.01)


def test_the_median_stays_and_quantiles_never_cross() -> None:
    quantiles, target = forecasts(0, width=8.0)
    by = offsets(quantiles, target, LEVELS)
    assert (by[:, 2] == 0).all()
    assert (np.diff(moved(quantiles, by), axis=-1) >= 0).all()


def test_a_network_that_is_too_sure_of_itself_is_corrected_and_can_be_asked_not_to_be() -> None:
    train, valid = halves(panel_windows(steps=200))
    plain, calibrated = (make(calibrate=wanted, max_epochs=40, hidden=32, learning_rate=1e-2).fit(train, valid) for wanted in (False, True))
    raw, better = plain.predict(valid), calibrated.predict(valid)
    np.testing.assert_array_equal(raw.point, better.point)
    np.testing.assert_array_equal(raw.quantiles[..., 2], better.quantiles[..., 2])
    gaps = [np.abs(covered(f.quantiles, valid.target, 0, 4) - 0.9).max() for f in (raw, better)]
    assert gaps[1] <= 3 / len(valid) + 1e-6 < gaps[0]


def test_the_calibration_goes_with_the_weights() -> None:
    train, valid = halves(panel_windows())
    fitted = make().fit(train, valid)
    again = make()
    again.restore(fitted.state())
    np.testing.assert_array_equal(again.predict(valid).quantiles, fitted.predict(valid).quantiles)
    with pytest.raises(KeyError, match="conformal"):
        make().restore({name: array for name, array in fitted.state().items() if not name.startswith("conformal")})
