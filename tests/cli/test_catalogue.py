"""What the command line says of the catalogue, and how it says no."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from finml_cli.main import app
from finml_models.core import catalog
from finml_models.core.documents import ModelDetail, ModelList, RecommendationList, UseCaseSummary

ROOT = Path(__file__).resolve().parents[2]


def finml(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def answer(*arguments: str) -> Any:
    result = finml(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.usefixtures("home")
def test_the_list_holds_eighteen_models_of_six_families() -> None:
    found = ModelList.model_validate_json(json.dumps(answer("models", "list")))
    assert found.count == len(found.models) == 18
    assert len({model.category for model in found.models}) == 6


@pytest.mark.usefixtures("home")
def test_conditions_of_a_list_hold_together() -> None:
    found = ModelList.model_validate_json(json.dumps(answer("models", "list", "--category", "time_series", "--use-case", "fraud_detection")))
    assert {model.id for model in found.models} == {"lstm", "gru"}


@pytest.mark.usefixtures("home")
def test_nothing_is_ready_before_anything_passed_a_gate() -> None:
    assert answer("models", "list", "--ready")["count"] == 0


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("entry", ["gru", "log_har"])
def test_a_card_is_shown_whole(entry: str) -> None:
    detail = ModelDetail.model_validate_json(json.dumps(answer("models", "show", entry)))
    shown = finml("models", "show", entry)
    assert shown.exit_code == 0
    for text in (detail.name, *detail.strengths, *detail.weaknesses, *detail.hyperparameters.defaults):
        assert text in shown.stdout


@pytest.mark.usefixtures("home")
def test_a_card_without_code_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without_code = replace(catalog.model("longformer"), gap="its network is missing")
    monkeypatch.setattr(catalog, "entry", lambda _: without_code)
    assert "not built yet" in finml("models", "show", "longformer").stdout


@pytest.mark.usefixtures("home")
def test_a_recommendation_ranks_every_model_of_the_use_case() -> None:
    found = RecommendationList.model_validate_json(json.dumps(answer("models", "recommend", "volatility_forecasting")))
    assert [place.rank for place in found.recommendations] == list(range(1, len(found.recommendations) + 1))
    assert {"lstm", "gru", "tft", "informer"} <= {place.id for place in found.recommendations}


@pytest.mark.usefixtures("home")
def test_ten_use_cases_are_listed() -> None:
    found = [UseCaseSummary.model_validate_json(json.dumps(item)) for item in answer("use-cases")]
    assert len(found) == 10
    assert "volatility_forecasting" in finml("use-cases").stdout


@pytest.mark.usefixtures("home")
def test_the_embedded_datasets_are_listed() -> None:
    assert {"us_market", "us_indices"} <= {item["id"] for item in answer("data", "list")}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("models", "show", "gruu"), "gru"),
        (("models", "list", "--category", "tabulr"), "tabular"),
        (("models", "list", "--use-case", "fraud_detect"), "fraud_detection"),
        (("models", "recommend", "volatility"), "volatility_forecasting"),
        (("leaderboard", "--use-case", "volatility_forcasting"), "volatility_forecasting"),
        (("report", "volatility_forecasting-gruu"), "volatility_forecasting-gru"),
        (("run", "--use-case", "volatility_forcasting"), "volatility_forecasting"),
        (("run", "--model", "lsmt"), "lstm"),
        (("predict", "volatility_forecasting-grru"), "volatility_forecasting-gru"),
        (("explain", "volatility_forecasting-grru"), "volatility_forecasting-gru"),
        (("verify", "volatility_forecasting-grru", "0123456789abcdef"), "volatility_forecasting-gru"),
    ],
)
def test_an_unknown_id_is_one_line_with_the_nearest_ones(arguments: tuple[str, ...], near: str) -> None:
    result = finml(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert near in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("home")
def test_debug_shows_where_an_error_comes_from() -> None:
    result = finml("--debug", "models", "show", "gruu")
    assert type(result.exception).__name__ == "UnknownName"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "volatility_forecasting-gru"),
        ("verify", "volatility_forecasting-gru", "0123456789abcdef"),
        ("predict", "volatility_forecasting-gru"),
        ("explain", "volatility_forecasting-gru"),
        ("serve",),
    ],
)
def test_what_was_never_run_names_the_command_that_runs_it(arguments: tuple[str, ...]) -> None:
    result = finml(*arguments)
    assert result.exit_code == 2
    assert "finml run --use-case volatility_forecasting" in result.stderr


COMMANDS = [
    "run",
    "leaderboard",
    "report",
    "verify",
    "serve",
    "predict",
    "explain",
    "tune",
    "up",
    "doctor",
    "use-cases",
    "models list",
    "models show",
    "models recommend",
    "data list",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_an_example(command: str) -> None:
    result = finml(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"finml {command}" in " ".join(result.stdout.replace("│", " ").split())


def test_no_command_is_left_out_of_this_suite() -> None:
    shown = finml("--help").stdout
    groups = {command.split()[0] for command in COMMANDS}
    import typer.main

    assert set(typer.main.get_command(app).commands) == groups
    assert all(name in shown for name in groups)


def test_help_comes_at_once() -> None:
    def seconds(code: str) -> float:
        # Processor time: what others do on the machine is not the command's fault. Beside the libraries' own, for machines differ.
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code, "--help"], check=True, capture_output=True, cwd=ROOT, env=dict(os.environ))
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    libraries = "import typer, typer.rich_utils, pydantic, rich.table, rich.console, rich.markdown; pydantic.create_model('M', a=(int, 0))"
    rounds = [(seconds("from finml_cli.main import app; app()"), seconds(libraries)) for _ in range(3)]
    assert min(ours for ours, _ in rounds) < 2.0 * min(theirs for _, theirs in rounds)
