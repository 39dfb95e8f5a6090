"""A small fitted baseline, the rows to ask it with, and the guarded service around it, all in this process."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from bento.api import Api
from bento.guard import Guard
from finml_models.core import artifact, catalog, serving

TASK, ENTRY = "volatility_forecasting", "log_har"
FINGERPRINT = {"id": "f" * 64}


@cache
def bars(sessions: int = 500) -> pd.DataFrame:
    """A raw market frame of two random walks."""
    random = np.random.default_rng(7)
    times = pd.bdate_range("2015-01-02", periods=sessions).astype("datetime64[us]")
    frames = []
    for name in ("aaa", "bbb"):
        close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, sessions)))
        first = close * np.exp(random.normal(0, 0.003, sessions))
        high, low = np.maximum(first, close) * 1.004, np.minimum(first, close) * 0.996
        frames.append(pd.DataFrame({"entity": name, "time": times, "open": first, "high": high, "low": low, "close": close, "volume": 1e6}))
    return pd.concat(frames, ignore_index=True)


def trained(root: Path) -> Path:
    """The folder of a fitted artifact."""
    pair = catalog.pair(f"{TASK}-{ENTRY}")
    task = pair.task()
    batch = task.view(pair.kind, task.features(bars()), task.target(bars()))
    rows = np.arange(len(batch))
    estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(batch))
    estimator.fit(batch.take(rows[:-200]), batch.take(rows[-200:]))
    return artifact.save(root, estimator, task=TASK, entry=ENTRY, fingerprint=FINGERPRINT, reference=serving.training_range(batch))


def good_request() -> dict[str, Any]:
    """A request of two assets with 80 sessions each."""
    rows = bars().groupby("entity").tail(80)
    return {"rows": [{**row, "time": row["time"].date().isoformat()} for row in rows.to_dict("records")]}


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    """The good request with one value replaced."""
    request = copy.deepcopy(good_request())
    target: Any = request
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return request


def guarded(folder: Path, **limits: Any) -> Guard:
    """The service without BentoML: the same routes behind the same guard."""
    api = Api()
    api.artifact = artifact.load(folder)
    return Guard(api.router, **limits)


def ask(
    app: Guard,
    content: bytes | str | AsyncIterable[bytes] | None = None,
    *,
    method: str = "POST",
    path: str = "/predict",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """One request; an exception that leaves the app fails the test."""

    async def once() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.request(method, path, content=content, headers={"content-type": "application/json", **(headers or {})})

    return asyncio.run(once())
