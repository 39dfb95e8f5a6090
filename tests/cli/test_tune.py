"""`finml tune` and `finml run --set`: what is asked reaches the search, the answer is honest, and the next command can be typed as it stands."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from finml_cli import configuration
from finml_cli.main import app
from finml_cli.tune import Bar, Lines, clock, display, next_command
from finml_models.core.errors import DataError, FinmlError, UnknownName
from finml_models.training.tuning import Step
from finml_models.training.tuning_report import Attempt, TuningReport
from finml_pipelines import run as pipeline
from finml_pipelines import tuning
from finml_pipelines.run import RunResult

DEFAULT = Attempt(number=0, hyperparameters={"hidden": 64, "layers": 1, "dropout": 0.1}, state="complete", value=0.5, folds=(0.4, 0.6))
BETTER = Attempt(number=1, hyperparameters={"hidden": 32, "layers": 1, "dropout": 0.25}, state="complete", value=0.45, folds=(0.5, 0.4))
FAILED = Attempt(number=2, hyperparameters={"hidden": 512, "layers": 4, "dropout": 0.9}, state="failed", reason="Diverged: the loss is nan")
STEPS = (
    Step(1, 3, 1, 2, None, 0.4, None, None, 65.0),
    Step(1, 3, 2, 2, "complete", 0.5, 0.5, 0.5, 64.0),
    Step(2, 3, 2, 2, "complete", 0.45, 0.45, 0.5, 3_661.0),
    Step(3, 3, 1, 2, "pruned", 0.9, 0.45, 0.5, 0.0),
)


def made(*attempts: Attempt, **words: Any) -> TuningReport:
    names = {"study": "s", "task": "volatility_forecasting", "entry": "gru", "dataset": "us_indices", "snapshot": "x", "profile": "fast", "metric": "qlike"}
    given = {"seed": 0, "lower_is_better": True, "before": "2020-01-01", "rows": 9, "inner_folds": 2, "attempts": attempts, "seconds": 1.0}
    return TuningReport(**{**names, **given, **words})


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[TuningReport], list[dict[str, Any]]]:
    """Let the search answer with a report; returns what it was asked."""

    def install(report: TuningReport) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def search(pair: str, *, on_step: Callable[[Step], None], **given: Any) -> TuningReport:
            calls.append({"pair": pair, **given})
            for step in STEPS:
                on_step(step)
            return report

        monkeypatch.setattr(tuning, "tune", search)
        return calls

    return install


def test_options_reach_the_search(answer: Callable[[TuningReport], list[dict[str, Any]]]) -> None:
    calls = answer(made(DEFAULT, BETTER))
    words = ["tune", "volatility_forecasting-gru", "-n", "3", "-d", "us_indices", "-p", "full", "-t", "60", "--only", "hidden", "--only", "dropout"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert calls == [
        {"pair": "volatility_forecasting-gru", "trials": 3, "only": ["hidden", "dropout"], "dataset": "us_indices", "profile": "full", "timeout": 60.0}
    ]


def test_the_best_stands_beside_the_default_with_what_it_is_worth(answer: Callable[[TuningReport], list[dict[str, Any]]]) -> None:
    answer(made(DEFAULT, BETTER, FAILED, timed_out=True))
    result = CliRunner().invoke(app, ["tune", "volatility_forecasting-gru"])
    text = " ".join(result.stdout.split())
    assert "hidden 64 32" in text
    assert "inner fold 1 0.4 0.5" in text
    assert "mean 0.5 0.45" in text
    assert "3 attempts: 2 complete, 1 failed; the time was over" in text
    assert "Diverged: the loss is nan" in text
    assert "best of 3 configurations" in text
    assert "the report on the outer folds decides" in text
    assert "attempt 2/3" in result.stderr


def test_json_is_the_whole_report(answer: Callable[[TuningReport], list[dict[str, Any]]]) -> None:
    report = made(DEFAULT, BETTER)
    answer(report)
    result = CliRunner().invoke(app, ["tune", "volatility_forecasting-gru", "--json"])
    assert TuningReport.model_validate_json(result.stdout) == report


def test_an_unknown_pair_is_one_line_and_exit_code_2(home: Path) -> None:
    result = CliRunner().invoke(app, ["tune", "volatility_forecasting-grru"])
    assert result.exit_code == 2
    assert "did you mean volatility_forecasting-gru" in result.stderr


def test_the_next_command_runs_with_the_best_hyperparameters(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    heard: list[Any] = []

    def record(*given: Any) -> RunResult:
        heard.append(given)
        return RunResult(True, ("run",), ())

    monkeypatch.setattr(pipeline, "run", record)
    line = next_command(made(DEFAULT, BETTER), "us_indices")
    assert line.startswith("finml run --use-case volatility_forecasting --model gru --profile fast --dataset us_indices")
    assert CliRunner().invoke(app, shlex.split(line)[1:]).exit_code == 0
    assert heard[0][:4] == ("volatility_forecasting", ("gru",), "us_indices", "fast")
    assert heard[0][-1] == {"hyperparameters": {"hidden": 32, "dropout": 0.25}}
    assert "--set" not in next_command(made(DEFAULT), None)


def test_a_file_and_options_are_one_configuration_and_options_go_first(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"hyperparameters": {"hidden": 16, "layers": 2}, "training": {"max_epochs": 3}}))
    found = configuration.read(("gru",), ["hidden=32", "training.device=cpu"], file)
    assert found == {"hyperparameters": {"hidden": 32, "layers": 2}, "training": {"max_epochs": 3, "device": "cpu"}}
    assert configuration.read(("gru",), [], None) == {}
    assert configuration.read(("tabm",), ["embedding=none"], None) == {"hyperparameters": {"embedding": "none"}}
    assert configuration.read(("ridge",), ["tuned=false"], None) == {"hyperparameters": {"tuned": False}}


@pytest.mark.parametrize(
    ("models", "change", "error", "said"),
    [
        (("gru",), "hidden=4", DataError, "hidden = 4: .*greater than or equal to 8"),
        (("gru",), "hidden=many", DataError, "hidden = 'many'"),
        (("gru",), "training.max_epochs=-1", DataError, "max_epochs = -1"),
        (("gru",), "hiden=32", UnknownName, "did you mean hidden"),
        (("gru",), "training.epochs=3", UnknownName, "max_epochs"),
        (("gru",), "hidden", DataError, "NAME=VALUE"),
        (("gru", "lstm"), "hidden=32", FinmlError, "2 are named"),
        ((), "hidden=32", FinmlError, "0 are named"),
    ],
)
def test_what_the_card_does_not_allow_is_refused_by_name(models: tuple[str, ...], change: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        configuration.read(models, [change], None)


@pytest.mark.parametrize(
    ("text", "said"), [("{", "no JSON"), ("[1]", "an object"), ('{"hyperparameters": 3}', "an object"), ('{"model": {}}', "hyperparameters")]
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(FinmlError, match=said):
        configuration.read(("gru",), [], file)


def test_the_bar_follows_the_folds_and_says_how_long_it_will_take() -> None:
    stream = io.StringIO()
    with display(Console(file=stream, force_terminal=True, width=160)) as show:
        assert isinstance(show, Bar)
        for step in STEPS:
            show(step)
    assert "attempt 3/3, fold 1/2, best 0.45 (default 0.5)" in stream.getvalue()


def test_lines_tell_every_attempt_that_ended_and_do_not_flood() -> None:
    told: list[str] = []
    with Lines(told.append, moment=lambda: 0.0) as show:
        for step in (STEPS[0], STEPS[0], *STEPS):
            show(step)
    assert [line.split()[0] for line in told] == ["running", "complete", "complete", "pruned"]
    assert "about 1:01:01 left" in told[2]
    assert clock(65) == "1:05"
