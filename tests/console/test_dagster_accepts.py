"""What the console asks of Dagster, held against the installed Dagster and the pipeline's own definitions."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster_graphql.schema import create_schema
from fake_dagster import TASK, FakeDagster, application, ask
from graphql import parse, validate

from finml_console.services import orders, queries
from finml_console.services.dagster import LOCATION
from finml_ledger import Ledger
from finml_models.core import catalog
from finml_models.core.profile import ProfileName
from finml_models.datasets.registry import default_of
from finml_pipelines.definitions import build

QUESTIONS = sorted(name for name in vars(queries) if name.isupper() and not name.startswith("_"))


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build()


def test_every_question_is_one_that_the_installed_dagster_understands() -> None:
    schema = create_schema().graphql_schema
    assert len(QUESTIONS) == 7
    assert not {name: errors for name in QUESTIONS if (errors := validate(schema, parse(getattr(queries, name))))}


def test_the_order_of_every_pair_is_one_that_the_pipeline_accepts(definitions: dg.Definitions) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    known = {tuple(key.path) for key in job.asset_layer.executable_asset_keys}
    for pair in (pair for task in catalog.tasks() for pair in catalog.contenders(task)):
        training = {"max_epochs": 2, "learning_rate": 0.01, "calibrate": False, "device": "cpu"}
        hyperparameters = pair.entry.card.hyperparameters().model_dump(mode="json")
        dataset = default_of(pair.task.source())
        order = orders.Order(pair, dataset, ProfileName.FULL, hyperparameters, training, "0" * 16, "api", tuple(orders.rivals(pair)))
        assert set(order.assets()) <= known, pair.id
        dg.validate_run_config(job, {"ops": {op: {"config": config} for op, config in order.ops().items()}})


def test_the_order_of_a_search_is_one_that_its_job_accepts(definitions: dg.Definitions, home: Path) -> None:
    home.mkdir()
    ledger, fake = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}"), FakeDagster()
    answer = ask(application(ledger, fake), "POST", "/v1/tuning", json={"model_id": "gru", "use_case": TASK, "trials": 3})
    assert answer.status_code == 202, answer.text
    launched = fake.launched[0]
    dg.validate_run_config(definitions.resolve_job_def(launched["selector"]["pipelineName"]), launched["runConfigData"])
    ledger.close()


def test_the_code_location_has_the_name_that_the_workspace_gives_it() -> None:
    loaded = yaml.safe_load((Path(__file__).parents[2] / "workspace.yaml").read_text())["load_from"]
    assert [part["python_module"]["location_name"] for part in loaded] == [LOCATION]
