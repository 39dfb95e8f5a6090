"""What onnxruntime gains a network, as the Markdown table of docs/serving.md.

    python -m benchmarks.runtimes [--rounds 7]

Of every model the newest artifact under `FINML_HOME` whose export is there or can be made: whether its network is exported, the largest
difference from the trained one, and how many times less processor time `predict` takes for one row, both runtimes in turn, one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median
from typing import Any

from finml_models.core import artifact, catalog, runtime
from finml_models.core.home import home
from finml_models.core.probes import probe
from finml_models.core.runtime import Exportable

CALLS = 100


def newest() -> dict[str, Path]:
    """The newest artifact of each model, by its id."""
    found = sorted((home() / "artifacts").glob("*/*/*"), key=lambda folder: folder.stat().st_mtime)
    return {folder.parent.name: folder for folder in found if folder.parent.name in catalog.models()}


def milliseconds(held: artifact.Artifact, row: Any) -> float:
    """Processor time of a prediction of one row."""
    began = time.process_time()
    for _ in range(CALLS):
        held.estimator.predict(row)
    return (time.process_time() - began) / CALLS * 1e3


def line(folder: Path, rounds: int) -> str:
    """The table's line of an artifact."""
    entry, task = folder.parent.name, folder.parent.parent.name
    trained, served = artifact.load(folder), artifact.load(folder)
    if not isinstance(trained.estimator, Exportable):
        return f"| {entry} | {task} | no: it answers without torch | | |"
    found = runtime.read(runtime.made(folder), folder.name)
    if found is None or (reason := runtime.attach(served)):
        return f"| {entry} | {task} | no: {reason} | | |"
    row = probe(trained.record.signature, trained.reference, 1)
    milliseconds(trained, row), milliseconds(served, row)
    ratios = [milliseconds(trained, row) / milliseconds(served, row) for _ in range(rounds)]
    return f"| {entry} | {task} | yes | {found[0].difference:.1e} | {median(ratios):.1f} × |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print("| model | use case | exported | difference | faster at one row |\n|---|---|---|---|---|")
    for _, folder in sorted(newest().items()):
        print(line(folder, rounds), flush=True)


if __name__ == "__main__":
    main()
