"""The simulated lender's truth: what each column does to the log odds of default, alone and together with others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .vocabulary import CATEGORIES

Float = NDArray[np.float64]

BY_CATEGORY: dict[str, dict[str, float]] = {
    "employment": {"permanent": 0.0, "temporary": 0.4, "self_employed": 0.25, "retired": -0.1, "unemployed": 0.9},
    "purpose": {"car": -0.15, "home_improvement": -0.1, "debt_consolidation": 0.15, "education": 0.0, "business": 0.35, "other": 0.1},
    "housing": {"owner": -0.2, "mortgage": 0.0, "rent": 0.2, "family": 0.1},
    "region": {"north": 0.08, "east": 0.05, "south": 0.0, "west": -0.05, "centre": -0.05},
    "channel": {"branch": 0.0, "online": 0.1, "broker": 0.3},
}

MONOTONE: dict[str, int] = {
    "income": -1,
    "debt_to_income": 1,
    "loan_amount": 1,
    "term_months": 1,
    "months_on_book": -1,
    "employment_years": -1,
    "utilisation": 1,
    "delinquencies_24m": 1,
    "months_since_delinquency": -1,
    "inquiries_6m": 1,
    "credit_history_months": -1,
    "open_accounts": 0,
    "overdraft_days_12m": 1,
    "savings": -1,
}
"""Sign of the effect of each number on the risk, all else equal; 0 where both few and many are risky."""


def log_odds(numbers: Mapping[str, Float], codes: Mapping[str, NDArray[np.int64]]) -> Float:
    """(n,) log odds of default but for a constant and the economy. A number that is missing counts as its absence does, so that
    the row says all there is to know."""
    n = {name: np.nan_to_num(values) for name, values in numbers.items()}
    there = {name: ~np.isnan(values) for name, values in numbers.items()}
    is_in = {f"{name}={known}": codes[name] == i for name, values in CATEGORIES.items() for i, known in enumerate(values, 1)}

    drawn = np.where(there["utilisation"], n["utilisation"], 0.35)
    burden = np.maximum(n["debt_to_income"] - 0.25, 0)
    size = n["loan_amount"] / n["income"]
    recent = np.where(there["months_since_delinquency"], np.exp(-n["months_since_delinquency"] / 12), 0.0)
    lateness = np.log1p(n["delinquencies_24m"]) * (0.5 + 1.1 * recent)
    young = np.exp(-n["credit_history_months"] / 48) * there["credit_history_months"]
    overdrawn = np.minimum(n["overdraft_days_12m"], 90) / 30
    loyalty = np.log1p(n["months_on_book"] / 12)
    asking = np.minimum(n["inquiries_6m"], 8)
    worked = np.minimum(n["employment_years"], 12)

    risk = 1.1 * drawn**2 + 1.6 * np.maximum(drawn - 0.8, 0) / 0.2 * 0.5
    risk += 1.8 * np.minimum(burden, 0.6) - 0.35 * np.log(n["income"] / 30_000) + 0.9 * np.clip(size - 0.2, 0, 0.8)
    risk += 0.8 * lateness + 0.13 * asking + 0.9 * young + 0.45 * ~there["credit_history_months"]
    risk += 0.35 * overdrawn - 0.16 * loyalty - 0.09 * np.log1p(n["savings"] / 500) - 0.045 * worked + 0.009 * (n["term_months"] - 36)
    risk += 0.12 * np.maximum(np.abs(n["open_accounts"] - 4) - 1, 0) * there["open_accounts"]
    for name, effects in BY_CATEGORY.items():
        risk += np.array([0.0, *(effects[known] for known in CATEGORIES[name])])[codes[name]]

    # Together: each of these keeps the sign of its numbers, so that no monotone expectation is broken.
    risk += 3.0 * np.maximum(drawn - 0.55, 0) * np.minimum(burden, 0.5) / 0.25
    risk += 1.6 * young * np.clip(size - 0.2, 0, 0.8)
    risk += 0.4 * asking / 3 * (n["months_on_book"] == 0) * (drawn > 0.6)
    risk += 0.55 * (is_in["employment=self_employed"] | is_in["employment=temporary"]) * np.maximum(n["term_months"] - 24, 0) / 24
    risk += 0.7 * is_in["purpose=business"] * is_in["employment=self_employed"] * (worked < 3)
    risk += 0.5 * is_in["purpose=debt_consolidation"] * (drawn > 0.75)
    risk -= 0.25 * overdrawn * np.minimum(loyalty, 2) / 2
    return np.asarray(risk, np.float64)
