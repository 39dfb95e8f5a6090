"""The columns of a transaction, with their units, and its categories in their stable order. Imports nothing heavy.

A category's number is its place in the tuple, from 1; 0 is one that is not known. So names are only ever appended.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Channel = Literal["chip", "contactless", "online", "cash"]
Category = Literal["groceries", "fuel", "restaurants", "retail", "travel", "electronics", "digital", "cash"]

CATEGORIES: Final[dict[str, tuple[str, ...]]] = {"channel": get_args(Channel), "category": get_args(Category)}

MATURITY_DAYS: Final = 14
"""A transaction is a `fraud` when it is reported as one within so many days; before they are over nobody knows."""

TERMINAL: Final = ("terminal_count_1d", "terminal_count_7d", "terminal_reports_28d")
"""What the terminal's own history said at the moment, as the authorising system keeps it: a request about one account cannot hold
the other accounts' transactions at the terminal."""

COLUMNS: Final[dict[str, str]] = {
    "entity": "the account",
    "time": "moment of the authorisation, UTC",
    "number": "which transaction of the account this is, from 1, counted without a gap",
    "amount": "in the account's currency",
    "terminal": "id of the terminal, or of the online merchant",
    "channel": "chip, contactless, online, cash",
    "category": "what the merchant sells",
    "distance_km": "from the account holder's home to the terminal; empty where there is no place, as online",
    "terminal_count_1d": "transactions at the terminal in the day before, of all accounts, this one not counted",
    "terminal_count_7d": "the same of seven days",
    "terminal_reports_28d": "frauds at the terminal that were reported in the 28 days before",
    "reported_at": "when it was reported as a fraud; empty where it was not, or not yet",
    "fraud": "1 reported within the maturity window, 0 not, empty while the window is open",
    "known_at": "when the row was known: at the authorisation",
}
