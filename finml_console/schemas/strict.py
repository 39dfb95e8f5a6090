"""The bases of every request and response, and the names that clients may send."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ModelId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), Field(examples=["log_har", "gru"])]
"""Of a model or baseline."""
UseCaseId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), Field(examples=["volatility_forecasting"])]
VersionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
DatasetId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), Field(examples=["us_market"])]
PredictionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=128)]
"""Of what the audit trail is about, and of what was done."""
# No control characters and no half surrogate pairs: neither can every database hold, nor every terminal show.
Reason = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=500), Field(description="why, for the audit trail")]
Cursor = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$"), Field(description="`next` of the page before")]


class Strict(BaseModel):
    """Closed to unknown fields, and to NaN and infinity."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Page(Strict):
    """A part of a list; a subclass adds its `items`, newest first unless it says otherwise."""

    next: str | None = Field(description="the cursor of the page behind this one; null on the last")
