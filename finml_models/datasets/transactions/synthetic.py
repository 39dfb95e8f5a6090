"""Card transactions whose probability of fraud is known: accounts with habits, terminals, and four ways to be robbed.

A hidden state of the account decides who makes its next transaction: the owner at home, the owner travelling, somebody with a stolen
card (a burst), somebody who took the account over (larger amounts, mostly online), or somebody who tries whether the card works
(small amounts over weeks). Beside that, terminals are compromised for days, and a share of what is paid there is fraud.
Nothing is fitted to real cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import terminals
from .habits import FRAUDS, RATE_AT_COMPROMISED, SHARE, TRANSITIONS, Accounts, Places, densities, draw_amount, draw_terminal, draw_time
from .vocabulary import CATEGORIES, COLUMNS, MATURITY_DAYS

Float = NDArray[np.float64]
Int = NDArray[np.int64]

SECOND = 1 / 86_400
MEAN_DELAY = 4.0
"""Days until a fraud is reported: exponential, cut at the maturity window."""


@dataclass(frozen=True)
class Simulated:
    """Transactions and the truth about them.

    `frame` is a raw frame of transactions. `truth` has a row for each of its rows, with `entity`, `time`, `p0` and `p1`: the posterior
    of the simulator itself, by the forward recursion over the account's transactions up to this one. It knows the habits of each account
    and which terminals are compromised, both of which a model can only guess: an upper bound, and calibrated.
    """

    frame: pd.DataFrame
    truth: pd.DataFrame


class _Step(NamedTuple):
    """One transaction of each account that is still active. Shapes: (n,) each."""

    account: Int
    at: Float
    terminal: Int
    amount: Float
    stolen: NDArray[np.bool_]
    suspicion: Float


def generate(seed: int = 0, *, accounts: int = 1_200, days: int = 270, start: str = "2023-01-01") -> Simulated:
    """All transactions of so many accounts over so many days; the newest `MATURITY_DAYS` have no label yet.

    Labels and reports are as known at the end of the last day.
    """
    rng = np.random.default_rng(seed)
    places = Places.draw(rng, accounts, days)
    people = Accounts.draw(rng, accounts, places)
    steps = list(_lived(rng, people, places, float(days)))
    made = _Step(*(np.concatenate(column) for column in zip(*steps, strict=True)))
    at_risk = places.is_compromised(made.terminal, made.at)
    fraud = made.stolen | (at_risk & (rng.random(len(made.at)) < RATE_AT_COMPROMISED))
    p = made.suspicion + (1 - made.suspicion) * RATE_AT_COMPROMISED * at_risk
    order = np.lexsort((made.at, made.account))
    frame = _framed(rng, _Step(*(column[order] for column in made)), fraud[order], people, places, days, start)
    p = p[order]
    return Simulated(frame, pd.DataFrame({"entity": frame["entity"], "time": frame["time"], "p0": 1 - p, "p1": p}))


def _lived(rng: np.random.Generator, people: Accounts, places: Places, days: float) -> list[_Step]:
    """The transactions one after the other, all accounts side by side; each step draws a state, then what comes of it.

    `suspicion` is P(not the owner | transactions up to this one): Rabiner, Proceedings of the IEEE 77(2), 1989, equations 19 and 20.
    """
    n = len(people.rate)
    who, state = np.arange(n), np.zeros(n, np.int64)
    belief = np.tile(np.eye(len(SHARE))[0], (n, 1))
    # Two in three accounts are there from the first days on, the others are opened later.
    now = np.where(rng.random(n) < 0.67, np.minimum(rng.exponential(1 / people.rate), days / 4), rng.random(n) * days / 2)
    now = np.maximum(np.round(now / SECOND), 1) * SECOND
    before: Float | None = None
    steps = []
    while len(who):
        state = (rng.random(len(who))[:, None] > np.cumsum(TRANSITIONS, axis=1)[state][:, :-1]).sum(axis=1)
        kind = np.where(rng.random(len(who)) < SHARE[state], state, 0)
        if before is not None:
            now = np.maximum(np.round(draw_time(rng, before, kind, people.rate[who]) / SECOND), np.round(before / SECOND) + 1) * SECOND
        active = now < days
        who, state, kind, now, belief = who[active], state[active], kind[active], now[active], belief[active]
        before = None if before is None else before[active]
        terminal = draw_terminal(rng, kind, people.favourites[who], places)
        amount = draw_amount(rng, kind, people.level[who], places.category[terminal])
        of_kind = densities(before, now, terminal, amount, people, who, places)
        joint = (belief @ TRANSITIONS)[:, :, None] * np.stack([SHARE * of_kind, (1 - SHARE) * of_kind[:, :1]], axis=2)
        total = joint.sum(axis=(1, 2))
        belief = joint.sum(axis=2) / total[:, None]
        steps.append(_Step(who, now, terminal, amount, np.isin(kind, FRAUDS), joint[:, FRAUDS, 0].sum(axis=1) / total))
        before = now
    return steps


def _framed(rng: np.random.Generator, made: _Step, fraud: NDArray[np.bool_], people: Accounts, places: Places, days: int, start: str) -> pd.DataFrame:
    first = np.datetime64(start, "s").astype("datetime64[us]")

    def moment(at: Float) -> NDArray[np.datetime64]:
        return first + np.round(at / SECOND).astype(np.int64).astype("timedelta64[s]")

    # The inverse of an exponential law that is cut at the maturity window.
    u = rng.random(len(fraud)) * (1 - np.exp(-MATURITY_DAYS / MEAN_DELAY))
    reported = made.at + np.maximum(-MEAN_DELAY * np.log1p(-u), 2 * SECOND)
    online, cash = places.online[made.terminal], places.category[made.terminal] == CATEGORIES["category"].index("cash") + 1
    tapped = (made.amount < 50) & (rng.random(len(fraud)) < 0.7)
    channel = np.select([online, cash, tapped], ["online", "cash", "contactless"], "chip")
    distance = np.round(np.hypot(*(people.home[made.account] - places.where[made.terminal]).T), 1)
    frame = pd.DataFrame(
        {
            "entity": _names("C", made.account, 6),
            "time": moment(made.at),
            "amount": made.amount,
            "terminal": _names("T", made.terminal, 5),
            "channel": pd.array(channel, dtype="str"),
            "category": pd.array(np.array(CATEGORIES["category"], dtype=object)[places.category[made.terminal] - 1], dtype="str"),
            "distance_km": np.where(online, np.nan, distance),
            "reported_at": np.where(fraud & (reported < days), moment(reported), np.datetime64("NaT", "us")),
            "fraud": np.where(made.at + MATURITY_DAYS <= days, fraud.astype(np.float64), np.nan),
        }
    )
    history = {"number": terminals.numbered, "terminal_count_1d": terminals.count_1d, "terminal_count_7d": terminals.count_7d}
    frame = frame.assign(**{name: of(frame) for name, of in {**history, "terminal_reports_28d": terminals.reports_28d}.items()}, known_at=frame["time"])
    return frame[list(COLUMNS)]


def _names(letter: str, numbers: Int, digits: int) -> pd.api.extensions.ExtensionArray:
    every = np.array([f"{letter}{number:0{digits}d}" for number in range(1, int(numbers.max()) + 2)], dtype=object)
    return pd.array(every[numbers], dtype="str")
