"""Volatility on realised variances of the S&P 500, 2000-2019: QLIKE relative to log-HAR, by the pipeline's own walk-forward run.

The public file is a copy of the Oxford-Man realised library's series .SPX. Folds, features, horizons (1, 5 and 22 sessions) and the test
are those of the use case. The networks have their default hyperparameters and train as in the full profile, but on every date and in
batches of 32: one asset has some two thousand windows, of which a whole market's batches would make a few steps. A ratio below 1 is
better than log-HAR; p is that of the Diebold-Mariano test, two-sided. No paper's figure is of these rows, so there is no bar: HAR is
hard to beat, and a tie is a good result.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pandas as pd

from benchmarks.quality import Reached, Row, public_path
from finml_models import datasets
from finml_models.core import catalog
from finml_models.core.estimator import ignore
from finml_models.core.profile import PROFILES, ProfileName
from finml_models.evaluation.backtest import Walk
from finml_models.evaluation.scores import align
from finml_models.evaluation.statistics import diebold_mariano

TASK = "volatility_forecasting"
FILE = "volatility/oxford_man_spx_realized_2000_2019.csv.gz"
REFERENCE, METRIC = "log_har", "qlike"
ONE_ASSET = {"batch_size": 32, "stride": 1, "device": "cpu"}
NETWORKS = ("tft", "informer", "patchtst", "lstm", "gru")


@cache
def raw() -> pd.DataFrame:
    """The cleaned rows of the public file, read once a process."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "datasets.toml"
        columns = '{ time = "date", close = "close_price", realised_variance = "rv5" }'
        # A dataset of one's own lies beside its settings.
        copy = shutil.copy(public_path(FILE), folder)
        settings.write_text(f'[datasets.realised_spx]\nsource = "csv"\npath = "{Path(copy).name}"\nentity = "SPX"\ncolumns = {columns}\n', encoding="utf-8")
        before = os.environ.get("FINML_DATASETS")
        os.environ["FINML_DATASETS"] = str(settings)
        try:
            return datasets.load("realised_spx").frame
        finally:
            os.environ.pop("FINML_DATASETS")
            if before is not None:
                os.environ["FINML_DATASETS"] = before


def predictions(entry: str, seed: int) -> pd.DataFrame:
    """Out-of-sample forecasts of all folds."""
    pair = catalog.pair(f"{TASK}-{entry}")
    task = pair.task()
    batch = task.view(pair.kind, task.features(raw()), task.target(raw()))
    config = PROFILES[ProfileName.FULL].training.model_copy(update=ONE_ASSET)
    return Walk(pair, batch, pair.entry.card.hyperparameters(), config, (seed,)).score(lambda _fold, _seed: ignore)[0].assign(seed=0)


@cache
def reference() -> pd.DataFrame:
    """Those of log-HAR."""
    return predictions(REFERENCE, 0)


def ratio(entry: str, seed: int) -> Reached:
    """Mean QLIKE over all horizons relative to log-HAR's, the same of the next session alone, and the p of either."""
    scores = align({entry: predictions(entry, seed), REFERENCE: reference()}, (METRIC,))
    horizons = catalog.task(TASK).horizons

    def against(horizon: int | None) -> tuple[float, float]:
        ours, theirs = (scores[name].losses(METRIC, horizon) for name in (entry, REFERENCE))
        return float(ours.mean() / theirs.mean()), diebold_mariano(ours, theirs, horizon=horizon or max(horizons)).p

    (every, p), (next_day, p_next) = against(None), against(1)
    return Reached(every, f"p {p:.2g}; next session {next_day:.3f}, p {p_next:.2g}")


def rows() -> Iterator[Row]:
    """Ratios, of GARCH and of the networks."""
    for entry in ("garch", *NETWORKS):
        name = catalog.pair(f"{TASK}-{entry}").entry.card.name
        seeds = 3 if entry in NETWORKS else 1
        yield Row(f"volatility_{entry}", f"{name}, realised variance, QLIKE relative to log-HAR", partial(ratio, entry), None, None, "", seeds, 0.3)
