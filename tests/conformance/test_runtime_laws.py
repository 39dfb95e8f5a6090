"""Laws of what runs a deployed model: the exported network says what the trained one says, and arrays what frames say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_service import packed
from subjects import ESTIMATORS, REQUESTS, every_task, fitted, raw, sample, take

from finml_models.core import runtime
from finml_models.core.catalog import Pair
from finml_models.core.estimator import Estimator
from finml_models.core.runtime import TOLERANCE, Exportable
from finml_models.core.spec import Kind
from finml_models.core.task import Task
from finml_models.training.encoder import NumericEncoder
from finml_models.training.export import difference, exported
from finml_models.training.exported import tensors_of

NETWORKS = [pair for pair in ESTIMATORS if issubclass(pair.entry.estimator(), Exportable)]
QUICK = {"gru", "tabm", "gat", "vae"}
"""Exported at each check, one a family; the exporter takes some ten seconds for each, so the others are slow tests."""
every_network = pytest.mark.parametrize("pair", [pytest.param(p, id=p.entry.id, marks=() if p.entry.id in QUICK else pytest.mark.slow) for p in NETWORKS])
TORCH_ANSWERS = {
    "tabnet": "the library's batch norm cuts a batch by its size while it is traced",
    "longformer": "texts lie one behind the other, so that shapes follow from what they hold",
}
"""Networks that no exporter takes, each with the reason; one that is exported after all fails here."""


@every_network
def test_an_exported_network_says_what_the_trained_one_says(pair: Pair, tmp_path: Path) -> None:
    held = packed(pair, tmp_path / "artifacts")
    export, network = exported(held)
    assert (network is None) == bool(export.reason) == (pair.entry.id in TORCH_ANSWERS), export.reason
    runtime.publish(tmp_path / "onnx" / held.version, export, network)
    assert runtime.attach(held, tmp_path / "onnx") == export.reason
    rows: Any = sample(pair).test
    for size in (1, 2, 7):
        asked = take(rows, slice(-size, None))
        assert difference(fitted(pair).predict(asked), held.estimator.predict(asked)) <= TOLERANCE
    if pair.kind is Kind.WINDOWS:
        # Cut by the start of their series, they were no part of the export: the trained network answers.
        cut = dataclasses.replace(asked, end=np.minimum(asked.end, asked.length // 2))
        assert difference(fitted(pair).predict(cut), held.estimator.predict(cut)) == 0


@pytest.mark.parametrize("pair", NETWORKS, ids=lambda pair: pair.entry.id)
def test_rows_that_need_no_minibatch_reach_the_exported_network_as_the_same_bits(pair: Pair) -> None:
    estimator: Any = fitted(pair)
    rows: Any = sample(pair).test
    for size in (1, 2, 7):
        asked = take(rows, slice(-size, None))
        found = estimator._encoder.arrays(asked)
        whole = asked.end.min() >= asked.length - 1 if pair.kind is Kind.WINDOWS else pair.kind is Kind.TABLE
        assert (found is not None) == (whole and type(estimator._encoder) is NumericEncoder)
        if found is None:
            continue
        expected = {name: tensor.numpy() for name, tensor in tensors_of(estimator.parts(asked)[1]).items()}
        assert list(found) == list(expected)
        assert all(same(found[name], array) for name, array in expected.items())
    if pair.kind is Kind.WINDOWS:
        assert estimator._encoder.arrays(dataclasses.replace(asked, end=np.minimum(asked.end, asked.length // 2))) is None


@every_task
def test_the_newest_rows_of_a_request_are_those_of_the_frames_that_training_takes(task: type[Task]) -> None:
    use_case = task()
    body = json.dumps(REQUESTS[task.source()](raw(task.source()), use_case.history + 3))
    request = task.request.model_validate_json(body)
    for kind in task.kinds:
        expected, known = Task.newest(use_case, request, kind)
        # A body that is read in a way of the use case's own is the same request.
        for asked in (request, task.read(body.encode())):
            batch, newest = use_case.newest(asked, kind)
            assert dict(newest) == dict(known)
            if kind is not Kind.MARKET:
                assert same(batch, expected)


def test_only_networks_are_exportable() -> None:
    assert issubclass(Estimator, Exportable) is False
    assert {"gru", "tft", "gcn", "finbert", "tabm"} <= {pair.entry.id for pair in NETWORKS}


def same(one: Any, other: Any) -> bool:
    """Whether two batches hold the same bits."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes() if one.dtype != object else list(one) == list(other)
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, part.name), getattr(other, part.name)) for part in dataclasses.fields(one))
    return bool(one == other)
