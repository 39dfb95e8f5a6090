"""The identity of a market frame's content."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd

from .clean import COLUMNS, OPTIONAL, VALUES


def snapshot(frame: pd.DataFrame) -> str:
    """sha256 of a raw market frame in hexadecimal: of its values in canonical order and encoding, not of a file's bytes.

    Equal content gives equal hashes whatever the row order, the format and the machine; one changed value gives another hash.
    """
    codes, entities = pd.factorize(frame["entity"], sort=True)
    times, known = frame["time"].to_numpy(dtype="datetime64[us]"), frame["known_at"].to_numpy(dtype="datetime64[us]")
    order = np.lexsort((times, codes))
    # A column that is not there leaves no trace: the frames from before it existed keep their hashes.
    absent = OPTIONAL - set(frame.columns)
    digest = hashlib.sha256(json.dumps([[name for name in COLUMNS if name not in absent], list(map(str, entities)), len(frame)]).encode())
    for whole in (codes, times.view("int64"), known.view("int64")):
        digest.update(whole[order].astype("<i8").tobytes())
    for name in (name for name in VALUES if name not in absent):
        values = frame[name].to_numpy(dtype="<f8")[order] + 0.0  # -0.0 and 0.0 are one value
        digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())  # and so are all NaN
    return digest.hexdigest()
