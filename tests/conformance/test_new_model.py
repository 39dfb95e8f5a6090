"""A model dropped into a package of its own: pairs, assets and laws appear with no edit anywhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CARD = '''
from pydantic import Field
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Training


class LinearHyperparameters(Hyperparameters):
    """One switch."""

    bias: bool = Field(True, description="an offset a horizon")


CARD = ModelCard(
    name="Linear",
    description="A linear map of the window, written outside of the project for a test.",
    kinds={Kind.WINDOWS}, objectives={Objective.FORECAST}, hyperparameters=LinearHyperparameters,
    strengths=("Small.", "Fast."), weaknesses=("Linear.", "Reads every step alike."), best_for=("tests",),
    latency_class=Level.LOW, data_requirements=Level.LOW, explainability=Level.MEDIUM,
    training=Training(minimum_samples=100, recommended_samples=1000), deployment=Deployment(memory_mb=10),
)
'''

MODEL = """
from torch import nn

from finml_models.training.heads import ForecastHead
from finml_models.training.torch_estimator import TorchEstimator


class Network(nn.Module):
    def __init__(self, h, s):
        super().__init__()
        self.head = ForecastHead(s.length * s.features, s)

    def forward(self, x):
        return self.head(x.past.flatten(1))


class Linear(TorchEstimator):
    def network(self):
        return Network(self.hyperparameters, self.signature)
"""


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the other package installed."""
    folder = tmp_path_factory.mktemp("site")
    model = folder / "other_models" / "time_series" / "linear"
    model.mkdir(parents=True)
    for package in (model, model.parent, model.parent.parent):
        (package / "__init__.py").touch()
    (model / "card.py").write_text(CARD)
    (model / "model.py").write_text(MODEL)
    metadata = folder / "other_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other-models\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[finml.models]\nother_models = other_models\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}


def test_pairs_and_assets_of_a_nineteenth_model_appear(plugged: dict[str, str]) -> None:
    code = """
import json
from finml_models.core import catalog
from finml_pipelines.definitions import build
keys = [key.to_user_string() for key in build().resolve_asset_graph().get_all_asset_keys()]
print(json.dumps([len(catalog.models()), [p.id for p in catalog.pairs() if p.entry.id == "linear"], [k for k in keys if k.endswith("/linear")]]))
"""
    done = subprocess.run([sys.executable, "-c", code], env=plugged, capture_output=True, text=True, check=True)
    count, pairs, keys = json.loads(done.stdout.splitlines()[-1])
    assert count == 19
    assert pairs == ["price_forecasting-linear", "volatility_forecasting-linear"]
    tasks = ("price_forecasting", "volatility_forecasting")
    assert sorted(keys) == [f"{stage}/{task}/linear" for stage in ("model", "report", "service") for task in tasks]


def test_the_conformance_suites_take_it_in_and_it_holds_their_laws(plugged: dict[str, str]) -> None:
    suites = [str(ROOT / "tests" / "conformance" / f"test_{name}_laws.py") for name in ("estimator", "pair", "explanation")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *suites, "-k", "linear and not dlinear and not nlinear", "-v", "-p", "no:cacheprovider"],
        env=plugged,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= 20
