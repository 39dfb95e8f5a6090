"""The document of states by date: stays across refits, regimes that come and go, bounds, and the projection of embeddings."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.decomposition import PCA

from finml_models.core import catalog
from finml_models.evaluation.states import MOST_DATES, RegimeLaw, States, Stretch
from finml_models.evaluation.tracing import projected, states_of

PAIR = catalog.pair("regime_detection-kmeans")


def predictions(labels: list[list[int]], numbers: list[int]) -> pd.DataFrame:
    """One regime of so many a day and fold, for certain; each return is 1 %."""
    rows, day = [], np.datetime64("2020-01-01", "us")
    for fold, (own, number) in enumerate(zip(labels, numbers, strict=True)):
        for label in own:
            row = {"entity": "market", "time": day, "fold": fold, "seed": 0, "horizon": 1, "target": 0.01}
            for i in range(number):
                row |= {f"p{i}": float(i == label), f"mean{i}": 0.001 * i, f"std{i}": 0.01 * (i + 1)}
            rows.append(row)
            day += np.timedelta64(1, "D")
    return pd.DataFrame(rows)


def document(frame: pd.DataFrame) -> States:
    found = states_of(PAIR, frame, None, version="v", dataset="d", snapshot="s")
    assert found is not None
    return found


def test_a_stay_goes_on_by_name_over_a_refit_with_other_regimes() -> None:
    found = document(predictions([[0, 1, 1], [2, 2, 0, 0]], [2, 3]))
    assert [(spell.regime, spell.first.date.day, spell.last.date.day, spell.sessions) for spell in found.spells()] == [
        ("calm", 1, 1, 1), ("turbulent", 2, 5, 4), ("calm", 6, 7, 2),
    ]  # fmt: skip
    assert [len(stretch.regimes) for stretch in found.regimes] == [2, 3]
    assert found.places() == {"calm": 0, "normal": 0.5, "turbulent": 1}


def test_the_market_of_a_date_does_not_know_the_return_that_comes_after_it() -> None:
    assert [moment.market for moment in document(predictions([[0, 0, 0], [1]], [2, 2])).moments()] == pytest.approx([0, 0.01, 0.02, 0.03])


def test_the_first_seed_is_shown_alone() -> None:
    frame = predictions([[0, 1]], [2])
    other = frame.assign(seed=1, p0=0.5, p1=0.5)
    assert document(pd.concat([frame, other])) == document(frame)


def test_a_long_history_leaves_the_newest_dates() -> None:
    found = document(predictions([[0] * 100, [1] * MOST_DATES], [2, 2]))
    assert (len(list(found.moments())), found.left_out) == (MOST_DATES, 100)
    assert len(found.regimes) == 1
    assert len(found.model_dump_json()) < 500_000


def test_lengths_that_do_not_fit_are_refused() -> None:
    law = RegimeLaw(name="all days", volatility=0.1, mean=0.0)
    with pytest.raises(ValidationError, match="2 dates and 1 regimes need as many"):
        Stretch(fold=0, regimes=(law,), dates=(date(2020, 1, 1), date(2020, 1, 1) + timedelta(1)), probabilities=((1.0,),), market=(0.0, 0.0))


def test_the_projection_is_the_principal_components_of_the_known_rows() -> None:
    rows = np.random.default_rng(0).standard_normal((300, 5)) @ np.random.default_rng(1).standard_normal((5, 5))
    known = np.arange(300) < 200
    flat, explained = projected(rows, known)
    pca = PCA(2).fit(rows[known])
    expected = pca.transform(rows)
    np.testing.assert_allclose(np.abs(flat), np.abs(expected), rtol=1e-6)
    np.testing.assert_allclose(explained, pca.explained_variance_ratio_, rtol=1e-6)
    turned, _ = projected(-rows, known)
    # A fit that comes out mirrored has a mirrored picture; the same fit never has two.
    np.testing.assert_allclose(turned, -flat, rtol=1e-6)


@pytest.mark.parametrize("width", [1, 3])
def test_a_collapsed_or_single_dimension_has_a_flat_picture(width: int) -> None:
    flat, explained = projected(np.ones((10, width)), np.arange(10) < 5)
    np.testing.assert_allclose(flat, 0, atol=1e-12)
    assert explained == (0, 0)
    assert flat.shape == (10, 2)
