"""The probes: fixed, and answered by what a use case's cheapest baseline learned from other rows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "conformance"))

from subjects import BUILT, fitted, sample

from bento.gateway import probe
from finml_models.core import artifact, catalog, serving
from finml_models.core.spec import Kind
from finml_models.core.task import Task


@pytest.mark.parametrize("task", BUILT, ids=lambda task: task.id())
def test_a_baseline_of_every_use_case_answers_the_probe_as_often_as_it_is_asked_alike(task: type[Task], tmp_path: Path) -> None:
    pair = next(pair for pair in catalog.contenders(task.id()) if pair.entry.id == task.baselines[0])
    batch = sample(pair).train
    reference = serving.training_range(batch) if batch.kind is not Kind.MARKET else serving.training_range(sample(pair).test)
    folder = artifact.save(tmp_path, fitted(pair), task=task.id(), entry=pair.entry.id, fingerprint={"id": "0"}, reference=reference)
    held = artifact.load(folder)
    first, second = (serving.answer(held, probe.request(task.id(), held.record.signature.actions)).model_dump_json() for _ in range(2))
    assert first == second


def test_the_probe_is_the_same_in_every_process() -> None:
    code = "from bento.gateway import probe; print(probe.request('fraud_detection').model_dump_json(exclude_none=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == probe.request("fraud_detection").model_dump_json(exclude_none=True)
