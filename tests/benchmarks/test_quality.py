"""`make quality`: modules are found, a table is made, a missing file is said, a missed bar ends the command with 1, and a stopped run goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.quality import Bar, NoData, Reached, Row, _run, at_least, at_most, credit, discovered, forecasters, informer, names, near, within
from benchmarks.quality.__main__ import main
from benchmarks.quality._journal import Journal, Measurement
from benchmarks.quality._table import Outcome, markdown, text

ROOT = Path(__file__).resolve().parents[2]
CODE = "0" * 16


def measured(row: str, *values: float) -> tuple[Measurement, ...]:
    return tuple(Measurement(row, seed, value, "", 60.0, "2026-01-02", CODE) for seed, value in enumerate(values))


def row(name: str = "one", measure: Callable[[int], Reached] | None = None, bar: Bar | None = None, *, seeds: int = 1, on_request: bool = False) -> Row:
    return Row(name, f"figure {name}", measure or (lambda seed: Reached(0.5)), 0.5, bar, "a paper", seeds, on_request=on_request)


def command(*arguments: str, rows: Sequence[Row] = ()) -> int:
    """The command on rows that are measured in this process."""
    return main(list(arguments), modules={"tables": list(rows)}, pool=ThreadPoolExecutor(1))


def test_every_module_is_found_and_says_what_it_can_measure() -> None:
    modules = discovered()
    assert set(names()) == set(modules) == {"credit", "forecasters", "graphs", "informer", "policies", "tables", "volatility"}
    rows = [row for found in modules.values() for row in found]
    assert all(modules.values())
    assert len({row.name for row in rows}) == len({row.what for row in rows}) == len(rows)
    assert all(row.seeds >= 1 and row.minutes > 0 and (row.bar is None or row.source) for row in rows)
    # They are sent to processes of their own.
    assert all(ForkingPickler.dumps(row.measure) for row in rows)


def test_the_committed_page_has_a_line_for_every_row() -> None:
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    assert not [row.what for rows in discovered().values() for row in rows if f"| {row.what} |" not in page]


@pytest.mark.parametrize(
    ("bar", "good", "bad"),
    [(at_most(0.383), 0.383, 0.384), (at_least(-176.0), -176.0, -176.1), (near(0.374, 0.02), 0.367, 0.366), (within(0.83, 0.01), 0.821, 0.8199)],
)
def test_a_bar_holds_up_to_its_limit(bar: Bar, good: float, bad: float) -> None:
    assert bar.holds(good)
    assert not bar.holds(bad)


def test_the_table_says_what_was_reached_with_how_many_seeds_and_what_was_not() -> None:
    outcomes = [
        Outcome(row("a", bar=at_most(0.6), seeds=2), measured("a", 0.5, 0.6)),
        Outcome(row("b", bar=at_most(0.6), seeds=3), measured("b", 0.7)),
        Outcome(row("c"), absent="no file"),
        Outcome(row("d"), failed="ValueError: no"),
        Outcome(row("e")),
    ]
    lines = text(outcomes).splitlines()
    assert len({line.index("a paper") for line in lines[1:]}) == 1
    said = ["0.5500 ± 0.05", "  2  ", "holds"], ["0.7000", "1 of 3", "MISSED so far"], ["skipped: no file"], ["failed: ValueError: no"], ["not run"]
    for line, words in zip(lines[1:], said, strict=True):
        assert all(word in line for word in words), (line, words)
    page = markdown(outcomes, "make quality", workers=2)
    assert "2 processes of one thread each" in page
    assert "| figure b | 0.5000 | 0.7000 | 1 of 3 | ≤ 0.600 | MISSED so far | a paper | 2026-01-02 |" in page
    assert "3 minutes of measuring" in page


@pytest.mark.parametrize(("limit", "code"), [(0.6, 0), (0.4, 1)])
def test_a_missed_bar_ends_the_command_with_1(limit: float, code: int, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(rows=[row(bar=at_most(limit))]) == code
    assert ("MISSED" in capsys.readouterr().out) == (code == 1)


def test_a_file_that_is_not_there_is_said_and_counts_as_no_miss(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FINML_TEST_DATA", str(tmp_path / "empty"))
    forecasters.benchmark.cache_clear()
    (chosen,) = (row for row in forecasters.rows() if row.name == "nlinear_etth1")
    assert command("--out", str(tmp_path / "page.md"), rows=[chosen]) == 0
    for said in (capsys.readouterr().out, (tmp_path / "page.md").read_text(encoding="utf-8")):
        assert "skipped: no forecast/ETTh1.csv.gz in the folder of public data: name the folder in FINML_TEST_DATA" in said


def test_a_measurement_that_fails_stops_no_other_and_ends_the_command_with_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(seed: int) -> Reached:
        raise ValueError(f"seed {seed} is no good")

    assert command(rows=[row("broken", broken), row("good", bar=at_most(1))]) == 1
    out = capsys.readouterr().out
    assert "failed: ValueError: seed 0 is no good" in out
    assert "holds" in out


def test_a_stopped_run_goes_on_and_changed_code_is_measured_anew(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[int] = []

    def measure(seed: int) -> Reached:
        asked.append(seed)
        return Reached(seed / 10)

    rows = [row(measure=measure, seeds=3)]
    command("--seeds", "2", rows=rows)
    assert "2 of 3" in capsys.readouterr().out
    with (home / "quality.jsonl").open("a") as file:
        file.write('{"row": "one", "se\n')
    command(rows=rows)
    assert asked == [0, 1, 2]
    assert command("--kept", rows=rows) == 0
    assert "0.1000 ± 0.058" in capsys.readouterr().out
    monkeypatch.setattr(_run, "digest", lambda module: "f" * 16)
    command(rows=rows)
    command("--fresh", "--seeds", "1", rows=rows)
    assert asked == [0, 1, 2, 0, 1, 2, 0]
    assert len(Journal.of_home().kept({"one": "f" * 16})) == 3


def test_a_long_row_waits_until_it_is_named_and_an_unknown_name_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("short"), row("long", on_request=True)]
    command(rows=rows)
    assert "long" not in capsys.readouterr().out
    command("--only", "long", rows=rows)
    assert "short" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="unknown: nothing; there are long, short, tables"):
        command("--only", "nothing", rows=rows)


def test_the_command_measures_in_processes_of_its_own(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    line = [sys.executable, "-m", "benchmarks.quality", "--only", "tabm_parity", "--workers", "1", "--out", str(page)]
    done = subprocess.run(line, cwd=ROOT, env={"FINML_HOME": str(tmp_path), "PATH": ""}, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "[1/1] TabM" in done.stderr
    assert "holds" in done.stdout
    assert "not run" in page.read_text(encoding="utf-8")


def test_informers_windows_end_before_what_they_forecast_and_name_their_channel() -> None:
    hours = 20 * informer.MONTH
    values = np.arange(hours, dtype=np.float64)
    frame = pd.DataFrame({"date": pd.date_range("2016-07-01", periods=hours, freq="h"), "a": values, "b": 1 - values})
    parts = informer.cut(frame)
    assert [len(part) for part in parts] == [2 * (months * informer.MONTH - lost) for months, lost in ((12, 71), (4, 23), (4, 23))]
    test = parts.test
    last = len(test) // 2
    scale = values[: 12 * informer.MONTH].std()
    for sample, sign in ((0, 1), (last, -1)):
        newest = test.panel[test.series[sample], test.end[sample]]
        np.testing.assert_allclose((test.target[sample] - newest[0]) * scale, sign * np.arange(1, informer.AHEAD + 1), rtol=1e-2)
        assert test.static[test.series[sample]].tolist() == [float(sign > 0), float(sign < 0)]
    assert test.end[0] == 16 * informer.MONTH - 1
    assert (parts.train.until < parts.valid.until.min()).all()
    assert test.known.shape == (2, hours + informer.AHEAD, 4)


def test_applicants_are_read_as_the_public_file_has_them(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(0), 200
    limit, defaulted = rng.lognormal(11, 1, n).round(), rng.random(n) < 0.2
    frame = pd.DataFrame({"ID": range(1, n + 1), "LIMIT_BAL": limit, "SEX": rng.integers(1, 3, n), "EDUCATION": rng.choice([0, 2, 6], n), "MARRIAGE": 1})
    frame[credit.TARGET] = defaulted.astype(int)
    frame.to_csv(tmp_path / "clients.csv", index=False)
    own = credit.read(tmp_path / "clients.csv")
    assert own.sizes == (2, 3, 1)
    np.testing.assert_array_equal(own.numbers[:, 0], limit)
    seen, test = own.split()
    assert len(test) == 40
    assert not set(seen) & set(test)
    assert own.table.target[:, 0].tolist() == defaulted.tolist()
    assert own.signature.category_sizes == own.sizes


def test_a_package_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.quality import tables

    monkeypatch.setitem(sys.modules, "tabm", None)
    with pytest.raises(NoData, match="the package tabm is not installed"):
        tables.difference("tabm", 0)
