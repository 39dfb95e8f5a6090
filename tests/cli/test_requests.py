"""Raw rows as a client would send them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from finml_cli import releases
from finml_cli.main import app
from finml_models import datasets
from finml_models.core import catalog


def test_the_newest_rows_come_back_from_the_request_unchanged() -> None:
    use_case = catalog.task("volatility_forecasting")
    raw = datasets.load("us_indices").frame.groupby("entity").tail(use_case.history).reset_index(drop=True)
    request = releases.as_request(use_case, raw)
    back = use_case().raw(use_case.request.model_validate_json(request.model_dump_json()))
    columns = ["entity", "time", "open", "high", "low", "close", "volume"]
    pd.testing.assert_frame_equal(back[columns].reset_index(drop=True), raw[columns], rtol=1e-14)


@pytest.mark.usefixtures("home")
def test_a_printed_request_is_one_that_the_service_takes() -> None:
    result = CliRunner().invoke(app, ["predict", "volatility_forecasting-gru", "--dataset", "us_indices", "--print-request"])
    assert result.exit_code == 0
    assert len(catalog.task("volatility_forecasting").request.model_validate_json(result.stdout).rows) == 2 * 66


@pytest.mark.parametrize(("text", "field"), [('{"rows": [{"entity": "A"}]}', "rows.0.time"), ("not json", "(body)"), ('{"rows": []}', "rows")])
def test_a_wrong_input_file_names_its_first_wrong_field(text: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "trained_artifact", lambda pair: tmp_path)
    file = tmp_path / "rows.json"
    file.write_text(text)
    result = CliRunner().invoke(app, ["predict", "volatility_forecasting-gru", "--input", str(file)])
    assert result.exit_code == 2
    assert field in result.stderr


@pytest.mark.usefixtures("home")
def test_two_sources_of_rows_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps({"rows": []}))
    result = CliRunner().invoke(app, ["predict", "volatility_forecasting-gru", "--input", str(file), "--dataset", "us_indices"])
    assert result.exit_code == 2
    assert "give one of them" in result.stderr
