"""Almgren-Chriss: the closed form of least cost and risk, with each order's own parameters, solved again in every state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from finml_models.core.errors import NotFitted
from finml_models.core.spec import Paper
from finml_models.environments.almgren_chriss import first_slice, urgency

from ._schedules import Schedule, ScheduleHyperparameters, card

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.environments.execution import ExecutionMarket

CARD = card(
    "Almgren-Chriss",
    "The schedule of least mean cost plus risk under linear impact, front-loaded by an urgency that follows from the order's size, its "
    "volatility and the impact; time runs by the usual volume.",
    strengths=("optimal where impact is linear and nothing changes", "one number, the urgency, that a trader can read"),
    weaknesses=("impact is concave in truth, and is linearised at the pace of the order", "deaf to what spread, imbalance and volume tell on the way"),
    best_for="the expert's reference for liquidation with risk",
    references=(Paper(title="Optimal Execution of Portfolio Transactions", year=2000, link="https://doi.org/10.21314/JOR.2001.041"),),
)

NAMES = ("temporary", "exponent", "permanent", "risk_aversion", "intervals_a_day", "volume_a_day")


class AlmgrenChriss(Schedule[ScheduleHyperparameters]):
    """`environments.almgren_chriss` from the state alone.

    Impact coefficients and risk aversion are those of the orders' market. How many intervals a day has, by variance and by volume,
    is estimated from the orders that are done: an order's state tells volatility and volume by the interval, impact is by the day.
    """

    learned: NDArray[np.float64] | None = None

    def learn(self, orders: ExecutionMarket) -> None:
        rules, inside = orders.rules, orders.usual > 0
        by_variance = float(np.median((orders.daily_volatility[inside] / orders.volatility[inside]) ** 2))
        demand = np.broadcast_to(orders.day_demand[:, None], inside.shape)[inside]
        by_volume = float(np.median(1 / (orders.usual[inside] * demand)))
        self.learned = np.array([rules.temporary, rules.exponent, rules.permanent, rules.risk_aversion, by_variance, by_volume])

    def share(self, state: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        r = dict(zip(NAMES, self._fitted(), strict=True))
        volatility = state["expected_volatility_bp"]
        a_day = volatility * np.sqrt(r["intervals_a_day"])
        # The slice that VWAP would trade now, as a share of the order: the point at which concave impact is replaced by a line.
        even = np.maximum(state["remaining"] * state["volume_share"], 1e-9)
        pace = np.maximum(state["pace"], 1e-12)
        temporary = r["temporary"] * a_day * pace ** r["exponent"] / even
        permanent = r["permanent"] * a_day * pace / even / r["volume_a_day"]
        # Where permanent impact outweighs it, trading faster costs nothing more: as urgent as numbers allow.
        temporary = np.maximum(temporary, permanent / 2 * (1 + 1e-6) + 1e-12)
        kappa = urgency(r["risk_aversion"], volatility**2, temporary, permanent)
        return first_slice(kappa, np.maximum(state["intervals_left"], 1.0), state["volume_share"])

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The six parameters, in the order of `NAMES`."""
        return {"parameters": self._fitted()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        found = np.array(state["parameters"], np.float64)
        if found.shape != (len(NAMES),):
            raise ValueError(f"parameters: shape {found.shape} where ({len(NAMES)},) is needed: take the state of this baseline")
        self.learned = found

    def _fitted(self) -> NDArray[np.float64]:
        if self.learned is None:
            raise NotFitted("Almgren-Chriss has seen no orders yet: call `fit` or `restore` first")
        return self.learned
