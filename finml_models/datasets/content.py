"""The identity of a raw frame's content, whatever its kind."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype


def content_hash(frame: pd.DataFrame) -> str:
    """sha256 of a raw frame in hexadecimal: of its values by (entity, time), not of a file's bytes.

    Equal content gives equal hashes whatever the row order, the format and the machine; one changed value gives another hash.
    """
    ordered = frame.sort_values(["entity", "time"], ignore_index=True)
    digest = hashlib.sha256(json.dumps([list(frame.columns), len(frame)]).encode())
    for name in ordered.columns:
        column = ordered[name]
        if is_datetime64_any_dtype(column.dtype):
            digest.update(column.to_numpy("datetime64[us]").astype("<i8").tobytes())
        elif is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype):
            values = column.to_numpy("<f8") + 0.0  # -0.0 and 0.0 are one value
            digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())  # and so are all NaN
        else:
            digest.update(json.dumps([None if pd.isna(value) else str(value) for value in column]).encode())
    return digest.hexdigest()


def snapshot_of(kind: str, frame: pd.DataFrame) -> str:
    """The snapshot of a raw frame of a kind, as a dataset of it has; a market frame's leaves out the columns that it may lack."""
    if kind == "market":
        from .market.snapshot import snapshot

        return snapshot(frame)
    return content_hash(frame)
