"""A small `make size-and-power`: no test rejects a true null much more or less often than it says, and each finds its alternative."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import size_and_power
from benchmarks.simulations import EXPERIMENTS, Experiment, Group, measure

TESTS = [e for e in EXPERIMENTS.values() if e.group is Group.TEST]
RUNS = 300
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def rejecting(null: float, alternative: float) -> Experiment:
    """A test whose size and power are known."""
    return Experiment(
        name="known",
        test="of nothing",
        null="nothing",
        alternative="something",
        simulate=lambda rng, runs, real: rng.random(runs) < (alternative if real else null),
    )


@pytest.mark.parametrize("experiment", TESTS, ids=lambda experiment: experiment.name)
def test_no_size_or_power_is_out_of_its_band_beyond_what_few_runs_explain(experiment: Experiment) -> None:
    found = measure(experiment, RUNS, seed=1)
    assert found.size.compatible(experiment.size), found.size
    assert found.power is None or found.power.compatible(experiment.power), found.power


@pytest.mark.parametrize(("null", "alternative"), [(0.2, 0.9), (0.0, 0.9), (0.05, 0.4)])
def test_few_runs_convict_a_test_that_is_plainly_wrong(null: float, alternative: float) -> None:
    found = measure(rejecting(null, alternative), 1000, seed=0)
    assert found.missed
    assert not (found.size.compatible((0.03, 0.07)) and found.power is not None and found.power.compatible((0.7, 1.0)))


@pytest.mark.parametrize(("null", "code"), [(0.05, 0), (0.1, 1)])
def test_a_missed_bar_ends_the_command_with_1(null: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(size_and_power, "EXPERIMENTS", {"known": rejecting(null, 0.9)})
    assert size_and_power.main(["--runs", "4000"]) == code
    assert ("MISSED" in capsys.readouterr().out) == (code == 1)


def test_an_experiment_repeats_itself_and_does_not_depend_on_the_others() -> None:
    both = size_and_power.run(["mcnemar", "kupiec-500-1"], runs=500, seed=7)
    alone = size_and_power.run(["mcnemar"], runs=500, seed=7)
    assert both[0] == alone[0]
    assert alone != size_and_power.run(["mcnemar"], runs=500, seed=8)


def test_the_interval_of_a_mean_that_is_no_share_is_that_of_its_standard_error() -> None:
    values = np.random.default_rng(0).random(400)
    found = measure(Experiment(name="mean", test="", null="", simulate=lambda rng, runs, real: values[:runs]), 250, seed=0).size
    assert found.value == pytest.approx(values[:250].mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values[:250].std(ddof=1) / np.sqrt(250))


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        size_and_power.main(["--only", "kupiec"])
    assert stopped.value.code == 2
    assert "kupiec-500-1" in capsys.readouterr().err


def test_the_guide_shows_every_experiment_as_the_registry_words_it() -> None:
    section = GUIDE.read_text(encoding="utf-8").partition("\n## Size and power\n")[2].partition("\n## ")[0]
    rows = {line.split("`")[1]: line for line in section.splitlines() if line.startswith("| `")}
    assert list(rows) == sorted(EXPERIMENTS, key=lambda name: list(Group).index(EXPERIMENTS[name].group))
    for name, row in rows.items():
        e = EXPERIMENTS[name]
        assert all(words in row for words in (e.test, e.null, e.alternative, e.checks if e.group is Group.TEST else e.reason))
