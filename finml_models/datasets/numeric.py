"""Numbers of any source, with the row of what is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from finml_models.core.errors import DataError


def numbers(column: pd.Series) -> NDArray[np.float64]:
    """A column as float64, NaN where it is empty. Shape: (n,). Raises `DataError` with the first row that holds something else."""
    kind = column.dtype
    types = pd.api.types
    if not (types.is_any_real_numeric_dtype(kind) or types.is_string_dtype(kind) or types.is_object_dtype(kind)):
        raise DataError(f"column `{column.name}` holds {kind}: give numbers")
    try:
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    except (OverflowError, TypeError) as error:
        raise DataError(f"column `{column.name}` holds a value that no float64 can hold ({error}): give numbers") from error
    bad = np.isnan(values) & column.notna().to_numpy()
    if bad.any():
        at = int(np.argmax(bad))
        where = f"row {column.index[at]}, column `{column.name}`, value {ascii(column.iloc[at])[:80]}"
        raise DataError(f"{where}: not a number: write 1234.5, or leave it empty ({int(bad.sum())} such row(s))")
    return values
