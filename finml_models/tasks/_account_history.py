"""What an account's own past says of each of its transactions, from as many events before it as a request can hold.

Sums are kept in fixed point: differences of running totals are then exact, whatever lies before them, so that the same events give the
same bits in a whole history, in one that was cut, and in a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.datasets.transactions.vocabulary import CATEGORIES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    Float = NDArray[np.float64]
    Int = NDArray[np.int64]

PREVIOUS = 50
"""Events before a transaction that its features may look at."""
LENGTH = 50
"""Events in a window."""
HISTORY = PREVIOUS + LENGTH
"""Rows that one prediction needs, where the account has so many: the oldest event of a window looks back too."""

HOUR, DAY = 3_600, 86_400
SMALL = 5.0
"""Amounts below it are what a stolen card is tried with."""
ONE = 2**20
"""The unit of fixed-point sums: about six decimals, and room for 10^11 events."""
LEAST_SPREAD = 0.3
"""Of log amounts: two equal payments do not make the third one an outlier."""

SHARED = (
    "log_amount",
    "amount_vs_own",
    "log_gap",
    "hour_sin",
    "hour_cos",
    "usual_hour",
    "log_distance",
    "no_distance",
    "distance_vs_own",
    "new_terminal",
    "log_terminal_count_1d",
    "log_terminal_count_7d",
    "log_terminal_reports_28d",
)
"""Features of both views."""
AGGREGATES = (
    "amount_z",
    "online_vs_own",
    "count_1h",
    "count_1d",
    "count_7d",
    "count_30d",
    "log_sum_1d",
    "log_sum_7d",
    "small_7d",
    "new_1d",
    "new_7d",
    "events",
)
"""What a table row has to be told and a network that reads the events sees itself."""
INDICATORS = tuple(f"{name}={known}" for name, values in CATEGORIES.items() for known in values)
NUMBERS, EVENTS = (*SHARED, *AGGREGATES), (*SHARED, *INDICATORS)
LABELS = tuple(CATEGORIES)


def features_of(raw: DataFrame) -> DataFrame:
    """`NUMBERS`, `INDICATORS` and the codes of `LABELS` of each transaction, and whether its history is whole; raw rows are by (entity, time)."""
    import numpy as np
    import pandas as pd

    past = Past(raw)
    amount, log_amount = raw["amount"].to_numpy(np.float64), np.log(raw["amount"].to_numpy(np.float64))
    km = raw["distance_km"].to_numpy(np.float64)
    placed, log_distance = np.isfinite(km), np.log1p(np.nan_to_num(km))
    angle = past.at % DAY * (2 * np.pi / DAY)
    sin, cos = np.sin(angle), np.cos(angle)
    mean, deviation = past.mean(log_amount), past.deviation(log_amount)
    online = (raw["channel"] == "online").fillna(False).to_numpy(np.float64)
    new, known = past.is_new(raw["terminal"]), past.known > 0
    versus = np.where(known, log_amount - mean, 0.0)
    usual = np.hypot(past.mean(sin), past.mean(cos))
    made = {
        "log_amount": log_amount,
        "amount_vs_own": versus,
        "log_gap": np.log1p(past.gap),
        "hour_sin": sin,
        "hour_cos": cos,
        "usual_hour": np.divide(sin * past.mean(sin) + cos * past.mean(cos), usual, out=np.zeros(len(raw)), where=usual > 1e-6),
        "log_distance": log_distance,
        "no_distance": (~placed).astype(np.float64),
        "distance_vs_own": np.where(placed & (past.total(placed) > 0), log_distance - past.mean(log_distance * placed, placed), 0.0),
        "new_terminal": new,
        **{f"log_{name}": np.log1p(raw[name].to_numpy(np.float64)) for name in ("terminal_count_1d", "terminal_count_7d", "terminal_reports_28d")},
        "amount_z": versus / np.maximum(deviation, LEAST_SPREAD),
        "online_vs_own": np.where(known, online - past.mean(online), 0.0),
        **{f"count_{name}": np.log1p(past.number(length)) for name, length in (("1h", HOUR), ("1d", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY))},
        **{f"log_sum_{days}d": np.log1p(past.total(amount, days * DAY)) for days in (1, 7)},
        "small_7d": np.log1p(past.total(amount < SMALL, 7 * DAY)),
        **{f"new_{days}d": np.log1p(past.total(new, days * DAY)) for days in (1, 7)},
        "events": np.log1p(past.known),
    }
    numbers = {name: made[name] for name in NUMBERS}
    indicators = {f"{name}={known}": (raw[name] == known).fillna(False).to_numpy(np.float64) for name, values in CATEGORIES.items() for known in values}
    codes = {name: pd.Categorical(raw[name], categories=list(values)).codes.astype("int64") + 1 for name, values in CATEGORIES.items()}
    whole = {"whole": past.is_whole(raw["number"].to_numpy(np.int64))}
    return pd.DataFrame({"entity": raw["entity"], "time": raw["time"], **numbers, **indicators, **codes, **whole}).reset_index(drop=True)


class Past:
    """The `PREVIOUS` events before each of n transactions. Shapes: (n,) throughout."""

    def __init__(self, raw: DataFrame) -> None:
        import numpy as np

        names = raw["entity"].to_numpy(object)
        self.at: Int = raw["time"].to_numpy("datetime64[us]").astype("datetime64[s]").astype(np.int64)
        begins = np.append(True, names[1:] != names[:-1]) if len(names) else np.zeros(0, bool)
        self.account = np.cumsum(begins) - 1
        self.place = np.arange(len(names))
        self.start = np.flatnonzero(begins)[self.account] if len(names) else self.place
        self.oldest = np.maximum(self.start, self.place - PREVIOUS)
        self.known = (self.place - self.oldest).astype(np.float64)
        # Accounts one behind the other on one clock, further apart than any trailing window is long.
        span = int(np.ptp(self.at)) + 31 * DAY if len(names) else 0
        self._clock = self.account * span + self.at - (self.at.min() if len(names) else 0)

    @property
    def gap(self) -> Float:
        """Seconds since the event before; 0 where there is none."""
        import numpy as np

        return np.where(self.place > self.start, np.diff(self.at, prepend=self.at[:1]), 0).astype(np.float64)

    def first(self, length: int | None) -> Int:
        """Position of the oldest event within so many seconds."""
        import numpy as np

        return self.oldest if length is None else np.maximum(self.oldest, np.searchsorted(self._clock, self._clock - length))

    def number(self, length: int) -> Float:
        """Events within so many seconds."""
        return (self.place - self.first(length)).astype("float64")

    def total(self, values: NDArray[np.generic], length: int | None = None) -> Float:
        """Sum over the events before, or over those within so many seconds."""
        import numpy as np

        passed = np.concatenate([[0], np.cumsum(np.rint(np.asarray(values, np.float64) * ONE).astype(np.int64))])
        return (passed[self.place] - passed[self.first(length)]) / ONE

    def mean(self, values: Float, where: NDArray[np.bool_] | None = None) -> Float:
        """Mean over the events before, or over those that count; 0 where there are none. Values that do not count must be 0."""
        import numpy as np

        return self.total(values) / np.maximum(self.known if where is None else self.total(where), 1)

    def deviation(self, values: Float) -> Float:
        """Standard deviation over the events before."""
        import numpy as np

        return np.sqrt(np.maximum(self.mean(values**2) - self.mean(values) ** 2, 0))

    def is_new(self, terminal: NDArray[np.generic]) -> Float:
        """1 where none of the events before was at the terminal, and there are any."""
        import numpy as np
        import pandas as pd

        last = pd.Series(self.place).groupby([self.account, pd.factorize(terminal)[0]]).shift().to_numpy()
        return ((np.nan_to_num(last, nan=-1) < self.oldest) & (self.known > 0)).astype(np.float64)

    def is_whole(self, number: Int) -> NDArray[np.bool_]:
        """Whether the rows reach back to the account's first transaction, or over all that a prediction looks at."""
        return (number[self.start] == 1) | (self.place - self.start >= HISTORY - 1)


def pieces(x: DataFrame) -> tuple[Int, NDArray[np.bool_], Int, Int]:
    """How accounts of any length become a dense panel: (rows of x, whether they are there), (pieces, width) each, and series and end (n,) of each row.

    An account with more than two windows of events is cut into pieces that overlap by a window less one, so that no account makes the
    panel as wide as itself: it holds at most two rows an event, and two windows an account.
    """
    import numpy as np

    names = x["entity"].to_numpy(object)
    begins = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(names) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(begins, len(names)))
    local = np.arange(len(names)) - np.repeat(begins, sizes)
    width = int(min(sizes.max(initial=1), 2 * LENGTH))
    step = max(width - LENGTH + 1, 1)
    piece = np.where(local < width, 0, -(-(local - width + 1) // step))
    per_account = 1 + piece[begins + sizes - 1]
    first_piece = np.cumsum(per_account) - per_account
    number = np.arange(per_account.sum()) - np.repeat(first_piece, per_account)
    rows = (np.repeat(begins, per_account) + number * step)[:, None] + np.arange(width)
    there = rows < np.repeat(begins + sizes, per_account)[:, None]
    return np.where(there, rows, 0), there, np.repeat(first_piece, sizes) + piece, local - piece * step
