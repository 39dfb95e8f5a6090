"""What a client sends and gets where an application for a loan goes in: the application itself, never features."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

from finml_models.core.errors import DataError
from finml_models.datasets.loans.vocabulary import CATEGORIES, COLUMNS, HORIZON_MONTHS, NUMBERS, Channel, Employment, Housing, Purpose, Region

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS = 1_000
"""Applications a request: each needs some thirty predictions for its reasons."""

Band = Literal["A", "B", "C", "D", "E"]
BANDS: tuple[tuple[float, Band], ...] = ((0.02, "A"), (0.05, "B"), (0.1, "C"), (0.2, "D"), (1.0, "E"))
"""Each band's largest probability of default."""

Count = Annotated[int, Field(ge=0, le=1_000)]
Months = Annotated[int, Field(ge=0, le=1_200)]


class Strict(BaseModel):
    """No coercion, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Application(Strict):
    """One application as it stands at the decision. A field that is left out is unknown, which is not the same as 0."""

    entity: str = Field(min_length=1, max_length=64, description="the application's id", examples=["A0012345"])
    time: date = Field(description="date of the decision, ISO 8601", examples=["2023-06-01"])
    income: float = Field(gt=0, le=1e9, description="gross income a year, in the lender's currency", examples=[34_000.0])
    debt_to_income: float = Field(ge=0, le=10, description="monthly debt service after this loan over monthly income, a share (0.3 is 30 %)", examples=[0.31])
    loan_amount: float = Field(gt=0, le=1e9, description="amount of the loan, in the lender's currency", examples=[9_500.0])
    term_months: int = Field(gt=0, le=480, description="months over which it is repaid", examples=[48])
    months_on_book: Months = Field(description="months since the applicant became a customer; 0 for a new one", examples=[27])
    employment_years: float | None = Field(None, ge=0, le=80, description="years with the present employer; left out without work", examples=[3.5])
    utilisation: float | None = Field(
        None, ge=0, le=10, description="share of revolving limits that is drawn; left out where there is no limit", examples=[0.62]
    )
    delinquencies_24m: Count | None = Field(None, description="payments over 30 days late in the last 24 months, by the credit bureau", examples=[1])
    months_since_delinquency: Months | None = Field(None, description="months since the last of them; left out where there is none", examples=[7])
    inquiries_6m: Count | None = Field(None, description="credit inquiries by lenders in the last 6 months", examples=[2])
    credit_history_months: Months | None = Field(None, description="age of the oldest account on file; left out without a file", examples=[96])
    open_accounts: Count | None = Field(None, description="credit accounts that are open", examples=[4])
    overdraft_days_12m: int | None = Field(
        None, ge=0, le=366, description="days overdrawn in the last 12 months; left out without an account here", examples=[12]
    )
    savings: float | None = Field(None, ge=0, le=1e12, description="balance of savings held here; left out without an account here", examples=[1_200.0])
    employment: Employment | None = Field(None, examples=["permanent"])
    purpose: Purpose | None = Field(None, description="what the loan is for", examples=["debt_consolidation"])
    housing: Housing | None = Field(None, description="how the applicant lives", examples=["rent"])
    region: Region | None = Field(None, examples=["south"])
    channel: Channel | None = Field(None, description="where the application came in", examples=["online"])


class CreditRequest(Strict):
    """Applications, in any order; each id once."""

    # The first wrong row ends the check: a thousand wrong ones would take long to list.
    rows: Annotated[tuple[Application, ...], FailFast()] = Field(min_length=1, max_length=MOST_ROWS)


class ReasonCode(Strict):
    """Why the probability lies above, or below, that of the typical applicant in the training data."""

    code: str = Field(description="stable name of the factor", examples=["utilisation"])
    direction: Literal["raises", "lowers"] = Field(description="what the factor does to the probability of default, against the typical applicant")
    log_odds: float = Field(description="by how much, in log odds; 0.69 doubles the odds")
    sentence: str = Field(examples=["Drawn share of credit limits: 93 %; typical: 38 %."])


class ApplicantRisk(Strict):
    """The risk of one application."""

    entity: str
    as_of: date = Field(description="date of the decision that the data were known at")
    probability: float = Field(ge=0, le=1, description=f"probability of falling 90 days behind within {HORIZON_MONTHS} months")
    predicted: Literal["repaid", "default"] = Field(description="the likelier of the two; not a decision")
    band: Band = Field(description="; ".join(f"{band}: up to {100 * limit:.0f} %" for limit, band in BANDS))
    reasons: tuple[ReasonCode, ...] = Field(description="at most four, strongest first")


class CreditResponse(Strict):
    """The answer, with the version that gave it and what the caller should know."""

    version: str
    applicants: tuple[ApplicantRisk, ...]
    warnings: tuple[str, ...] = ()


def request_frame(request: BaseModel) -> DataFrame:
    """The rows of a `CreditRequest` as a raw frame of loans without outcomes; raises `DataError` for an id that comes twice."""
    import pandas as pd

    if not isinstance(request, CreditRequest):
        raise TypeError(f"request: expected CreditRequest, got {type(request).__name__}")
    names = [row.entity for row in request.rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"rows: {', '.join(twice[:5])} stand there more than once; send each application once")
    columns = {name: [getattr(row, name) for row in request.rows] for name in Application.model_fields}
    frame = pd.DataFrame({name: pd.array(values, dtype="str") if name in {"entity", *CATEGORIES} else values for name, values in columns.items()})
    frame["time"] = pd.to_datetime(frame["time"]).astype("datetime64[us]")
    frame[list(NUMBERS)] = frame[list(NUMBERS)].astype("float64")
    frame["outcome_at"] = (frame["time"] + pd.DateOffset(months=HORIZON_MONTHS)).astype("datetime64[us]")
    frame["defaulted"] = float("nan")
    frame["known_at"] = frame["time"]
    return frame[list(COLUMNS)].sort_values(["entity", "time"], ignore_index=True)


def band_of(probability: float) -> Band:
    """The band of a probability of default."""
    return next(band for limit, band in BANDS if probability <= limit)
