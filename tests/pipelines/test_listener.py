"""What a training tells of its progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from small_market import materialise

from finml_models.core.estimator import Progress
from finml_pipelines.listener import Course

PAIR = "volatility_forecasting-gru"


class Log:
    """A step's context as far as the listener knows it."""

    asset_key = dg.AssetKey(["model", "volatility_forecasting", "gru"])

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def log_event(self, event: dg.AssetObservation) -> None:
        self.heard.append({name: value.value for name, value in event.metadata.items()})


def epochs(number: int) -> Iterator[Progress]:
    """A fit of ten steps an epoch, as the training loop tells it: steps count over all epochs."""
    for epoch in range(1, number + 1):
        for step in range(1, 10):
            yield Progress(epoch, number, (epoch - 1) * 10 + step, number * 10, loss=1.0)
        yield Progress(epoch, number, epoch * 10, number * 10, loss=1.0, metric=0.5)


def heard(seconds_an_event: float) -> list[dict[str, Any]]:
    log, now = Log(), [0.0]
    course = Course(log, PAIR, None, clock=lambda: now[0])  # type: ignore[arg-type]
    course.plan([100, 200, 300, 300])
    for fold in (0, 1, 2, None):
        hear = course.begin(fold, 0)
        for progress in epochs(3):
            now[0] += seconds_an_event
            hear(progress)
    return log.heard


def test_every_epoch_is_observed_with_its_losses_also_where_a_fit_stops_early() -> None:
    told = [event for event in heard(0.5) if "validation" in event]
    assert [(event["fit"], event["epoch"]) for event in told[:3]] == [(f"{PAIR} fold 1 seed 0", epoch) for epoch in (1, 2, 3)]
    assert len(told) == 4 * 3
    assert {event["epochs"] for event in told} == {3}


def test_the_share_done_is_of_all_fits_by_their_rows_and_rises_to_one() -> None:
    told = heard(0.5)
    shares = [event["done"] for event in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    second = [event["done"] for event in told if event["fit"] == f"{PAIR} fold 2 seed 0"]
    assert second[0] >= 100 / 900
    assert second[-1] == pytest.approx(300 / 900)


def test_the_time_left_follows_from_the_pace() -> None:
    told = [event for event in heard(0.5) if "seconds_left" in event]
    last_but_one = told[-2]
    assert last_but_one["seconds_left"] == pytest.approx(55.0 / last_but_one["done"] * (1 - last_but_one["done"]))
    assert told[-1]["seconds_left"] == 0


def test_a_long_epoch_tells_that_it_goes_on() -> None:
    assert [event["epoch"] for event in heard(11.0) if "validation" not in event and "epoch" in event][:9] == [1] * 9


def test_hasty_fits_do_not_flood_the_log() -> None:
    assert len(heard(0.001)) == 1


def test_a_run_of_the_pipeline_is_observed_with_the_whole_that_it_is_part_of(home: object, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from small_market import register

    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path / "data")))
    monkeypatch.setattr("finml_pipelines.listener.SECONDS_BETWEEN", 0.0)
    result = materialise("raw/market", "features/volatility_forecasting", "model/volatility_forecasting/log_har", config={})
    assert result.success
    observed = [event.event_specific_data.asset_observation for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
    shares = [entry.metadata["done"].value for entry in observed]
    # Four fits, each heard when it begins and when it ends.
    assert len(shares) == 8
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
