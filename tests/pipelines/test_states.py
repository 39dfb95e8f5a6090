"""Regimes and embedding by date as the pipeline leaves them: beside the report that the ledger names, of the version that was judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_market import DATASET, register

from finml_ledger import Ledger
from finml_models.core import catalog
from finml_models.core.estimator import TrainingConfig, ignore
from finml_models.evaluation.states import STATES_JSON, States
from finml_pipelines import steps
from finml_pipelines.records import FeaturesRecord, ModelRecord

TASK = "regime_detection"


def trained(features: FeaturesRecord, entry: str) -> ModelRecord:
    pair = catalog.pair(f"{TASK}-{entry}")
    return steps.train(
        pair,
        features,
        hyperparameters=pair.entry.card.hyperparameters(),
        config=TrainingConfig(max_epochs=1, stride=10, device="cpu"),
        seeds=(0,),
        profile="fast",
        on_progress=lambda _fold, _seed: ignore,
    )


def test_a_judged_version_has_its_states_beside_its_report(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FINML_DATASETS", str(register(tmp_path / "data", sessions=1_900)))
    raw = steps.ingest(DATASET)
    features = steps.derive(catalog.task(TASK), raw)
    rivals = {name: trained(features, name) for name in catalog.task(TASK).baselines}
    judged = steps.judge(catalog.pair(f"{TASK}-vae"), raw, features, trained(features, "vae"), rivals)
    release = Ledger.open().newest_release(TASK, "vae")
    assert release is not None
    path = (home / str(release.report)).with_name(STATES_JSON)
    found = States.model_validate_json(path.read_bytes())
    assert (found.version, found.snapshot, found.entry) == (judged.version, raw.snapshot, "vae")
    assert found.embedding is not None
    assert len(found.regimes) == catalog.task(TASK).split.folds
    # The newest scored session is the last but one of the data: what came after the last one nobody knows yet.
    assert found.regimes[-1].dates[-1] == found.embedding.dates[-1] < steps.pd.read_parquet(home / raw.path)["time"].max().date()
    assert not list(path.parent.glob(".*"))
