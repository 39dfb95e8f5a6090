"""Our own small grammar of financial English: sentences whose sentiment follows from how they are built.

Nobody and no company is named: subjects are kinds of companies. Every pattern answers with its sentence and the sign of its
meaning: -1, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Sentence = tuple[str, int]
T = TypeVar("T")

SUBJECTS = (
    "the company", "the group", "the retailer", "the lender", "the insurer", "the manufacturer", "the airline", "the utility", "the software maker",
    "the chipmaker", "the carmaker", "the brewer", "the miner", "the builder", "the shipping line", "the drugmaker", "the grocer", "the bank",
    "the telecoms operator", "the paper maker", "the steel producer", "the parcel service", "the hotel chain", "the food producer", "the refiner",
    "the publisher", "the engineering group", "the landlord", "the chemicals maker", "the online shop",
)  # fmt: skip
WELCOME = (
    "revenue", "net sales", "operating profit", "net profit", "earnings per share", "order intake", "the order backlog", "the gross margin",
    "free cash flow", "market share", "customer numbers", "the dividend", "the full-year outlook", "capacity use", "production", "return on equity",
    "net interest income", "like-for-like sales", "pre-tax profit", "export sales", "subscriber numbers", "turnover",
)  # fmt: skip
"""Quantities of which more is better."""
UNWELCOME = (
    "operating costs", "fuel costs", "net debt", "operating losses", "loan losses", "impairments", "customer churn", "complaints", "payment defaults",
    "delivery delays", "energy costs", "the wage bill", "interest expenses", "warranty claims", "staff turnover", "raw material costs", "provisions",
    "overdue receivables", "production outages", "the net loss",
)  # fmt: skip
"""Quantities of which less is better."""
RISES = ("rose", "increased", "climbed", "grew", "went up", "moved higher", "jumped", "surged", "edged up", "picked up")
FALLS = ("fell", "declined", "dropped", "decreased", "went down", "moved lower", "slid", "tumbled", "edged down", "shrank")
RISING, FALLING = ("rise", "increase", "climb", "grow"), ("fall", "decline", "drop", "decrease")
STANDSTILLS = ("remained unchanged", "stayed flat", "showed no change", "neither rose nor fell")
RISE_NAMES, FALL_NAMES = ("a rise", "an increase", "growth", "a jump"), ("a fall", "a decline", "a drop", "a decrease")
ABOVE = ("above the forecasts", "higher than analysts had expected", "which was above expectations")
BELOW = ("below the forecasts", "lower than analysts had expected", "which was below expectations")
UNITS = ("home", "overseas", "consumer", "industrial", "wholesale", "online", "services", "northern", "logistics", "packaging")
PERIODS = (
    "in the first quarter", "in the second quarter", "in the third quarter", "in the fourth quarter", "in the first half", "in the second half",
    "last year", "over nine months", "in the past twelve months", "since the spring",
)  # fmt: skip
OPENINGS = ("", "", "", "", "according to a stock exchange release, ", "as the half-year report shows, ", "in brief: ", "update: ")
CLOSINGS = ("", "", "", "", ", it was said", ", the report shows", ", according to a statement", ", as published before the market opened")
GOOD_NEWS = (
    "won a large contract", "raised its outlook", "approved a share buyback", "received approval for its main product", "was upgraded by a rating agency",
    "reached record profitability", "signed a profitable supply agreement", "secured new financing on better terms", "beat its own targets",
    "returned to profit", "exceeded expectations", "settled the lawsuit in its favour", "expanded its lead in the home market",
)  # fmt: skip
BAD_NEWS = (
    "lost a large contract", "cut its outlook", "suspended its share buyback", "was refused approval for its main product", "was downgraded by a rating agency",
    "issued a profit warning", "recalled a faulty product", "breached a covenant of its loans", "missed its own targets", "slipped into loss",
    "disappointed the market", "was fined by a regulator", "had to close a plant after a fire",
)  # fmt: skip
HARMS = ("cut the dividend", "close plants", "issue new shares at a discount", "lower its outlook", "lay off staff", "write down assets")
PLANS = (
    "publish its interim report", "hold its annual general meeting", "present its accounts", "report revenue and operating profit",
    "release its profit figures",
    "hold a capital markets day", "list a bond that was placed before", "answer questions on costs and margins",
)  # fmt: skip
DAYS = ("on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday", "next week", "at the end of the month", "in the coming quarter")
ROLES = ("finance director", "board member", "head of investor relations", "auditor", "chief risk officer", "secretary to the board", "head of treasury")
TOPICS = (
    "accounting for losses from insurance", "the measurement of profit under new rules", "the disclosure of debt and provisions", "the growth of index funds",
    "the history of margin calls", "falling discount rates in pension accounting", "the reporting of rising sea levels", "the valuation of loss-making firms",
)  # fmt: skip
FACTS = (
    "{s} employs {n} people in {k} countries", "{s} has its head office in the capital and {k} branches", "{s} owns {k} plants and leases {k} warehouses",
    "shares of {s} are traded on {k} exchanges", "{s} is divided into {k} business units", "the accounts of {s} are drawn up in euros",
    "{s} has renamed its {u} division", "the {u} division of {s} moves to another floor of the building", "the fiscal year of {s} ends in the {k}th month",
    "{s} counts {n} shareholders, of whom {k} hold more than five percent",
)  # fmt: skip


GROWTH = 0.65
"""Share of the moves that are rises: economies grow."""


class Draw:
    """Random choices from one seeded stream of numbers, drawn in bulk: a generator's own `choice` takes ten times as long."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._numbers: list[float] = []

    def share(self) -> float:
        """A number from 0 up to 1."""
        if not self._numbers:
            self._numbers = self._rng.random(65_536).tolist()
        return self._numbers.pop()

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` up to, not with, `high`."""
        return low + int(self.share() * (high - low))

    def one(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[int(self.share() * len(choices))]


def _quantity(draw: Draw) -> Sentence:
    """A quantity's name, and the sign of its growth."""
    return (draw.one(WELCOME), 1) if draw.share() < 0.55 else (draw.one(UNWELCOME), -1)


def _place(draw: Draw) -> str:
    """Words between a quantity and its verb, which keep the two from being neighbours."""
    return (f" at {draw.one(SUBJECTS)}", f" in the {draw.one(UNITS)} division of {draw.one(SUBJECTS)}", "")[draw.whole(0, 3)]


def move(draw: Draw) -> Sentence:
    """Costs rose, profits fell: the sign is that of the quantity times that of the verb."""
    (name, sign), up = _quantity(draw), draw.share() < GROWTH
    form = draw.whole(0, 4)
    if form == 0:
        return f"{draw.one(SUBJECTS)} reported {draw.one(RISE_NAMES if up else FALL_NAMES)} in {name} {draw.one(PERIODS)}", sign if up else -sign
    much = ("", f" by {draw.whole(2, 40)} percent", f" by almost {draw.whole(2, 40)} percent", " slightly", " strongly")[draw.whole(0, 5)]
    return f"{name}{_place(draw)} {draw.one(RISES if up else FALLS)}{much} {draw.one(PERIODS)}", sign if up else -sign


def figures(draw: Draw) -> Sentence:
    """Two amounts and no verb: the reader has to compare them."""
    (name, sign), new, old = _quantity(draw), draw.whole(11, 99), draw.whole(11, 99)
    if new == old:
        old += 1
    link = draw.one(("compared with", "against", "after"))
    return f"{name}{_place(draw)} came to {new} million {draw.one(PERIODS)}, {link} {old} million a year earlier", sign if new > old else -sign


def negated(draw: Draw) -> Sentence:
    """What was hoped for or feared did not happen: the sign turns round."""
    (name, sign), up = _quantity(draw), draw.share() < 0.5
    verb = draw.one(RISING if up else FALLING)
    turned = -sign if up else sign
    how = draw.one(("did not {v} {p}", "did not {v} any further {p}", "failed to {v} {p}", "could not {v} {p}", "did not {v} after all {p}"))
    return f"{name}{_place(draw)} {how.format(v=verb, p=draw.one(PERIODS))}", turned


def surprise(draw: Draw) -> Sentence:
    """Measured against what was expected: the comparison decides, and the verb before it is a distraction."""
    (name, sign), up, more = _quantity(draw), draw.share() < 0.5, draw.share() < 0.5
    low = draw.whole(1, 20)
    high = low + draw.whole(1, 9)
    # A larger fall is less of the quantity.
    actual, expected = (high, low) if more == up else (low, high)
    against = draw.one(ABOVE if more else BELOW)
    return f"{name}{_place(draw)} {draw.one(RISES if up else FALLS)} by {actual} percent instead of {expected} percent, {against}", sign if more else -sign


def event(draw: Draw) -> Sentence:
    """Something happened that is good or bad in itself."""
    good = draw.share() < 0.55
    return f"{draw.one(SUBJECTS)} {draw.one(GOOD_NEWS if good else BAD_NEWS)}", 1 if good else -1


def notice(draw: Draw) -> Sentence:
    """Nothing good or bad: dates, people, facts, unchanged figures, denied plans, and topics with loaded words."""
    form, who = draw.whole(0, 7), draw.one(SUBJECTS)
    if form == 0:
        text = f"{who} will {draw.one(PLANS)} {draw.one(DAYS)}"
    elif form == 1:
        text = f"{who} has named a new {draw.one(ROLES)}, who starts {draw.one(DAYS)}"
    elif form == 2:
        text = f"{_quantity(draw)[0]}{_place(draw)} {draw.one(STANDSTILLS)} {draw.one(PERIODS)}"
    elif form == 3:
        text = f"{who} has no plans to {draw.one(HARMS)} {draw.one(DAYS)}"
    elif form == 4:
        text = f"{who} takes part in a conference on {draw.one(TOPICS)} {draw.one(DAYS)}"
    elif form == 5:
        text = f"analysts will ask {who} whether {_quantity(draw)[0]} can {draw.one(RISING + FALLING)} {draw.one(DAYS)}"
    else:
        text = draw.one(FACTS).format(s=who, n=draw.whole(200, 90_000), k=draw.whole(2, 12), u=draw.one(UNITS))
    return text, 0


def torn(draw: Draw) -> Sentence:
    """One good and one bad move, on which readers do not agree."""
    first, sign = move(draw)
    second, other = move(draw)
    while other == sign:
        second, other = move(draw)
    return f"{first}, while {second}", 0


LOADED: tuple[tuple[Callable[[Draw], Sentence], float], ...] = ((move, 0.5), (event, 0.2), (negated, 0.12), (surprise, 0.12), (figures, 0.06))
"""Patterns that mean something good or bad, with their shares."""


def loaded(draw: Draw, sign: int | None = None) -> Sentence:
    """A sentence with a meaning, of the given sign where one is given."""
    while True:
        rest, chosen = draw.share(), LOADED[-1][0]
        for pattern, share in LOADED:
            rest -= share
            if rest < 0:
                chosen = pattern
                break
        text, found = chosen(draw)
        if sign is None or found == sign:
            return text, found


def written(draw: Draw, sentence: str) -> str:
    """The sentence as it is printed: framed now and then, a capital in front and a stop behind."""
    whole = f"{draw.one(OPENINGS)}{sentence}{draw.one(CLOSINGS)}"
    return f"{whole[0].upper()}{whole[1:]}."
