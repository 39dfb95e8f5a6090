"""What the use cases share whose target is one class a row: which rows a view holds, and their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame


def view_rows(x: DataFrame, y: DataFrame | None) -> NDArray[np.intp]:
    """Positions of all rows, or with `y` of those whose class is known, by (time, entity)."""
    import numpy as np

    rows = np.lexsort((x["entity"].to_numpy(dtype=np.str_), x["time"].to_numpy()))
    return rows if y is None else rows[y["class"].notna().to_numpy()[rows]]


def labels(y: DataFrame | None, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
    """The fields `target` and `until` of a batch of these rows; none without `y`."""
    import numpy as np

    return {} if y is None else {"target": y[["class"]].to_numpy(np.float32)[rows], "until": y["until"].to_numpy()[rows]}
