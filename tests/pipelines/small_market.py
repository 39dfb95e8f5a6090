"""A small registered dataset, and runs of the pipeline on it with trainings that take seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from finml_models.core import catalog

DATASET = "small_market"
TASK = "volatility_forecasting"
MODELS = tuple(pair.entry.id for pair in catalog.pairs(TASK))
SETTINGS = f"""
[datasets.{DATASET}]
kind = "market"
source = "csv"
layout = "wide"
path = "closes.csv"
calendar = "XNYS"
columns = {{ time = "date" }}
rules = {{ non_session_share = 0.1 }}
"""


def register(folder: Path, *, sessions: int = 1_500, seed: int = 3) -> Path:
    """Write closes of three assets and a settings file that registers them; returns the settings file."""
    rng = np.random.default_rng(seed)
    days = pd.bdate_range("2012-01-02", periods=sessions)
    variance = np.exp(-9 + np.cumsum(rng.standard_normal((sessions, 3)) * 0.1, axis=0).clip(-2, 2))
    closes = 100 * np.exp(np.cumsum(np.sqrt(variance) * rng.standard_normal((sessions, 3)), axis=0))
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(closes, index=days.rename("date"), columns=["AAA", "BBB", "CCC"]).round(6).to_csv(folder / "closes.csv")
    settings = folder / "datasets.toml"
    settings.write_text(SETTINGS)
    return settings


def training(**overrides: Any) -> dict[str, Any]:
    """Run config of the models' trainings."""
    quick = {"max_epochs": 1, "stride": 10, "device": "cpu"} | overrides
    return {f"model__volatility_forecasting__{name}": {"config": {"training": dict(quick)}} for name in MODELS}


def materialise(*selection: str, config: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
    """Run the assets of these keys (all of volatility forecasting by default) on the small dataset."""
    from finml_pipelines.definitions import build
    from finml_pipelines.instance import instance

    definitions = build()
    graph = definitions.resolve_asset_graph()
    chosen = [dg.AssetKey(key.split("/")) for key in selection] or dg.AssetSelection.groups(TASK).upstream().resolve(graph)
    with instance() as home:
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=home,
            asset_selection=sorted(chosen, key=lambda key: key.path),
            run_config={"ops": {"raw__market": {"config": {"dataset": DATASET}}, **(config if config is not None else training())}},
            raise_on_error=False,
        )
