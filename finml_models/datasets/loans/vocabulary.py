"""The columns of a loan: its categories with their stable order, and its numbers. Imports nothing heavy.

A category's number is its place in the tuple, from 1; 0 is a category that is not known. So names are only ever appended.
Age, sex, nationality and family status are left out on purpose: lenders may not score what the law protects.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Employment = Literal["permanent", "temporary", "self_employed", "retired", "unemployed"]
Purpose = Literal["car", "home_improvement", "debt_consolidation", "education", "business", "other"]
Housing = Literal["owner", "mortgage", "rent", "family"]
Region = Literal["north", "east", "south", "west", "centre"]
Channel = Literal["branch", "online", "broker"]

CATEGORIES: Final[dict[str, tuple[str, ...]]] = {
    "employment": get_args(Employment),
    "purpose": get_args(Purpose),
    "housing": get_args(Housing),
    "region": get_args(Region),
    "channel": get_args(Channel),
}

REQUIRED: Final = ("income", "debt_to_income", "loan_amount", "term_months", "months_on_book")
"""Numbers that every application has."""

OPTIONAL: Final = (
    "employment_years",
    "utilisation",
    "delinquencies_24m",
    "months_since_delinquency",
    "inquiries_6m",
    "credit_history_months",
    "open_accounts",
    "overdraft_days_12m",
    "savings",
)
"""Numbers that may be missing: no job, no credit file, no revolving limit, never late, no account with the lender."""

NUMBERS: Final = (*REQUIRED, *OPTIONAL)

COLUMNS: Final = ("entity", "time", *NUMBERS, *CATEGORIES, "outcome_at", "defaulted", "known_at")
"""All columns of the raw frame, in their order."""

HORIZON_MONTHS: Final = 12
"""A loan is `defaulted` when it falls 90 days behind within so many months of the decision."""
