"""No metric without an oracle, a paper, a direction that holds, and array code: over the tables of `test_metric_oracles_*`."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from finml_models.evaluation import metrics
from finml_models.evaluation.metrics import METRICS, metric

from .metric_oracles import WORKED, Checked, Draw, Figure, assert_close, functions, value_of

FAMILIES = [import_module(f"{__package__}.{path.stem}") for path in sorted(Path(__file__).parent.glob("test_metric_oracles_*.py"))]
ORACLES: dict[str, Checked] = {name: checked for family in FAMILIES for name, checked in family.ORACLES.items()}
FIGURES: list[Figure] = [figure for family in FAMILIES for figure in family.FIGURES]

NO_LIBRARY = {"implementation_shortfall_bp": "no Python package computes it; checked by two accounts in exact fractions and by hand"}
"""Metrics for which neither an installed library nor a reference package was found."""

WITHOUT_DIRECTION = {"coverage", "false_alarm_ratio", "mean_duration"}

PAPER = re.compile(r"\b(19|20)\d\d\b")


def test_every_metric_has_an_oracle_and_every_oracle_a_metric() -> None:
    assert set(ORACLES) == set(functions()), "add the missing metric to the table ORACLES of its family"
    assert sum(len(family.ORACLES) for family in FAMILIES) == len(ORACLES)
    assert all(checked.oracles for checked in ORACLES.values())
    assert {figure.name for figure in FIGURES} <= set(ORACLES)


def test_every_metric_is_checked_against_somebody_elses_code_or_says_why_not() -> None:
    by_library = {name for name, checked in ORACLES.items() if any(oracle.of_a_library for oracle in checked.oracles)}
    by_package = {figure.name for figure in FIGURES if not figure.source.startswith(WORKED)}
    assert set(functions()) - by_library - by_package == set(NO_LIBRARY)


@pytest.mark.parametrize("name", METRICS)
def test_a_unit_is_pinned_by_a_figure(name: str) -> None:
    if metric(name).unit:
        assert any(figure.name == name for figure in FIGURES), f"{name} is in {metric(name).unit}: add a figure with that unit"


@pytest.mark.parametrize("name", METRICS)
def test_the_better_forecast_has_the_better_value(name: str) -> None:
    checked, held = ORACLES[name], metric(name)
    if held.lower_is_better is None:
        assert name in WITHOUT_DIRECTION
        return
    assert checked.good is not None
    assert checked.poor is not None
    good, poor = (np.mean(value_of(name, given)) for given in (checked.good, checked.poor))
    assert good < poor if held.lower_is_better else good > poor


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_cites_its_paper(name: str) -> None:
    assert PAPER.search(inspect.getdoc(metric(name).function) or ""), f"name the paper of {name}, with its year, in the docstring"


@pytest.mark.parametrize("name", ORACLES)
def test_the_inputs_tell_values_apart_and_a_wrong_value_is_refused(name: str) -> None:
    checked = ORACLES[name]
    for oracle in checked.oracles:
        drawn = [(oracle.inputs or checked.inputs)(Draw(seed, 24, "plain")) for seed in range(12)]
        values = [np.asarray(oracle.value(**given), np.float64).mean() for given in drawn]
        assert len(np.unique(np.round(values, 9))) > 1
        wrong = np.asarray(oracle.value(**drawn[0]), np.float64) * (1 + 1e-3) + 1e-3
        with pytest.raises(AssertionError, match="Not equal"):
            assert_close(value_of(name, drawn[0]), wrong, oracle.rtol, drawn[0])


@pytest.mark.parametrize("name", ORACLES)
def test_a_metric_has_no_python_loop_over_rows(name: str) -> None:
    short, long = (lines_run(name, rows) for rows in (100, 2000))
    # Twenty times the rows may take a few more lags, nothing else.
    assert long < 3 * short


def lines_run(name: str, rows: int) -> int:
    """Lines of the metrics' own files that one call runs through."""
    given, folder, lines = ORACLES[name].inputs(Draw(4, rows, "plain")), str(Path(metrics.__file__).parent), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace if frame.f_code.co_filename.startswith(folder) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        value_of(name, given)
    finally:
        sys.settrace(before)
    assert lines
    return lines
