"""From rows of any source to a raw news frame, with a count of what was repaired."""

from __future__ import annotations

import pandas as pd

from finml_models.core.errors import DataError

from .schema import CLASSES, check
from .wording import normalised


def clean(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """(the raw frame, repairs by name) of rows with `entity`, `time` and `text`, and maybe `label`, `source` and `known_at`.

    Left out: rows without a text, and copies, of which the first published stays: a copy in the test period would be scored by
    memory. Labels are lower-cased. Times with a zone become UTC. Raises `DataError` for missing columns and labels that are no class.
    """
    if missing := {"entity", "time", "text"} - set(frame.columns):
        raise DataError(f"columns {sorted(missing)} are missing, there are {sorted(frame.columns)}: name them in the dataset's settings")
    rows = pd.DataFrame({"entity": frame["entity"].astype("str"), "time": _moments(frame["time"])})
    rows["text"] = pd.array([normalised(text) if isinstance(text, str) else "" for text in frame["text"]], dtype="str")
    if "label" in frame.columns:
        rows["label"] = frame["label"].astype("str").str.strip().str.lower()
        if wrong := sorted(set(rows["label"].dropna()) - set(CLASSES)):
            raise DataError(f"label: {wrong[:5]} are none of {CLASSES}: map them in the source")
    if "source" in frame.columns:
        rows["source"] = frame["source"].astype("str")
    rows["known_at"] = _moments(frame["known_at"]) if "known_at" in frame.columns else rows["time"]
    empty = rows["text"] == ""
    rows = rows[~empty].sort_values(["time", "entity"], kind="stable")
    copies = rows["text"].duplicated()
    rows = rows[~copies].sort_values(["entity", "time"], kind="stable").reset_index(drop=True)
    return check(rows), {"empty_texts": int(empty.sum()), "copies": int(copies.sum())}


def _moments(times: pd.Series) -> pd.Series:
    moments = pd.to_datetime(times, utc=True)
    return moments.dt.tz_localize(None).astype("datetime64[us]")
