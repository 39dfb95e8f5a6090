"""What a client sends and gets where texts go in: the text itself, never tokens."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, runtime_checkable

from pydantic import AwareDatetime, BaseModel, ConfigDict, FailFast, Field, field_validator

from finml_models.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from finml_models.core.batches import Batch

MOST_ROWS = 1_000
MOST_CHARACTERS = 100_000

Share = Annotated[float, Field(ge=0, le=1)]
Label = Literal["negative", "neutral", "positive"]


class Strict(BaseModel):
    """No coercion, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class NewsItem(Strict):
    """One headline or document, as it was published."""

    entity: str = Field(min_length=1, max_length=128, description="the document's id", examples=["2023-06-01/00017"])
    time: AwareDatetime = Field(description="moment of publication with its offset from UTC, ISO 8601", examples=["2023-06-01T09:30:00Z"])
    text: str = Field(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="the plain text, English; white space and control characters count as blanks",
        examples=["Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the corresponding period a year earlier."],
    )

    @field_validator("text")
    @classmethod
    def _says_something(cls, value: str) -> str:
        from finml_models.datasets.news.wording import normalised

        if not normalised(value):
            raise ValueError("there is nothing but white space in it; send a text")
        return value


class NewsRequest(Strict):
    """Texts, in any order; each id once."""

    # The first wrong row ends the check: a thousand wrong ones would take long to list.
    rows: Annotated[tuple[NewsItem, ...], FailFast()] = Field(min_length=1, max_length=MOST_ROWS)


class Sentiment(Strict):
    """Probabilities that an annotator calls the text so; they sum to 1."""

    negative: Share
    neutral: Share
    positive: Share


class TextSentiment(Strict):
    """The sentiment of one text: what its words say of the business, not what a price will do."""

    entity: str
    as_of: datetime = Field(description="moment of publication, UTC")
    label: Label = Field(description="the likeliest of the three")
    probabilities: Sentiment
    words: int = Field(ge=1, description="words of the text, parted by white space")


class NewsResponse(Strict):
    """The answer, with the version and the weights that gave it and what the caller should know."""

    version: str
    weights: str | None = Field(
        description="whose weights answered, in a sentence: published ones with their commit, or a small encoder that is not the published model; "
        "null for a model without an encoder, such as a word list",
        examples=["a small encoder (1 x 64) trained from scratch on this data; not FinBERT"],
    )
    texts: tuple[TextSentiment, ...]
    warnings: tuple[str, ...] = Field((), description="among others, which texts are longer than what the model reads of them")


@runtime_checkable
class Reader(Protocol):
    """What an estimator that reads tokens says of itself: whose weights it has, and how much of each text it reads."""

    @property
    def weights(self) -> str: ...
    def read(self, batch: Batch) -> tuple[NDArray[np.int64], int]:
        """(n,) tokens of each text, and how many are read at most."""
        ...


def request_frame(request: BaseModel) -> DataFrame:
    """The rows of a `NewsRequest` as a raw frame of news without labels; raises `DataError` for an id that comes twice."""
    import pandas as pd

    if not isinstance(request, NewsRequest):
        raise TypeError(f"request: expected NewsRequest, got {type(request).__name__}")
    names = [row.entity for row in request.rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"rows: {', '.join(twice[:5])} stand there more than once; give each text an id of its own")
    time = pd.to_datetime([row.time for row in request.rows], utc=True).tz_localize(None).as_unit("us")
    text = pd.array([row.text for row in request.rows], dtype="str")
    frame = pd.DataFrame({"entity": pd.array(names, dtype="str"), "time": time, "text": text, "known_at": time})
    return frame.sort_values(["entity", "time"], ignore_index=True)


def unread(reader: Reader, batch: Batch) -> tuple[str, ...]:
    """One warning for each text whose end the model does not see."""
    tokens, most = reader.read(batch)
    cut = (tokens > most).nonzero()[0]
    return tuple(f"{batch.entity[row]}: it has {tokens[row]} tokens and the model reads the first {most}" for row in cut)
