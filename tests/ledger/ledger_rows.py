"""A trial and a release to record."""

from __future__ import annotations

from typing import Any

TRIAL: dict[str, Any] = {
    "task": "volatility_forecasting",
    "entry": "gru",
    "fold": 0,
    "seed": 1,
    "config_hash": "c0ffee",
    "hyperparameters": {"hidden": 64, "dropout": 0.1},
    "config": {"learning_rate": 1e-3},
    "data_snapshot": "d" * 16,
    "code_version": "0.1.0",
    "fingerprint_id": "f" * 16,
}
RELEASE: dict[str, Any] = {
    "task": "volatility_forecasting",
    "entry": "gru",
    "version": "0123456789abcdef",
    "artifact": "artifacts/volatility_forecasting/gru/0123456789abcdef",
    "verdict": "worse",
    "gate_passed": False,
    "headline": {"qlike": 0.31},
    "fingerprint": {"data": "d" * 16},
}
