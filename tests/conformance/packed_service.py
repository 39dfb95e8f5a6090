"""A pair's artifact, and the service around it in this process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from subjects import fitted, sample

from bento.api import Api
from bento.guard import Guard
from finml_models.core import artifact, serving
from finml_models.core.artifact import Artifact
from finml_models.core.catalog import Pair


def packed(pair: Pair, root: Path) -> Artifact:
    """The pair's quickly trained estimator, saved and loaded again."""
    reference = serving.training_range(sample(pair).train)
    folder = artifact.save(root, fitted(pair), task=pair.task.id(), entry=pair.entry.id, fingerprint={"id": "0"}, reference=reference)
    return artifact.load(folder)


def post(held: Artifact, body: dict[str, Any], path: str = "/predict") -> httpx.Response:
    """One request to the service of an artifact."""
    api = Api()
    api.artifact = held

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Guard(api.router)), base_url="http://127.0.0.1") as client:
            return await client.post(path, json=body)

    return asyncio.run(ask())
