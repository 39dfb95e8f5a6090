"""Only a written waiver releases what the gate refused, and never a suspected leak."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from finml_models.core.errors import DataError
from finml_models.evaluation.verdict import Evidence, GateResult, Waiver, gate, judge, waiver_for

from .conftest import VarianceTask
from .test_verdict import evidence

TODAY = dt.date(2026, 3, 1)
REASON = "Scored once a night in a batch, where fifty milliseconds cost nothing."
FACTS: dict[str, object] = {
    "task": VarianceTask.id(),
    "entry": "gru",
    "gate": "variance/1",
    "checks": ("latency",),
    "reason": REASON,
    "author": "the owner of the nightly batch",
    "date": dt.date(2026, 1, 15),
    "expiry": dt.date(2026, 6, 30),
}


def waiver(**changes: object) -> Waiver:
    return Waiver.model_validate(FACTS | changes)


def slow(**changes: object) -> Evidence:
    """Good in everything but its latency."""
    return evidence(milliseconds=50.0, **changes)


def judged(facts: Evidence, written: Waiver | None) -> GateResult:
    judgement = judge(facts.losses["gru"], facts.losses["log_har"], horizon=5, margin=0.02)
    return gate(VarianceTask, entry="gru", judgement=judgement, evidence=facts, waiver=written, today=TODAY)


def test_without_a_waiver_a_refusal_stands() -> None:
    result = judged(slow(), None)
    assert not result.passed
    assert result.failed == ("latency",)


def test_a_waiver_that_names_what_failed_releases_and_stays_in_sight() -> None:
    result = judged(slow(), waiver())
    assert result.passed
    assert result.passed_by_waiver
    assert result.failed == ("latency",)
    assert result.waiver == waiver()
    # It survives the way into a report and back.
    assert GateResult.model_validate_json(result.model_dump_json()) == result


def test_an_entry_that_passes_needs_no_waiver() -> None:
    result = judged(evidence(), waiver())
    assert result.passed
    assert not result.passed_by_waiver


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"expiry": dt.date(2026, 2, 28)}, "expired on 2026-02-28"),
        ({"date": dt.date(2026, 3, 2)}, "still to come"),
        ({"gate": "variance/0"}, "written for gate variance/0, the gate is variance/1"),
        ({"checks": ("latency", "beauty")}, "no check 'beauty'; it has beats last_value"),
        ({"checks": ("size",)}, "does not name latency, which failed too"),
        ({"entry": "lstm"}, "for .*-lstm, not for"),
    ],
)
def test_a_waiver_that_does_not_hold_is_refused_and_says_why(changes: dict[str, object], message: str) -> None:
    result = judged(slow(), waiver(**changes))
    assert not result.passed
    assert not result.passed_by_waiver
    check = result.checks[-1]
    assert (check.name, check.passed) == ("waiver", False)
    assert re.search(message, check.sentence)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": "because"}, "at least 40 characters"),
        ({"reason": "because" + " " * 60}, "at least 40 characters"),
        ({"expiry": dt.date(2026, 7, 15)}, "must lie between date 2026-01-15 and 2026-07-14"),
        ({"expiry": dt.date(2026, 1, 1)}, "must lie between"),
        ({"checks": ("latency", "leak alarm")}, "leak alarm cannot be waived"),
        ({"checks": ()}, "at least 1 item"),
        ({"author": " "}, "at least 1 character"),
        ({"approved": True}, "Extra inputs"),
        ({"date": "2026-01-15"}, "valid date"),
    ],
)
def test_a_waiver_that_says_too_little_or_too_much_is_none(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        waiver(**changes)


def test_a_suspected_leak_is_not_released_by_any_waiver() -> None:
    result = judged(slow(measured={"rank_ic": 0.5}), waiver())
    assert not result.passed
    assert "leak alarm cannot be waived" in result.checks[-1].sentence


TOML = """
task = "{task}"
entry = "gru"
gate = "variance/1"
checks = ["latency"]
reason = "{reason}"
author = "the owner of the nightly batch"
date = 2026-01-15
expiry = 2026-06-30
"""


def test_a_waiver_is_found_by_the_name_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FINML_WAIVERS", raising=False)
    assert waiver_for(VarianceTask.id(), "gru") is None
    (tmp_path / "waivers").mkdir()
    (tmp_path / "waivers" / f"{VarianceTask.id()}-gru.toml").write_text(TOML.format(task=VarianceTask.id(), reason=REASON))
    assert waiver_for(VarianceTask.id(), "gru") == waiver()
    monkeypatch.setenv("FINML_WAIVERS", str(tmp_path / "elsewhere"))
    assert waiver_for(VarianceTask.id(), "gru") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task = ", "not TOML"),
        (TOML.format(task="conftest", reason="too short"), r"t-gru\.toml: .*reason: .*at least 40.*correct the file"),
        (TOML.format(task="another", reason=REASON), "it says another-gru"),
        ("checks = 1", "checks: .*tuple"),
    ],
)
def test_a_file_that_is_no_waiver_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t-gru.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        waiver_for("t", "gru", tmp_path)
