"""The contract of a raw news frame: what every consumer may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandera.pandas as pa

from finml_models.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CLASSES = ("negative", "neutral", "positive")
"""The labels in the order of their class numbers."""

NEWS = pa.DataFrameSchema(
    {
        "entity": pa.Column("str", pa.Check.str_length(1, 128), description="id of the document"),
        "time": pa.Column("datetime64[us]", description="moment of publication, UTC"),
        "text": pa.Column("str", pa.Check(lambda s: s.str.strip() != "", error="a text with something in it")),
        "label": pa.Column("str", pa.Check.isin(CLASSES), nullable=True, required=False, description="missing where nobody has labelled it yet"),
        "source": pa.Column("str", pa.Check.str_length(1, 64), nullable=True, required=False, description="corpus or feed that the text comes from"),
        "known_at": pa.Column("datetime64[us]", description="moment from which the text could be read here"),
    },
    checks=[
        pa.Check(lambda f: f["known_at"] >= f["time"], error="known when it is published or later"),
        pa.Check(lambda f: f.set_index(["entity", "time"]).index.is_monotonic_increasing, error="sorted by entity and time"),
    ],
    unique=["entity", "time"],
    index=pa.Index("int64"),
    strict=True,
    ordered=True,
)


def check(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame itself where it is a raw news frame; raises `DataError` with the first cases where it is not."""
    try:
        return NEWS.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "index", "failure_case"]].head(5).to_dict("records")
        raise DataError(f"not a raw news frame: {cases}: pass the rows through `news.clean` first") from error


def corpora(frame: pd.DataFrame) -> frozenset[str]:
    """The corpora that the texts of a raw frame come from; a model whose weights were tuned on one of them has seen the answers."""
    return frozenset(frame["source"].dropna().unique()) if "source" in frame.columns else frozenset()
