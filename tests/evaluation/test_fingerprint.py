from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finml_models.core.estimator import TrainingConfig
from finml_models.core.task import WalkForward
from finml_models.evaluation.fingerprint import fingerprint

from .conftest import Nothing

BASE: dict[str, Any] = {
    "snapshot": "ab" * 32,
    "entry": "gru",
    "task": "volatility_forecasting",
    "hyperparameters": Nothing(),
    "config": TrainingConfig(),
    "seeds": (0, 1),
    "split": WalkForward(),
}


def test_equal_inputs_have_equal_fingerprints() -> None:
    assert fingerprint(**BASE) == fingerprint(**BASE)


@pytest.mark.parametrize(
    "change", [{"snapshot": "cd" * 32}, {"entry": "lstm"}, {"config": TrainingConfig(max_epochs=3)}, {"seeds": (0,)}, {"split": WalkForward(folds=4)}]
)
def test_every_change_changes_the_id(change: dict[str, Any]) -> None:
    assert fingerprint(**BASE)["id"] != fingerprint(**{**BASE, **change})["id"]


def test_the_fingerprint_is_json_without_paths_or_moments() -> None:
    text = json.dumps(fingerprint(**BASE))
    assert str(Path.home()) + "/" not in text
    assert str(Path(__file__).resolve().parents[2]) not in text
    assert not {"time", "date", "timestamp", "created"} & set(json.loads(text))


def test_code_and_packages_are_named() -> None:
    found = fingerprint(**BASE)
    assert len(str(found["code_version"])) == 64
    packages = found["packages"]
    assert isinstance(packages, dict)
    assert {"numpy", "pandas"} <= set(packages)
