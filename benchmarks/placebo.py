"""Does the pipeline find alpha where there is none, and the signal where there is one? (`make placebo`)

    python -m benchmarks.placebo [--runs 200] [--sources random_walk,...] [--json]

The first table counts how often a model passes the gate on data without a signal; the second shows what it makes of a
signal of known size. Exits with 1 when a bar is missed: more than 5 % false passes, a planted signal not found, or a
result better than the forecast that knows the truth.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
import pandas as pd

from finml_models import datasets
from finml_models.core import catalog
from finml_models.core.catalog import Pair
from finml_models.core.estimator import TrainingConfig
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.core.spec import Kind, Objective
from finml_models.datasets.market import synthetic
from finml_models.evaluation import placebo
from finml_models.evaluation.placebo import Rate, Rows

TASK = "volatility_forecasting"
CHEAPEST = f"{TASK}-gru"
QUICK = TrainingConfig(max_epochs=12, stride=5, batch_size=32, learning_rate=1e-2, weight_decay=0.1, patience=3, device="cpu")
THOROUGH = TrainingConfig(max_epochs=30, batch_size=128, learning_rate=5e-3, patience=8, device="cpu")
BAR = 0.05
ENTITIES, SESSIONS = 2, 800
FIRST_FOLD = 0.4
"""Share of the rows that at least remains for the training of the first fold."""
PLANTED = (0.0, 0.5, 1.0, 1.5)
FOUND_FROM = 1.0
"""Planted size from which the model must pass."""


def random_walk(rng: np.random.Generator, pair: Pair) -> Rows:
    """Constant volatility, no drift."""
    return placebo.computed(pair, synthetic.random_walk(rng, entities=_entities(pair), sessions=_sessions(pair)))


def phase_randomised(rng: np.random.Generator, pair: Pair) -> Rows:
    """Surrogates of a stretch of real closes."""
    return placebo.computed(pair, synthetic.phase_randomised(rng, _stretch(rng, _entities(pair), _sessions(pair))))


def shuffled_labels(rng: np.random.Generator, pair: Pair) -> Rows:
    """Features of real or simulated rows, targets of other ones."""
    raw = _stretch(rng, _entities(pair), _sessions(pair)) if pair.task.source() == "market" else _default(pair.task.source())
    # Among all accounts where those are held apart: one that was robbed keeps signs of it in its later rows.
    return placebo.shuffled_labels(rng, placebo.computed(pair, raw), unit="entity" if pair.task.split.accounts else pair.task.unit)


SOURCES: dict[str, Callable[[np.random.Generator, Pair], Rows]] = {f.__name__: f for f in (random_walk, phase_randomised, shuffled_labels)}


def cases(sources: Iterable[str]) -> list[tuple[str, str]]:
    """Every model of every use case, with each placebo that can be made of its data: prices without faults have no labels.

    A policy has no labels to shuffle and no forecast to be wrong: that it cannot beat the closed form where that is optimal is
    the placebo of `trading_execution`, and stands in its tests.
    """
    pairs = [p for task in catalog.tasks() if catalog.task_gap(catalog.task(task)) is None for p in catalog.contenders(task)]
    return [
        (source, pair.id)
        for source in sources
        for pair in pairs
        if not pair.entry.is_baseline
        and pair.task.objective is not Objective.CONTROL
        and (pair.task.source() == "market" or source == shuffled_labels.__name__)
    ]


@dataclass(frozen=True)
class Planted:
    """A model, the best baseline and the truth on data with a signal of one size; QLIKE, lower is better."""

    size: float
    model: float
    baseline: float
    ceiling: float
    verdict: str
    passed: bool

    @property
    def holds(self) -> bool:
        """Found when it is large, not found when there is none, and never better than the truth by more than 1 %."""
        expected = self.passed if self.size >= FOUND_FROM else not (self.size == 0 and self.passed)
        return expected and self.model >= 0.99 * self.ceiling


def false_pass(source: str, pair_id: str, seed: int, thorough: bool = False) -> bool:
    """One repetition: whether the model passes the gate on data without a signal."""
    pair, rng = catalog.pair(pair_id), np.random.default_rng([seed, *source.encode()])
    rows = SOURCES[source](rng, pair)
    if thorough:
        config = PROFILES[ProfileName.FAST].training.model_copy(update={"device": "cpu"})
        return placebo.judged(pair, rows, config=config).gate.passed
    return placebo.judged(pair, rows, config=QUICK, hyperparameters=_small(pair)).gate.passed


def planted(size: float, seed: int = 0, sessions: int = 1500) -> Planted:
    """The cheapest model's network, at a size that can learn the signal, on sign runs of this size."""
    pair = catalog.pair(CHEAPEST)
    signal = synthetic.sign_runs(np.random.default_rng(seed), size=size, sessions=sessions)
    chosen = pair.entry.card.hyperparameters.model_validate({"hidden": 32, "dropout": 0.0})
    report = placebo.judged(pair, placebo.computed(pair, signal.frame), config=THOROUGH, hyperparameters=chosen, truth=signal.truth(pair.task.horizons))
    decisive = pair.task.metrics[0]
    value = {entry: report.row(entry, decisive).value for entry in (pair.entry.id, *pair.task.baselines)}
    return Planted(size, value.pop(pair.entry.id), min(value.values()), report.ceiling(decisive).value, report.verdict, report.gate.passed)


