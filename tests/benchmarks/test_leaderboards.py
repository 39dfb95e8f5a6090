"""The page of leaderboards: every use case, best first, with what was released."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import leaderboards
from finml_models.evaluation.leaderboard import LeaderboardRow
from finml_models.evaluation.verdict import Verdict


def row(model: str, value: float, *, baseline: bool = False, release: str | None = None, champion: bool = False) -> LeaderboardRow:
    return LeaderboardRow(
        use_case="credit_risk",
        model=model,
        is_baseline=baseline,
        baseline="scorecard",
        metric="gini",
        lower_is_better=False,
        value=value,
        interval=(value - 0.1, value + 0.1),
        baseline_value=0.5,
        verdict=Verdict.NON_INFERIOR,
        gate_passed=release is not None,
        release=release,
        champion=champion,
    )


def test_a_row_says_what_it_is_what_it_scored_and_whether_it_was_released() -> None:
    lines = [*leaderboards.page([row("tabm", 0.6, release="v1", champion=True), row("scorecard", 0.5, baseline=True)], "abc1234")]
    assert "commit abc1234" in lines[2]
    start = lines.index("### Credit risk")
    assert lines[start + 2] == "| gini (more is better) | value | 95 % interval | verdict | |"
    assert lines[start + 4 :] == [
        "| **tabm** | 0.6 | 0.5 to 0.7 | non-inferior | released, champion |",
        "| scorecard | 0.5 | 0.4 to 0.6 | non-inferior |  |",
    ]


def test_a_page_of_some_use_cases_alone_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FINML_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["leaderboards", "--out", str(tmp_path / "page.md")])
    monkeypatch.setattr(leaderboards, "ranking", lambda: [row("tabm", 0.6)])
    assert leaderboards.main() == 1
    assert "volatility_forecasting" in capsys.readouterr().out
    assert not (tmp_path / "page.md").exists()
