"""Two years of generated news: headlines, notes and a few documents."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd

from finml_models.datasets.news.synthetic import generate


@cache
def raw() -> pd.DataFrame:
    """A raw frame of news; callers must not change it."""
    return generate(seed=3, texts=1_500).frame


def request(frame: pd.DataFrame, sessions: int | None = None) -> dict[str, Any]:
    """The newest texts as a client would send them; each is one row, so `sessions` means nothing here."""
    del sessions
    newest = frame.tail(12)
    return {
        "rows": [
            {"entity": row.entity, "time": row.time.isoformat() + "Z", "text": row.text} for row in newest[["entity", "time", "text"]].itertuples(index=False)
        ]
    }


def wild(body: dict[str, Any]) -> dict[str, Any]:
    """A request whose last text is longer than any that training saw."""
    *rows, last = body["rows"]
    return {"rows": [*rows, {**last, "text": " ".join([last["text"]] * 300)}]}
