"""What does a prediction over HTTP cost? (`make bench-serving`)

    python -m benchmarks.serving [--seconds 60] [--rounds 5] [--peer PYTHON] [--json]

Processor time of the server's processes a request, over `REQUESTS` sequential requests on one connection; candidates take turns, and
the median of the rounds counts. Ours take raw bars, check them and compute features; all others are given the window that comes of
it, so every ratio counts that work against us. `--peer` names an interpreter that has mlflow and onnxruntime. Then answers beside the
trained network's, latency at 1 and at 32 clients with failures, memory of further loaded versions, and the catalogue over HTTP.
Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from finml_models.core.artifact import WEIGHTS
from finml_models.core.runtime import TOLERANCE

from . import candidates, subject
from .load import Question, answer, ask, cost, press, unique_bytes
from .subject import ENTRY, TASK, Subject

REQUESTS = 500
RAW, PEER = 3.0, 0.5
CLIENTS = 32
VERSIONS = 18
MEGABYTE = 2**20
MORE_BYTES = 2 * MEGABYTE
ALL_VERSIONS = 1.3
CATALOGUE = 1.5


@dataclass(frozen=True)
class Line:
    """One measured figure; without a bar it is for information."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def held(self) -> bool:
        """Whether the bar is held, or there is none."""
        return self.bar is None or self.value <= self.bar

    def __str__(self) -> str:
        told = "" if self.bar is None else f"bar {self.bar:<8.3g}{'held' if self.held else 'MISSED'}"
        return f"{self.name:<62}{self.value:>12.4g} {self.unit:<4}  {told}"


def costs(questions: dict[str, Question], rounds: int) -> Iterator[Line]:
    """Processor time a request of each candidate, and the ratios that have bars."""
    for question in questions.values():
        cost(question, 100)
    found: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(rounds):
        for name, question in questions.items():
            found[name].append(cost(question, REQUESTS))
    yield from (Line(f"processor time a request: {name}", median(values), "ms") for name, values in found.items())
    bars = {"raw ASGI + onnxruntime": RAW, "BentoML's default": PEER, "MLflow": PEER}
    for ours in ("gateway", "bento"):
        for name in (name for name in bars if name in found):
            ratio = median(one / other for one, other in zip(found[ours], found[name], strict=True))
            yield Line(f"{ours} / {name}", ratio, "", bars[name] if ours == "gateway" else None)


def difference(question: Question, chosen: Subject) -> Line:
    """The largest difference of an answer's numbers from the trained network's, in units of the larger of 1 and the number."""
    one, other = (dict(leaves(document)) for document in (subject.offline(chosen), json.loads(answer(question))))
    if one.keys() != other.keys():
        return Line("an answer beside the trained network's", float("inf"), "", TOLERANCE)
    gaps = (abs(a - b) / max(1.0, abs(a)) if isinstance(a := one[path], float) else float(a != b) for path, b in other.items())
    return Line("an answer beside the trained network's", max(gaps), "", TOLERANCE)


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in a document that has no parts."""
    parts = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else None
    if parts is None:
        yield path, document
    else:
        for key, part in parts:
            yield from leaves(part, f"{path}/{key}")


def pressed(question: Question, seconds: float) -> Iterator[Line]:
    """Latency and failures at one client and at many."""
    for clients in (1, CLIENTS):
        seen = asyncio.run(press(question, clients, seconds))
        yield Line(f"{clients} client(s) for {seconds:g} s: answers a second", len(seen.seconds) / seconds, "1/s")
        yield Line(f"{clients} client(s): p50", seen.quantile(0.5), "ms")
        yield Line(f"{clients} client(s): p99", seen.quantile(0.99), "ms")
        yield Line(f"{clients} client(s): failures", len(seen.failures), "", 0)


def memory(question: Question, chosen: Subject) -> Iterator[Line]:
    """What each further loaded version adds to the gateway's process."""
    first = unique_bytes(question.pid)
    with httpx.Client(base_url=f"http://127.0.0.1:{question.port}", timeout=60, trust_env=False) as client:
        for version in chosen.versions[1:]:
            client.post("/versions/prepare", json={"task": TASK, "entry": ENTRY, "version": version}).raise_for_status()
    last = unique_bytes(question.pid)
    weights = (chosen.folder / WEIGHTS).stat().st_size
    more = (last - first) / (len(chosen.versions) - 1)
    yield Line("memory of the gateway with one version", first / MEGABYTE, "MB")
    yield Line(
        f"one more version of {len(chosen.versions)}, beyond its weights of {weights / MEGABYTE:.2f} MB",
        (more - weights) / MEGABYTE,
        "MB",
        MORE_BYTES / MEGABYTE,
    )
    yield Line(f"{len(chosen.versions)} versions / one", last / first, "", ALL_VERSIONS)


def catalogue(rounds: int) -> Iterator[Line]:
    """The list of models beside a constant, p50."""
    with candidates.catalogue() as listed, candidates.constant() as floor:
        if listed is None:
            return
        asyncio.run(ask(listed, 100))
        found = [[asyncio.run(ask(question, REQUESTS)).quantile(0.5) for question in (listed, floor)] for _ in range(rounds)]
    yield Line("catalogue over HTTP: p50", median(one for one, _ in found), "ms")
    yield Line("catalogue / a constant of FastAPI, p50", median(one / other for one, other in found), "", CATALOGUE)


def measured(seconds: float, rounds: int, peer: str | None, folder: Path) -> Iterator[Line]:
    """Everything, line by line."""
    chosen = subject.prepared(VERSIONS)
    with ExitStack() as running:
        started = {
            "gateway": candidates.gateway(chosen),
            "bento": candidates.service(chosen, folder / "bentoml"),
            "raw ASGI + onnxruntime": candidates.raw(chosen),
            "BentoML's default": candidates.default(chosen, folder / "default"),
            **({} if peer is None else {"MLflow": candidates.mlflow(chosen, folder / "mlflow", peer)}),
        }
        questions = {name: running.enter_context(candidate) for name, candidate in started.items()}
        yield from costs(questions, rounds)
        yield difference(questions["gateway"], chosen)
    # Alone from here on: a busy neighbour would be in its latency.
    with candidates.gateway(chosen) as question:
        yield from pressed(question, seconds)
    with candidates.gateway(chosen) as question:
        asyncio.run(ask(question, REQUESTS))
        yield from memory(question, chosen)
    yield from catalogue(rounds)


def main(arguments: list[str] | None = None) -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load at 1 and at 32 clients each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has mlflow and onnxruntime")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    lines = []
    with tempfile.TemporaryDirectory(prefix="finml-serving-") as folder:
        os.environ |= {"FINML_HOME": str(Path(folder) / "home"), "FINML_GATEWAY_VERSIONS": str(VERSIONS + 2)}
        for line in measured(given.seconds, given.rounds, given.peer, Path(folder)):
            lines.append(line)
            if not given.json:
                print(line, flush=True)
    held = all(line.held for line in lines)
    if given.json:
        print(json.dumps({"lines": [{**asdict(line), "held": line.held} for line in lines], "ok": held}, allow_nan=False))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
