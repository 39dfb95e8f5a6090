"""What the use cases share that score single answers: outcomes as they are reported, and stored answers as rows of predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from finml_models.core.realised import Realised, moment

if TYPE_CHECKING:
    from finml_models.core.realised import Outcomes

TRADING_DAYS = 252
Row = dict[str, float]


class Outcome(BaseModel):
    """No unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VarianceOfWeek(Outcome):
    """What an asset's variance came to, by the proxy that the forecast names."""

    h1: float = Field(description="log of the daily variance of the next session, not annualised", examples=[-9.1])
    h5: float = Field(description="log of the mean daily variance over the next 5 sessions", examples=[-9.0])


class VarianceAhead(VarianceOfWeek):
    """The same, and what it came to over a month."""

    h22: float = Field(description="log of the mean daily variance over the next 22 sessions", examples=[-8.9])


class ReturnAhead(Outcome):
    """What an asset's price did, close to close."""

    h1: float = Field(description="log return over the next session", examples=[0.004])
    h5: float = Field(description="log return over the next 5 sessions", examples=[0.011])
    h20: float = Field(description="log return over the next 20 sessions", examples=[-0.02])


class LoanOutcome(Outcome):
    """How a granted loan ended its first twelve months."""

    defaulted: bool = Field(description="whether it fell 90 days behind")


class FraudOutcome(Outcome):
    """What became known of a transaction when its maturity window closed."""

    fraud: bool = Field(description="whether it was reported as a fraud within the window")


class LabelOutcome(Outcome):
    """What somebody who read the text calls it."""

    label: Literal["negative", "neutral", "positive"]


def of_forecasts(answer: Mapping[str, Any], outcomes: Outcomes, columns: Callable[[Mapping[str, Any]], Row]) -> tuple[Realised, ...]:
    """The assets of an answer whose outcome is known, a row a horizon; `columns` reads one horizon's point and quantiles."""

    def rows(item: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Row, ...]:
        return tuple({"horizon": one["horizon"], "target": known[f"h{one['horizon']}"], **columns(one)} for one in item["forecasts"])

    return _matched(answer["assets"], outcomes, rows)


def of_classes(
    items: Sequence[Mapping[str, Any]], outcomes: Outcomes, target: Callable[[Mapping[str, Any]], int], p: Callable[[Mapping[str, Any]], Sequence[float]]
) -> tuple[Realised, ...]:
    """The rows of an answer whose class is known: its number by `target`, the probabilities of all classes by `p`."""

    def rows(item: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Row, ...]:
        return ({"horizon": 0, "target": target(known), **{f"p{i}": value for i, value in enumerate(p(item))}},)

    return _matched(items, outcomes, rows)


def log_variance(one: Mapping[str, Any]) -> Row:
    """A horizon's annualised volatilities as the log of daily variance, its bounds as the quantiles that they are."""
    low, high = (2 * math.log(one[name]) - math.log(TRADING_DAYS) for name in ("low", "high"))
    return {"point": math.log(one["variance"]), "q0.05": low, "q0.95": high}


def _matched(
    items: Sequence[Mapping[str, Any]], outcomes: Outcomes, rows: Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Row, ...]]
) -> tuple[Realised, ...]:
    found = ((item, str(item["entity"]), moment(item["as_of"])) for item in items)
    return tuple(Realised(entity, time, rows(item, outcomes[entity, time])) for item, entity, time in found if (entity, time) in outcomes)
