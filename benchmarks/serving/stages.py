"""What a prediction's time is made of. `python -m benchmarks.serving.stages`

The stages of one request in their order, one request after the other in this process, so that each finds the caches as it does when it
serves; the lower quartile of microseconds, since whoever else is on the machine only adds. HTTP, routing and counting are not in it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np
import orjson

from bento.gateway.pool import Version
from bento.gateway.writer import Pending, Writer
from finml_ledger import Ledger
from finml_ledger.predictions import PredictionLog
from finml_models.core import artifact, catalog, runtime, serving
from finml_models.tasks._market import request_rows

from . import subject
from .subject import ENTRY, TASK, Subject

REQUESTS = 2000
ROWS = 200
"""Of a batch of the log."""
Stages = dict[str, list[float]]


def stages(chosen: Subject) -> Iterator[tuple[str, float]]:
    """Name and microseconds of each stage."""
    held = artifact.load(chosen.folder)
    if reason := runtime.attach(held):
        raise RuntimeError(reason)
    task = catalog.task(TASK)()
    estimator: Any = held.estimator
    run, network = estimator._exported._run, [0.0]  # noqa: SLF001 - the one place that knows when the network begins and ends

    def timed(arrays: Any) -> Any:
        began = time.perf_counter()
        found = run(arrays)
        network[0] = time.perf_counter() - began
        return found

    estimator._exported._run = timed  # noqa: SLF001
    seen: Stages = {}

    def stage(name: str, work: Callable[[], Any], less: float = 0.0) -> tuple[Any, float]:
        began = time.perf_counter()
        done = work()
        seconds = time.perf_counter() - began
        seen.setdefault(name, []).append(seconds - less)
        return done, seconds

    def one_request() -> None:
        _, decoded = stage("JSON decoded", lambda: orjson.loads(chosen.bars))
        request, _ = stage("checked against the schema", lambda: type(task).read(chosen.bars), less=decoded)
        _, ruled = stage("rules of market data", lambda: request_rows(request, history=task.history))
        (batch, warnings), _ = stage("features, window, compared with training", lambda: serving.asked(held, request), less=ruled)
        forecast, whole = stage("scaled and calibrated", lambda: estimator.predict(batch))
        seen["scaled and calibrated"][-1] = whole - network[0]
        seen.setdefault("network", []).append(network[0])
        stage("answer checked and encoded", lambda: task.respond(batch, forecast, version=held.version, warnings=warnings).model_dump_json())
        stage("for comparison: the bare server's JSON and array", lambda: np.array([json.loads(chosen.window)["window"]], np.float32))

    for _ in range(REQUESTS):
        one_request()
    yield from ((name, quantiles(values, n=4)[0] * 1e6) for name, values in seen.items())
    yield "a row of the log", min(logged(chosen) for _ in range(5))


def logged(chosen: Subject) -> float:
    """Microseconds of processor time that a row of the log takes."""
    ledger = Ledger.open()
    writer = Writer(PredictionLog(ledger), most=ROWS, most_bytes=1e9, keep=10**6)
    version, at = Version(TASK, ENTRY, chosen.versions[0]), datetime.now(UTC)
    for _ in range(ROWS):
        writer.put(Pending(f"{time.time_ns():032x}", version, "champion", "walk", 1, 200, 1.0, chosen.bars, b"{}", None, at, plain=True))
    began = time.thread_time()
    writer.flush()
    seconds = time.thread_time() - began
    ledger.close()
    return seconds / ROWS * 1e6


def main() -> None:
    """Print them."""
    with tempfile.TemporaryDirectory(prefix="finml-stages-") as folder:
        os.environ |= {"FINML_HOME": str(Path(folder) / "home"), "OMP_NUM_THREADS": "1"}
        for name, microseconds in stages(subject.prepared(1)):
            print(f"{name:<52}{microseconds:8.0f} µs", flush=True)


if __name__ == "__main__":
    main()
