"""A small deployed use case: fitted baselines as releases with reports, requests that they answered, and what came true."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from finml_ledger import Ledger, Slot
from finml_ledger.models import ServedPrediction
from finml_models.core import artifact, catalog, serving
from finml_models.core.home import artifacts, home, reports
from finml_models.evaluation import report as reporting
from finml_models.evaluation.document import DataSection, Resources, TrainingSummary

TASK = "volatility_forecasting"
NOW = datetime(2020, 6, 1, 12, tzinfo=UTC)
SESSIONS, TRAINED = 900, 700


@cache
def bars() -> pd.DataFrame:
    """A raw market frame of three assets whose variance moves slowly."""
    rng = np.random.default_rng(7)
    times = pd.bdate_range("2015-01-02", periods=SESSIONS).astype("datetime64[us]")
    frames = []
    for name in ("aaa", "bbb", "ccc"):
        shocks = rng.standard_normal(SESSIONS)
        log = np.zeros(SESSIONS)
        for day in range(1, SESSIONS):
            log[day] = 0.9 * log[day - 1] + 0.2 * shocks[day]
        close = 100 * np.exp(np.cumsum(0.01 * np.exp(log / 2) * rng.standard_normal(SESSIONS)))
        missing = dict.fromkeys(("open", "high", "low"), np.nan)
        frames.append(pd.DataFrame({"entity": name, "time": times, **missing, "close": close, "volume": np.nan}))
    return pd.concat(frames, ignore_index=True)


def before(session: int) -> pd.DataFrame:
    """The rows of the first sessions."""
    return bars()[bars()["time"] <= bars()["time"].unique()[session - 1]].reset_index(drop=True)


def released(ledger: Ledger, entry: str, *, sessions: int = TRAINED, promised: float = 0.5) -> Slot:
    """Fit a baseline on the first sessions, and record it as a release that passed, with a report that promises about this QLIKE."""
    pair = catalog.pair(f"{TASK}-{entry}")
    task, raw = pair.task(), before(sessions)
    snapshot = f"snapshot{sessions}"
    path = home() / "data" / f"{snapshot}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    raw.to_parquet(path)
    batch = task.view(pair.kind, task.features(raw), task.target(raw))
    rows = np.arange(len(batch))
    estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(batch))
    estimator.fit(batch.take(rows[:-200]), batch.take(rows[-200:]))
    mark = {"id": "f" * 64, "snapshot": snapshot}
    folder = artifact.save(artifacts(TASK, entry), estimator, task=TASK, entry=entry, fingerprint=mark, reference=serving.training_range(batch))
    report = reporting.write(judged(entry, folder.name, promised), (), reports(TASK, entry) / folder.name)
    release = ledger.record_release(
        task=TASK,
        entry=entry,
        version=folder.name,
        artifact=folder.relative_to(home()).as_posix(),
        report=(report / reporting.REPORT_JSON).relative_to(home()).as_posix(),
        verdict="superior",
        gate_passed=True,
        headline={},
        fingerprint=mark,
    )
    return Slot(entry=entry, version=release.version)


def judged(entry: str, version: str, promised: float) -> reporting.Report:
    """A report of simulated forecasts whose QLIKE is about the promised one."""
    pair = catalog.pair(f"{TASK}-{entry}")
    rng, days = np.random.default_rng(3), 300
    names = {name: promised * (1.0 if name == entry else 1.5 + i / 10) for i, name in enumerate(pair.task.baselines)}
    shape = (days, 2, len(pair.task.horizons))
    target = rng.standard_normal(shape)
    frames = {}
    for name, loss in names.items():
        # QLIKE of an error e is about e² / 2.
        point = target + np.sqrt(2 * loss) * np.clip(rng.standard_normal(shape), -2, 2) * 0.8
        index = np.indices(shape)
        frames[name] = pd.DataFrame(
            {
                "entity": np.array(["aaa", "bbb"])[index[1].ravel()],
                "time": (np.datetime64("2012-01-02", "us") + index[0].ravel() * np.timedelta64(1, "D")),
                "fold": index[0].ravel() * 3 // days,
                "seed": 0,
                "horizon": np.array(pair.task.horizons)[index[2].ravel()],
                "target": target.ravel(),
                "point": point.ravel(),
                **{f"q{level:g}": (point + z).ravel() for level, z in zip(pair.task.levels, (-1.6, -0.7, 0.0, 0.7, 1.6), strict=True)},
            }
        )
    return reporting.assess(
        pair,
        frames,
        data=DataSection(dataset="small", snapshot="d" * 16, rows=1, entities=2, first="2012-01-02", last="2012-12-31", repairs={}),
        training=TrainingSummary(profile="fast", seconds=1, fits=1, epochs=None, parameters=None, curve=()),
        resources=Resources(milliseconds=1, megabytes=1),
        fingerprint={"id": "f" * 64},
        version=version,
        reproduce="",
    )


@cache
def asked(session: int, shift: float = 0.0) -> dict[str, Any]:
    """A request about all assets whose newest row is this session; `shift` makes every later return so much larger."""
    rows = before(session + 1).groupby("entity").tail(80)
    closes = rows["close"] * np.exp(shift * rows.groupby("entity").cumcount() * np.where(rows.groupby("entity").cumcount() % 2, 1, -1))
    return {"rows": [{"entity": e, "time": t.date().isoformat(), "close": c} for e, t, c in zip(rows["entity"], rows["time"], closes, strict=True)]}


def answer(slot: Slot, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a version says to it, as the log keeps it."""
    held = _loaded(slot.entry, slot.version, str(home()))
    task = catalog.task(TASK)
    found = serving.answer(held, task.request.model_validate_json(json.dumps(request)))
    return json.loads(found.model_dump_json())


@cache
def _loaded(entry: str, version: str, _home: str) -> artifact.Artifact:
    return artifact.load(artifacts(TASK, entry) / version)


def prediction(number: int, slot: Slot, **facts: Any) -> ServedPrediction:
    """A row of the log; what is not given is that of a quick champion's answer."""
    row = {
        "id": f"{number:08d}",
        "task": TASK,
        "entry": slot.entry,
        "version": slot.version,
        "role": "champion",
        "key": f"k{number}",
        "revision": 1,
        "status": 200,
        "milliseconds": 4.0,
        "request": {},
        "answer": None,
        "error": None,
        "at": NOW + timedelta(seconds=number),
    }
    return ServedPrediction(**(row | facts))


def keep(ledger: Ledger, rows: Iterable[ServedPrediction]) -> None:
    """Write them to the log."""
    with ledger.write() as session:
        session.add_all(rows)
