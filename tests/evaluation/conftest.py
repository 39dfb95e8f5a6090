"""A task with the volatility task's shape, and simulated predictions whose quality is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from finml_models.core.catalog import Entry, Pair
from finml_models.core.spec import Category, Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training
from finml_models.core.task import Gate, Task, WalkForward
from finml_models.evaluation.document import DataSection, Report, Resources, TrainingSummary
from finml_models.evaluation.report import assess

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NORMAL = (-1.6449, -0.6745, 0.0, 0.6745, 1.6449)


class VarianceTask(Task):
    """Only what evaluation reads: horizons, levels, metrics, baselines, gate."""

    name = "Variance"
    description = "Simulated log variance."
    dataset = "market"
    objective = Objective.FORECAST
    kinds = (Kind.WINDOWS,)
    horizons = (1, 5)
    levels = LEVELS
    history = 10
    split = WalkForward(folds=3)
    metrics = ("qlike", "log_variance_mse", "pinball", "coverage")
    baselines = ("last_value", "ewma", "log_har")
    gate = Gate(version="variance/1", naive=("last_value",), margin=0.02)


@dataclass(frozen=True)
class World:
    """Simulated targets, and forecasts that miss them by noise of a chosen size."""

    dates: int
    entities: tuple[str, ...]

    def frame(self, error: float, seeds: tuple[int, ...] = (0,), *, spread: float = 1.0, stream: int = 1) -> pd.DataFrame:
        """Predictions whose point misses the predictable part by `error` (log scale); `spread` scales the intervals."""
        rng, horizons = np.random.default_rng(7), VarianceTask.horizons
        shape = (self.dates, len(self.entities), len(horizons))
        known, surprise = rng.standard_normal(shape), 0.3 * rng.standard_normal(shape)
        time = np.datetime64("2015-01-01", "us") + np.arange(self.dates) * np.timedelta64(1, "D").astype("timedelta64[us]")
        frames = []
        for seed in seeds:
            miss = error * np.random.default_rng([stream, seed]).standard_normal(shape)
            scale = spread * np.hypot(0.3, error)
            columns = {
                "entity": np.broadcast_to(np.array(self.entities)[None, :, None], shape).ravel(),
                "time": np.broadcast_to(time[:, None, None], shape).ravel(),
                "fold": np.broadcast_to((np.arange(self.dates) * 3 // self.dates)[:, None, None], shape).ravel(),
                "seed": seed,
                "horizon": np.broadcast_to(np.array(horizons)[None, None, :], shape).ravel(),
                "target": (known + surprise).ravel(),
                "point": (known + miss).ravel(),
            }
            quantiles = {f"q{level:g}": (known + miss + z * scale).ravel() for level, z in zip(LEVELS, NORMAL, strict=True)}
            frames.append(pd.DataFrame(columns | quantiles))
        return pd.concat(frames, ignore_index=True)

    def baselines(self) -> dict[str, pd.DataFrame]:
        """last_value is poor, ewma fair, log_har good."""
        return {"last_value": self.frame(0.9, stream=2), "ewma": self.frame(0.6, stream=3), "log_har": self.frame(0.4, stream=4)}


class Nothing(Hyperparameters):
    """No choices."""


def pair(entry: str, category: Category | None = Category.TIME_SERIES, name: str | None = None) -> Pair:
    card = ModelCard(
        name=name or entry,
        description="A simulated entry with a known error, for the tests of evaluation.",
        kinds=frozenset({Kind.WINDOWS}),
        objectives=frozenset({Objective.FORECAST}),
        hyperparameters=Nothing,
        strengths=("known", "fast"),
        weaknesses=("not a model", "has <no> weights & no merit"),
        best_for=("tests",),
        latency_class=Level.LOW,
        data_requirements=Level.LOW,
        explainability=Level.HIGH,
        training=Training(minimum_samples=1, recommended_samples=1),
        deployment=Deployment(memory_mb=1),
    )
    return Pair(VarianceTask, Entry(entry, card, "nowhere", category, None), Kind.WINDOWS)


def judge_entry(chosen: Pair, predictions: Mapping[str, pd.DataFrame], *, milliseconds: float = 1.0, tried: int = 1) -> Report:
    return assess(
        chosen,
        predictions,
        data=DataSection(dataset="simulated", snapshot="ab" * 32, rows=9000, entities=3, first="2010-01-04", last="2018-12-31", repairs={"duplicate rows": 2}),
        training=TrainingSummary(profile="fast", seconds=12.5, fits=4, epochs=None, parameters=None, curve=()),
        resources=Resources(milliseconds=milliseconds, megabytes=0.4),
        fingerprint={"id": "cd" * 32},
        version="0123456789abcdef",
        reproduce="finml run --use-case variance --model gru",
        tried=tried,
    )


@pytest.fixture(scope="session")
def world() -> World:
    return World(600, ("AAA", "BBB", "CCC"))


@pytest.fixture(scope="session")
def baselines(world: World) -> dict[str, pd.DataFrame]:
    return world.baselines()


@pytest.fixture(scope="session")
def report_of(world: World, baselines: dict[str, pd.DataFrame]) -> Callable[..., Report]:
    """report_of(error): the report of a model that misses by so much."""

    def make(error: float, *, name: str = "GRU", spread: float = 1.0, seeds: tuple[int, ...] = (0,), **kwargs: float) -> Report:
        return judge_entry(pair("gru", name=name), {**baselines, "gru": world.frame(error, seeds, spread=spread)}, **kwargs)

    return make
