"""The catalogue finds what is there, in fresh processes, without loading what it need not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 0.3

CARD = '''
from pydantic import Field
from finml_models.core.spec import *

class MixerHyperparameters(Hyperparameters):
    """One size."""
    width: int = Field(8, ge=1, le=64, description="units")

CARD = ModelCard(
    name="Mixer",
    description="A model from another package, found through its entry point.",
    kinds={Kind.WINDOWS}, objectives={Objective.FORECAST}, hyperparameters=MixerHyperparameters,
    strengths=("One.", "Two."), weaknesses=("One more.", "Two more."), best_for=("tests",),
    latency_class=Level.LOW, data_requirements=Level.LOW, explainability=Level.LOW,
    training=Training(minimum_samples=10, recommended_samples=100), deployment=Deployment(memory_mb=1),
)
'''


def fresh(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that sees the repository and the given folders."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path)))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=False)


def answer(code: str, *path: Path) -> Any:
    done = fresh(code, *path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def plugin(folder: Path, package: str, category: str, model_id: str) -> Path:
    """A folder on the path as an installer would leave it: a package with one model, and its metadata."""
    model = folder / package / category / model_id
    model.mkdir(parents=True)
    for parent in (model, model.parent, model.parent.parent):
        (parent / "__init__.py").touch()
    (model / "card.py").write_text(CARD)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[finml.models]\n{package} = {package}\n")
    return folder


def test_the_catalogue_with_its_documents_loads_nothing_heavy() -> None:
    loaded = answer(
        "import json, sys\n"
        "from finml_models.core import catalog, documents\n"
        "catalog.models(), catalog.tasks(), catalog.pairs()\n"
        "documents.model_list(), documents.use_case_list(), documents.recommendation_list('credit_risk')\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    assert "pydantic" in loaded
    assert not set(loaded) & {"torch", "pandas", "numpy", "dagster", "bentoml", "sklearn", "lightning", "transformers", "fastapi"}


def test_the_bare_import_takes_no_longer_than_a_breath() -> None:
    code = "import json, time\nstart = time.process_time()\nimport finml_models.core.catalog\nprint(json.dumps(time.process_time() - start))"
    taken = [answer(code)]
    while min(taken) > SECONDS and len(taken) < 3:
        taken.append(answer(code))
    assert min(taken) <= SECONDS, f"seconds: {taken}; `python -X importtime -c 'import finml_models.core.catalog'` shows where"


def test_a_nineteenth_model_joins_through_its_entry_point(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "acme_models", "time_series", "mixer")
    found = answer(
        "import json\n"
        "from finml_models.core import catalog, documents\n"
        "entry = catalog.model('mixer')\n"
        "print(json.dumps([len(catalog.models()), entry.category, entry.gap, sorted(catalog.use_cases('mixer')),\n"
        "    documents.model_list(category='time_series').count, documents.model_detail(entry).module]))",
        folder,
    )
    count, category, gap, use_cases, family, module = found
    assert (count, category, family) == (19, "time_series", 6)
    assert module == "acme_models.time_series.mixer.model"
    assert "model.py" in gap
    assert use_cases == ["price_forecasting", "volatility_forecasting"]


@pytest.mark.parametrize("model_id", ["lstm", "tabm"])
def test_an_id_that_is_taken_is_refused_with_both_places(tmp_path: Path, model_id: str) -> None:
    category = {"lstm": "time_series", "tabm": "tabular"}[model_id]
    folder = plugin(tmp_path, "acme_models", category, model_id)
    done = fresh("from finml_models.core import catalog; catalog.models()", folder)
    assert done.returncode != 0
    assert f"model id '{model_id}' is taken by" in done.stderr
    assert f"acme_models.{category}.{model_id}.model" in done.stderr
    assert f"finml_models.{category}.{model_id}.model" in done.stderr


def test_an_id_is_taken_across_families(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "acme_models", "nlp", "gru")
    assert "model id 'gru' is taken by" in fresh("from finml_models.core import catalog; catalog.models()", folder).stderr


def test_a_broken_card_of_another_package_is_not_swallowed(tmp_path: Path) -> None:
    folder = plugin(tmp_path, "acme_models", "graph", "broken")
    (folder / "acme_models" / "graph" / "broken" / "card.py").write_text(CARD.replace("le=64", "le=4"))
    done = fresh("from finml_models.core import catalog; catalog.models()", folder)
    assert done.returncode != 0
    assert "width" in done.stderr