def false_pass_rates(runs: int, sources: Iterable[str], workers: int) -> dict[str, Rate]:
    """`runs` repetitions of the cheapest model a source."""
    names = list(sources)
    with _pool(workers) as pool:
        found = {name: [pool.submit(false_pass, name, CHEAPEST, seed) for seed in range(runs)] for name in names}
        rates = {}
        for name, futures in found.items():
            passes = 0
            for done, future in enumerate(futures, start=1):
                passes += future.result()
                print(f"\r{name}: {done}/{runs}, {passes} passed", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
            rates[name] = Rate(passes, runs)
    return rates


def main(arguments: list[str] | None = None) -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="repetitions of the cheapest model a source")
    parser.add_argument("--sources", default=",".join(SOURCES), help="which placebos")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    sources = given.sources.split(",")
    rates = false_pass_rates(given.runs, sources, given.workers)
    with _pool(given.workers) as pool:
        once = {case: pool.submit(false_pass, *case, 1, thorough=True) for case in cases(sources)}
        signals = list(pool.map(planted, PLANTED))
        once_passed = {}
        for done, (case, future) in enumerate(once.items(), start=1):
            once_passed[case] = future.result()
            print(f"[{done}/{len(once)}] {' '.join(case)}: {'passed' if once_passed[case] else 'refused'}", file=sys.stderr, flush=True)
    ok = all(rate.share <= BAR for rate in rates.values()) and all(signal.holds for signal in signals) and not any(once_passed.values())
    if given.json:
        print(json.dumps({"rates": {k: asdict(v) for k, v in rates.items()}, "signals": [asdict(s) for s in signals], "ok": ok}))
        return 0 if ok else 1
    print(f"false passes of {CHEAPEST}{'':22} passed   share   95 % interval     bar")
    for name, rate in rates.items():
        low, high = rate.interval
        print(f"  {name:48} {rate.passed:4}/{rate.runs:<4} {rate.share:6.1%}   {low:5.1%} to {high:5.1%}   {BAR:5.0%}{'' if rate.share <= BAR else '  MISSED'}")
    for (source, pair), passed in once_passed.items():
        print(f"  {source:22} {pair:35} once: {'PASSED: MISSED' if passed else 'refused'}")
    print("planted signal (QLIKE)                   model   best baseline   ceiling   verdict        gate")
    for s in signals:
        gate, note = "passed" if s.passed else "refused", "" if s.holds else "MISSED"
        print(f"  sign runs, size {s.size:3.1f}                  {s.model:8.4f}        {s.baseline:8.4f}  {s.ceiling:8.4f}   {s.verdict:14} {gate}  {note}")
    return 0 if ok else 1


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _small(pair: Pair) -> object:
    return pair.entry.card.hyperparameters.model_validate({"hidden": 8, "dropout": 0.5})


def _entities(pair: Pair) -> int:
    """Assets of a placebo: as few as keep it quick, enough for a graph, and for the rows that the model's card asks for."""
    return max(8 if pair.kind is Kind.GRAPHS else ENTITIES, 1 if pair.task.whole else math.ceil(_needed(pair) / SESSIONS))


def _sessions(pair: Pair) -> int:
    """Sessions of a placebo: a market is one row a session and not one an asset."""
    return max(2 * SESSIONS, _needed(pair)) if pair.task.whole else SESSIONS


def _needed(pair: Pair) -> int:
    """Rows that leave enough of them for the training of the first fold."""
    return math.ceil(pair.entry.card.training.minimum_samples / FIRST_FOLD)


@cache
def _default(source: str) -> pd.DataFrame:
    return datasets.load(datasets.default_of(source)).frame


def _stretch(rng: np.random.Generator, entities: int, sessions: int) -> pd.DataFrame:
    """So many sessions, or all there are, of so many large caps, both at random."""
    closes = _closes()
    names = rng.choice(closes["entity"].unique(), size=entities, replace=False)
    dates = np.unique(closes["time"])
    sessions = min(sessions, len(dates))
    start = rng.integers(0, len(dates) - sessions + 1)
    chosen = closes[closes["entity"].isin(names) & closes["time"].between(dates[start], dates[start + sessions - 1])]
    return chosen.reset_index(drop=True)


@cache
def _closes() -> pd.DataFrame:
    return datasets.load("us_large_caps").frame


if __name__ == "__main__":
    sys.exit(main())
