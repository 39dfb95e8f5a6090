"""Regimes and embeddings by date: which models have them, and what they say."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from finml_models.core.spec import Category
from finml_models.evaluation.states import States
from finml_models.evaluation.verdict import Verdict

from .catalogue import Measurement
from .strict import Strict


class Choice(Strict):
    """A model or baseline that finds regimes, embeds dates, or both."""

    use_case: str
    model_id: str
    name: str
    category: Category | None = Field(description="null for a baseline")
    regimes: bool = Field(description="whether it says how likely each regime is")
    embedding: bool = Field(description="whether it is of the representation family, which embeds what it sees")
    version: str | None = Field(description="the one that was judged last; null while none was")
    verdict: Verdict | None
    gate_passed: bool | None
    kept: bool = Field(description="whether its regimes or embedding are kept by date, so that they can be asked for")


class ChoiceList(Strict):
    """Everything that can be chosen, baselines of a use case first."""

    choices: tuple[Choice, ...]
    count: int


class Likelihood(Strict):
    """How likely a regime is, and what it means."""

    regime: str = Field(description="by order of volatility, from calm to turbulent")
    probability: float = Field(ge=0, le=1, description="given the rows up to the date alone, by a fit that saw nothing of it")
    volatility: float = Field(description="of the next session's market return in this regime, annualised, as the fit learned it from its training rows")
    mean: float = Field(description="of the next session's market return in this regime, a log return, learned likewise")


class CurrentRegime(Strict):
    """The regime at the newest date with an out-of-sample probability. It says what the market is like, and is no forecast of returns."""

    as_of: date
    regime: str
    probability: float
    regimes: tuple[Likelihood, ...] = Field(description="calmest first")
    since: date = Field(description="first date of the unbroken stay in it")
    sessions: int = Field(ge=1, description="sessions of that stay")
    began_earlier: bool = Field(description="the stay reaches back to the first date that is kept, so that it has lasted at least so long")


class Insight(Strict):
    """What the newest version of a model says of the market's state by date, beside what its report says of the model."""

    use_case: str
    model_id: str
    name: str
    is_baseline: bool
    measurement: Measurement
    current: CurrentRegime | None = Field(description="null for a model that finds no regimes")
    states: States
