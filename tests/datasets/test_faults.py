"""Faults put into market rows: what each does, that its label says where and never looks ahead, and that the rules let it through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from finml_models import datasets
from finml_models.core.errors import DataError
from finml_models.datasets.market import faults, synthetic
from finml_models.datasets.market.clean import clean
from finml_models.datasets.market.fault_policy import FaultPolicy
from finml_models.datasets.market.faults import INJECTED, LENGTHS, MEMORY, Fault, inject
from finml_models.datasets.market.policy import Policy
from finml_models.datasets.market.schema import check
from finml_models.datasets.market.snapshot import snapshot

SESSIONS = 1500
PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="module")
def ordinary() -> pd.DataFrame:
    """Three assets with bars and volumes, three with closes alone."""
    frame = synthetic.random_walk(np.random.default_rng(0), entities=6, sessions=SESSIONS)
    barred = frame["open"].notna()
    return frame.assign(volume=np.where(barred, 1e6 + np.arange(len(frame)), np.nan))


@pytest.fixture(scope="module")
def faulted(ordinary: pd.DataFrame) -> pd.DataFrame:
    return inject(ordinary, seed=1, every=60)


def events(faulted: pd.DataFrame, fault: Fault) -> list[np.ndarray]:
    """Positions of the rows of each event of a kind."""
    rows = np.flatnonzero(faulted["anomaly"] == fault)
    return [part for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(part)]


def returns(frame: pd.DataFrame) -> np.ndarray:
    return np.log(frame["close"]).groupby(frame["entity"]).diff().to_numpy()


def test_every_kind_occurs_as_often_as_any_other(faulted: pd.DataFrame) -> None:
    counts = [len(events(faulted, fault)) for fault in INJECTED]
    assert min(counts) > 10
    assert max(counts) - min(counts) <= 6  # at most one round of kinds is left open an asset
    assert set(faulted["anomaly"]) == {0.0, *map(float, INJECTED)}


def test_ordinary_sessions_keep_their_returns_ranges_and_volumes(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    quiet = (faulted["anomaly"] == 0).to_numpy()
    np.testing.assert_allclose(returns(faulted)[quiet], returns(ordinary)[quiet], atol=1e-9)
    np.testing.assert_allclose((faulted["high"] / faulted["low"])[quiet], (ordinary["high"] / ordinary["low"])[quiet])
    np.testing.assert_array_equal(faulted["volume"][quiet], ordinary["volume"][quiet])


def test_every_labelled_session_differs_from_what_happened(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    wrong = (faulted["anomaly"] > 0).to_numpy()
    assert (np.abs(returns(faulted) - returns(ordinary))[wrong] > 0).all()


def test_a_spike_comes_back_on_the_session_after(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    off = returns(faulted) - returns(ordinary)
    for rows in events(faulted, Fault.SPIKE):
        assert len(rows) == 2
        assert off[rows].sum() == pytest.approx(0, abs=1e-9)
        assert 0.5 * faults.JUMP[0] < abs(off[rows[0]]) / 0.01 < 2 * faults.JUMP[1]


def test_a_level_shift_stays_and_is_one_session(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    ratio, asset = np.log(faulted["close"] / ordinary["close"]).to_numpy(), faulted["entity"].to_numpy()
    for (row,) in events(faulted, Fault.LEVEL_SHIFT):
        after = ratio[row : row + 5][asset[row : row + 5] == asset[row]]
        np.testing.assert_allclose(after, after[0])
        assert abs(after[0] - ratio[row - 1]) > 0.02


def test_a_burst_multiplies_returns_and_ranges(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    spread = [np.log(frame["high"] / frame["low"]).to_numpy() for frame in (faulted, ordinary)]
    for rows in events(faulted, Fault.VARIANCE_BURST):
        assert LENGTHS[Fault.VARIANCE_BURST][0] <= len(rows) <= LENGTHS[Fault.VARIANCE_BURST][1]
        np.testing.assert_allclose(returns(faulted)[rows], faults.BURST * returns(ordinary)[rows], atol=1e-9)
        np.testing.assert_allclose(spread[0][rows], faults.BURST * spread[1][rows], equal_nan=True)


def test_a_stale_feed_repeats_its_last_bar_and_then_catches_up(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    for rows in events(faulted, Fault.STALE_PRICE):
        *stale, caught_up = rows
        columns = [*PRICES, "volume"]
        for row in stale:
            np.testing.assert_array_equal(faulted[columns].iloc[row].to_numpy(), faulted[columns].iloc[stale[0] - 1].to_numpy())
        assert returns(faulted)[caught_up] == pytest.approx(returns(ordinary)[rows].sum(), abs=1e-9)


def test_a_decoupled_asset_takes_returns_of_its_own_past(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    found = returns(faulted)
    for rows in events(faulted, Fault.DECOUPLING):
        past = returns(ordinary)[rows[0] - MEMORY : rows[0]]
        assert all(np.abs(past - one).min() < 1e-9 for one in found[rows])
        assert not np.allclose(found[rows], past[-len(rows) :])


def test_a_label_and_its_row_do_not_depend_on_what_came_after(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    # An asset's plan is drawn from its name alone, and each fault from rows before its end; only the last one may no longer fit in.
    at = faulted["time"].unique()[900]
    early = inject(ordinary[ordinary["time"] <= at].reset_index(drop=True), seed=1, every=60)
    whole = faulted[faulted["time"] <= at].reset_index(drop=True)
    kept = early["time"] < faulted["time"].unique()[900 - max(high for _, high in LENGTHS.values()) - 2]
    pd.testing.assert_frame_equal(early[kept], whole[kept])


def test_an_asset_is_the_same_alone_and_among_others_and_another_seed_is_another_truth(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    alone = inject(ordinary[ordinary["entity"] == "S03"].reset_index(drop=True), seed=1, every=60)
    pd.testing.assert_frame_equal(alone, faulted[faulted["entity"] == "S03"].reset_index(drop=True))
    assert not inject(ordinary, seed=2, every=60)["anomaly"].equals(faulted["anomaly"])
    pd.testing.assert_frame_equal(inject(ordinary, seed=1, every=60), faulted)
    assert "anomaly" not in ordinary


def test_the_strictest_rules_let_every_fault_through_untouched(faulted: pd.DataFrame) -> None:
    again, repairs = clean(faulted.drop(columns="known_at"), policy=Policy.strict())
    pd.testing.assert_frame_equal(again, check(faulted))
    assert repairs.dropped == repairs.widened_bars == 0


@pytest.mark.parametrize("label", [0.5, -1.0, 7.0, np.inf])
def test_a_label_that_is_no_kind_of_anomaly_is_refused(faulted: pd.DataFrame, label: float) -> None:
    wrong = faulted.drop(columns="known_at")
    wrong.loc[5, "anomaly"] = label
    with pytest.raises(DataError, match=r"row 5, column `anomaly`.*whole number from 0"):
        clean(wrong)


def test_a_column_of_labels_is_optional_and_part_of_the_snapshot(ordinary: pd.DataFrame, faulted: pd.DataFrame) -> None:
    assert "anomaly" not in clean(ordinary.drop(columns="known_at").assign(anomaly=np.nan))[0]
    relabelled = faulted.assign(anomaly=faulted["anomaly"].where(faulted.index != 7, 1.0))
    assert len({snapshot(faulted), snapshot(relabelled), snapshot(faulted.drop(columns="anomaly"))}) == 3


def test_the_registered_faults_are_rare_and_the_clean_market_has_none() -> None:
    data, plain = datasets.load("faulted_market"), datasets.load("us_market")
    assert 0.005 < (data.frame["anomaly"] > 0).mean() < 0.01
    assert data.repairs == plain.repairs
    assert "anomaly" not in plain.frame
    assert data.frame[["entity", "time", "known_at"]].equals(plain.frame[["entity", "time", "known_at"]])
    assert datasets.default_of("faulted_market") == "faulted_market"
    assert datasets.default_of("market") == "us_market"


def test_faults_are_put_into_anybodys_prices_and_own_labels_are_kept(settings: Callable[[str], Path], ordinary: pd.DataFrame) -> None:
    folder = settings("""
        [datasets]
        mine = {source = "csv", path = "mine.csv", calendar = "XNYS", rules = {non_session_share = 1}, faults = {seed = 3, every = 100}}
        labelled = {source = "csv", path = "labelled.csv", rules = {non_session_share = 1}, columns = {anomaly = "bad"}}
    """)
    plain = ordinary[["entity", "time", "close"]]
    plain.to_csv(folder / "mine.csv", index=False)
    plain.assign(bad=(plain.index % 100 == 0).astype(int)).to_csv(folder / "labelled.csv", index=False)
    assert set(datasets.load("mine").frame["anomaly"]) == {0.0, *map(float, INJECTED)}
    assert set(datasets.load("labelled").frame["anomaly"]) == {0.0, float(Fault.UNNAMED)}
    with pytest.raises(ValidationError, match="every"):
        FaultPolicy(every=5)
