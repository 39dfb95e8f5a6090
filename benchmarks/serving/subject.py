"""A state folder of its own with released versions of one small network, one of them deployed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core import artifact, catalog, runtime, serving
from finml_models.core.estimator import TrainingConfig
from finml_models.core.home import artifacts, home

TASK, ENTRY = "volatility_forecasting", "gru"


@dataclass(frozen=True)
class Subject:
    """The versions, the first of which is deployed, and what it is asked: raw bars, or the standardised window that the network reads of them."""

    versions: tuple[str, ...]
    bars: bytes
    window: bytes
    shape: tuple[int, int]

    @property
    def folder(self) -> Path:
        """The deployed version's artifact."""
        return artifacts(TASK, ENTRY) / self.versions[0]

    @property
    def network(self) -> Path:
        """Its network as ONNX."""
        return home() / "onnx" / self.versions[0] / runtime.NETWORK


def prepared(versions: int) -> Subject:
    """Train one network for an epoch, export it, release it as so many versions, which share no memory, and deploy one. Under `FINML_HOME`.

    Raises `RuntimeError` where the network was not exported.
    """
    raw = walk()
    task = catalog.task(TASK)()
    pair = catalog.pair(f"{TASK}-{ENTRY}")
    batch = task.view(pair.kind, task.features(raw), task.target(raw))
    rows = np.arange(len(batch))
    estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(batch), TrainingConfig(max_epochs=1, device="cpu"))
    estimator.fit(batch.take(rows[:-200]), batch.take(rows[-200:]))
    reference = serving.training_range(batch)
    folders = [
        artifact.save(artifacts(TASK, ENTRY), estimator, task=TASK, entry=ENTRY, fingerprint={"id": f"{number:064x}"}, reference=reference)
        for number in range(versions)
    ]
    exported(folders)
    ledger = Ledger.open()
    for folder in folders:
        path = folder.relative_to(home()).as_posix()
        ledger.record_release(
            task=TASK, entry=ENTRY, version=folder.name, artifact=path, verdict="released", gate_passed=True, headline={}, fingerprint={"id": "0" * 64}
        )
    Deployments(ledger).deploy(TASK, Slot(entry=ENTRY, version=folders[0].name), actor="benchmark")
    ledger.close()
    bars = json.dumps({"rows": [{**row, "time": row["time"].date().isoformat()} for row in raw.tail(task.history).to_dict("records")]}).encode()
    return Subject(tuple(folder.name for folder in folders), bars, *window_of(folders[0], bars))


def exported(folders: list[Path]) -> None:
    """The one network as the export of every version."""
    from finml_models.training.export import exported as export

    found, network = export(artifact.load(folders[0]))
    if network is None:
        raise RuntimeError(f"the network was not exported: {found.reason}")
    for folder in folders:
        runtime.publish(home() / "onnx" / folder.name, found.model_copy(update={"version": folder.name}), network)


def window_of(folder: Path, bars: bytes) -> tuple[bytes, tuple[int, int]]:
    """What the network reads of a request, as its peers are asked it, and its shape."""
    held = artifact.load(folder)
    batch, _ = serving.asked(held, catalog.task(TASK).request.model_validate_json(bars))
    _, rows = held.estimator.parts(batch)
    window = rows.past[0].tolist()
    return json.dumps({"window": window}).encode(), (len(window), len(window[0]))


def offline(subject: Subject) -> dict[str, object]:
    """What the trained network answers to the bars, in torch and without a server."""
    request = catalog.task(TASK).request.model_validate_json(subject.bars)
    return serving.answer(artifact.load(subject.folder), request).model_dump(mode="json")


def walk(sessions: int = 700) -> pd.DataFrame:
    """A raw market frame: one random walk."""
    random = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, sessions)))
    first = close * np.exp(random.normal(0, 0.003, sessions))
    high, low = np.maximum(first, close) * 1.004, np.minimum(first, close) * 0.996
    times = pd.bdate_range("2015-01-02", periods=sessions).astype("datetime64[us]")
    return pd.DataFrame({"entity": "walk", "time": times, "open": first, "high": high, "low": low, "close": close, "volume": 1e6})
