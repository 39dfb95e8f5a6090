"""Loans whose probability of default is known: seven years of monthly vintages, the newest of them without an outcome yet.

Nothing here copies a real portfolio. Levels are plausible for unsecured consumer loans, and the shape is what a lender would
expect: risk rises or falls with each number but one, some things matter more together, and the economy moves all loans at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .risk import log_odds
from .vocabulary import CATEGORIES, COLUMNS, HORIZON_MONTHS, NUMBERS

Float = NDArray[np.float64]
Codes = NDArray[np.int64]

MACRO_PERSISTENCE, MACRO_SD = 0.96, 0.16
"""The economy: a first-order autoregression by month, on the scale of log odds."""
NEW_CUSTOMERS, THIN_FILES, NO_REVOLVING_LIMIT = 0.42, 0.06, 0.15
TERMS = np.array([12.0, 24.0, 36.0, 48.0, 60.0, 72.0])


@dataclass(frozen=True)
class Simulated:
    """Loans and the truth about them.

    `frame` is a raw frame of loans. `truth` has a row for each of its rows, with `entity`, `time`, `p0` and `p1`: the
    probabilities that the outcome was drawn with. They hold all that the row says and the state of the economy in its month,
    which no row says: no model can do better, whether it ranks or is calibrated.
    """

    frame: pd.DataFrame
    truth: pd.DataFrame


def generate(seed: int = 0, *, loans: int = 25_200, months: int = 84, start: str = "2016-01-01", default_rate: float = 0.1, signal: float = 1.0) -> Simulated:
    """`loans` decided applications over `months` monthly vintages, each dated by the first of its month.

    The data are of the end of the last vintage's month, so that the newest vintages (`HORIZON_MONTHS` of them) have no
    outcome yet. `signal` scales what the row says of the risk: at 0 there is nothing to find.
    """
    rng = np.random.default_rng(seed)
    month = np.sort(rng.integers(0, months, loans))
    numbers, codes = _applicants(rng, month / max(months - 1, 1))
    risk = log_odds(numbers, codes)
    economy = _economy(rng, months)[month]
    p = _probability(_centred(signal * (risk - risk.mean()), default_rate) + economy)
    defaulted = (rng.random(loans) < p).astype(np.float64)

    vintages = pd.date_range(start, periods=months + HORIZON_MONTHS, freq="MS").to_numpy().astype("datetime64[us]")
    time, outcome_at = vintages[month], vintages[month + HORIZON_MONTHS]
    defaulted[outcome_at >= vintages[months]] = np.nan
    entity = pd.array([f"A{number:07d}" for number in range(1, loans + 1)], dtype="str")
    text = {name: pd.array(np.array([None, *known], dtype=object)[codes[name]], dtype="str") for name, known in CATEGORIES.items()}
    frame = pd.DataFrame({"entity": entity, "time": time, **numbers, **text, "outcome_at": outcome_at, "defaulted": defaulted, "known_at": time})
    return Simulated(frame[list(COLUMNS)], pd.DataFrame({"entity": entity, "time": time, "p0": 1 - p, "p1": p}))


def _applicants(rng: np.random.Generator, years: Float) -> tuple[dict[str, Float], dict[str, Codes]]:
    """Numbers and categories of applicants; `years` (n,) runs from 0 to 1 over the data. What is missing is missing for a reason."""
    n = len(years)
    quality = rng.standard_normal(n)  # a latent trait behind all columns: they are correlated, as they are in life

    def mixed(weight: float) -> Float:
        return weight * quality + np.sqrt(1 - weight**2) * rng.standard_normal(n)

    codes = {
        "employment": _choose(rng, np.tile([0.62, 0.14, 0.12, 0.08, 0.04], (n, 1))),
        "purpose": _choose(rng, np.tile([0.27, 0.19, 0.24, 0.07, 0.08, 0.15], (n, 1))),
        "housing": _choose(rng, np.tile([0.18, 0.36, 0.34, 0.12], (n, 1))),
        "region": _choose(rng, np.tile([0.2, 0.18, 0.22, 0.17, 0.23], (n, 1))),
        # Business moves from branches to the internet: a population that drifts.
        "channel": _choose(rng, np.stack([0.55 - 0.3 * years, 0.25 + 0.3 * years, np.full(n, 0.2)], axis=1)),
    }
    working = codes["employment"] <= 3
    new, thin = rng.random(n) < NEW_CUSTOMERS, rng.random(n) < THIN_FILES
    income = np.exp(10.35 + 0.42 * mixed(0.5)) * np.where(codes["employment"] == 5, 0.5, 1.0)
    amount = np.clip(income * np.exp(-1.35 + 0.55 * rng.standard_normal(n)), 1_000, 75_000)
    late = rng.poisson(np.exp(-1.5 - 0.8 * quality)).astype(np.float64)
    overdrawn = np.clip(rng.gamma(0.5, 30 * np.exp(-0.5 * quality)), 0, 365)
    numbers = {
        "income": np.round(income, -2),
        "debt_to_income": np.round(np.clip(0.26 * np.exp(0.5 * mixed(-0.4)), 0.02, 1.5), 3),
        "loan_amount": np.round(amount, -2),
        "term_months": rng.choice(TERMS, n, p=[0.1, 0.2, 0.27, 0.2, 0.16, 0.07]),
        "months_on_book": np.where(new, 0.0, np.ceil(np.minimum(rng.gamma(1.3, 45, n), 360))),
        "employment_years": np.where(working, np.round(rng.gamma(1.4, 4.5 * np.exp(0.15 * quality)), 1), np.nan),
        "utilisation": np.round(1 / (1 + np.exp(-(-0.5 - 0.15 * years + 1.25 * mixed(-0.6)))), 3),
        "delinquencies_24m": np.minimum(late, 12),
        "months_since_delinquency": np.where(late > 0, np.ceil(24 * rng.random(n) ** np.maximum(late, 1)), np.nan),
        "inquiries_6m": np.minimum(rng.poisson(np.exp(0.15 - 0.35 * mixed(0.6))), 15).astype(np.float64),
        "credit_history_months": np.round(np.clip(rng.gamma(2.2, 50 * np.exp(0.15 * quality)), 3, 480)),
        "open_accounts": 1.0 + rng.poisson(3.5, n),
        "overdraft_days_12m": np.where(new, np.nan, np.round(overdrawn)),
        "savings": np.where(new, np.nan, np.round(np.where(rng.random(n) < 0.2, 0, np.exp(7 + 1.3 * mixed(0.5))), -1)),
    }
    for name in ("utilisation", "delinquencies_24m", "months_since_delinquency", "inquiries_6m", "credit_history_months", "open_accounts"):
        numbers[name][thin] = np.nan
    numbers["utilisation"][rng.random(n) < NO_REVOLVING_LIMIT] = np.nan
    return {name: numbers[name] for name in NUMBERS}, codes


def _choose(rng: np.random.Generator, shares: Float) -> Codes:
    """Numbers from 1, row by row with these probabilities. Shape: (n, categories) -> (n,)."""
    return 1 + (rng.random(len(shares))[:, None] > np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1)


def _economy(rng: np.random.Generator, months: int) -> Float:
    shocks = rng.standard_normal(months) * MACRO_SD * np.sqrt(1 - MACRO_PERSISTENCE**2)
    path = np.empty(months)
    path[0] = MACRO_SD * rng.standard_normal()
    for t in range(1, months):
        path[t] = MACRO_PERSISTENCE * path[t - 1] + shocks[t]
    return path


def _centred(risk: Float, rate: float) -> Float:
    """Log odds moved until their mean probability is `rate`, by bisection."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _probability(risk + middle).mean() > rate else (middle, high)
    return risk + low


def _probability(logits: Float) -> Float:
    return 1 / (1 + np.exp(-logits))
