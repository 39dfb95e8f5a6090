"""The code location: what it holds, what it costs to load, and what its configuration refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finml_models.core import catalog
from finml_models.core.estimator import TrainingConfig
from finml_pipelines.config import model_config, resolve
from finml_pipelines.definitions import build

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = Path(__file__).with_name("assets.json")
RATIO = 2.8
"""The aim is 1.7 × `import dagster`, held with one use case. With ten, Dagster's own cost of some 2 ms an asset, of which there are 250, takes
more than that; an asset a pair instead of three would give back the most, then numpy in the baselines' files."""


def described() -> dict[str, Any]:
    """Every asset with what the user sees of it, and every check, schedule and sensor."""
    graph = build().resolve_asset_graph()
    definitions = build()
    return {
        "assets": {
            node.key.to_user_string(): {
                "group": node.group_name,
                "kinds": sorted(node.kinds),
                "owners": sorted(node.owners),
                "pools": sorted(node.pools or ()),
                "parents": sorted(key.to_user_string() for key in node.parent_keys),
                "described": bool(node.description),
            }
            for node in sorted(graph.asset_nodes, key=lambda node: node.key)
        },
        "checks": sorted(f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys),
        "schedules": sorted(schedule.name for schedule in definitions.schedules),
        "sensors": sorted(sensor.name for sensor in definitions.sensors),
    }


def test_the_assets_are_those_of_the_snapshot() -> None:
    """After a wanted change: FINML_UPDATE_SNAPSHOTS=1 pytest tests/pipelines/test_definitions.py, and read the difference."""
    found = json.dumps(described(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("FINML_UPDATE_SNAPSHOTS"):
        SNAPSHOT.write_text(found)
    assert found == SNAPSHOT.read_text()


def test_every_contender_has_a_model_a_gated_report_and_a_service() -> None:
    found = described()
    for pair in catalog.contenders("volatility_forecasting"):
        for stage in ("model", "report", "service"):
            assert f"{stage}/volatility_forecasting/{pair.entry.id}" in found["assets"]
        assert f"report/volatility_forecasting/{pair.entry.id}:gate" in found["checks"]


def test_loading_needs_no_heavy_library_and_little_more_time_than_dagster() -> None:
    code = """
import time, sys, json
began = time.process_time(); import dagster; base = time.process_time() - began
from finml_pipelines.definitions import defs; defs(); whole = time.process_time() - began
heavy = [name for name in ("torch", "lightning", "sklearn", "transformers", "arch", "scipy") if name in sys.modules]
print(json.dumps([base, whole, heavy]))
"""
    runs = [json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout) for _ in range(3)]
    assert runs[0][2] == []
    assert min(whole / base for base, whole, _ in runs) <= RATIO


@pytest.mark.parametrize("entry", [pair.entry for pair in catalog.contenders("volatility_forecasting")], ids=lambda entry: entry.id)
def test_run_config_has_every_hyperparameter_and_training_field(entry: catalog.Entry) -> None:
    config = model_config(entry)()
    assert config.hyperparameters.model_dump() == entry.card.hyperparameters().model_dump()
    assert set(config.training.model_dump()) == set(TrainingConfig.model_fields)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hyperparameters": {"hidden": 4}}, "hidden"),
        ({"training": {"learning_rate": -1.0}}, "learning_rate"),
        ({"profile": "SLOW"}, "SLOW"),
    ],
)
def test_wrong_run_config_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    entry = catalog.model("lstm")
    with pytest.raises(ValueError, match=field):
        resolve(entry, model_config(entry)(**given))


def test_the_full_profile_has_three_seeds_for_a_forecast_and_five_for_a_policy() -> None:
    seeds = {name: resolve(entry := catalog.model(name), model_config(entry)(profile="FULL"))[2] for name in ("lstm", "ppo")}
    assert {name: len(found) for name, found in seeds.items()} == {"lstm": 3, "ppo": 5}
