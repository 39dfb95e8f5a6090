"""Files and tables as the frame that `clean` takes: canonical column names, an index that holds the source's row numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from finml_models.core.errors import DataError
from finml_models.datasets import reading
from finml_models.datasets.spec import Columns, EmbeddedSpec, MarketSource
from finml_models.datasets.times import in_zone


def read(spec: MarketSource, folder: Path) -> pd.DataFrame:
    """The rows of a dataset, not yet cleaned; `folder` is the settings file's. Raises `DataError`."""
    if isinstance(spec, EmbeddedSpec):
        from . import embedded

        return embedded.read(spec.parts)
    whole = reading.table(spec, folder, text=(spec.columns.time, spec.columns.entity))
    frame = _long(whole, spec.columns, spec.entity) if spec.layout == "long" else _wide(whole, spec.columns.time)
    return frame if spec.time_zone is None else frame.assign(time=in_zone(frame["time"], spec.time_zone))


def _long(table: pd.DataFrame, columns: Columns, entity: str | None) -> pd.DataFrame:
    """The named columns under their canonical names; a source of one asset takes the name `entity` instead of a column."""
    names = {canonical: source for canonical, source in columns if source is not False and (canonical != "entity" or entity is None)}
    required = {"entity", "time", "close"} | columns.model_fields_set
    absent = [f"{canonical} = {source!r}" for canonical, source in names.items() if canonical in required and source not in table.columns]
    if absent:
        one = ", or name its one asset in `entity`" if "entity" in names and names["entity"] not in table.columns else ""
        raise DataError(
            f"column(s) not in the source: {', '.join(absent)}; it has {list(map(str, table.columns))}: correct `columns` in the settings file{one}"
        )
    present = {source: canonical for canonical, source in names.items() if source in table.columns}
    frame = table[list(present)].rename(columns=present)
    return frame if entity is None else frame.assign(entity=entity)


def _wide(table: pd.DataFrame, time: str) -> pd.DataFrame:
    """Closes by column as rows. An asset begins at its first close and ends at its last; a blank in between stays, as a missing price."""
    if time not in table.columns:
        raise DataError(f"column {time!r} is not in the source, it has {list(map(str, table.columns))}: name the time's column in `columns.time`")
    closes = table.drop(columns=time)
    if closes.shape[1] == 0 or not closes.columns.is_unique:
        raise DataError(f"a wide source has the column {time!r} and one column an asset, each once; it has {list(map(str, table.columns))}")
    there = closes.notna().to_numpy()
    alive = np.logical_or.accumulate(there) & np.logical_or.accumulate(there[::-1])[::-1]
    row, asset = np.nonzero(alive)
    long = {"entity": closes.columns.astype(str).to_numpy()[asset], "time": table[time].take(row).array, "close": closes.to_numpy()[row, asset]}
    return pd.DataFrame(long, index=table.index[row])
