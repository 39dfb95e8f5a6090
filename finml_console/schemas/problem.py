"""RFC 9457 problem details, as every error is answered."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    field: str = Field(description="path of the field, such as body.hyperparameters.hidden")
    message: str


class ProblemDocument(BaseModel):
    """Problem details. Further members may follow, as RFC 9457 has it: `near`, `deployment`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="the status says which kind of problem it is")
    title: str
    status: int
    detail: str = Field(description="one sentence that names field, value and remedy")
    errors: list[FieldError] = Field(default_factory=list, description="the first fields that are wrong")
