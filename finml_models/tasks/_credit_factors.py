"""The inputs of credit risk, what an expert expects of them, and the factors that its reasons are told in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from finml_models.datasets.loans.vocabulary import CATEGORIES

from ._reasons import Factor

EXPECTED: Final[dict[str, int]] = {
    "income": -1,
    "loan_to_income": 1,
    "debt_to_income": 1,
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
    "no_limit": 0,
    "no_file": 0,
    "no_account": 0,
}
"""Every numeric input, and the sign of its effect on the risk that a credit officer would expect, all else equal."""

NUMBERS: Final = tuple(EXPECTED)
LABELS: Final = tuple(CATEGORIES)

Values = Mapping[str, float | str | None]
"""An applicant's inputs by name, None where one is missing."""


@dataclass(frozen=True, slots=True)
class Story:
    """A factor with the words for it: what it is, its inputs, and how they read for one applicant."""

    code: str
    title: str
    inputs: tuple[str, ...]
    words: Callable[[Values], str]

    @property
    def factor(self) -> Factor:
        """Its positions among the inputs of the table."""
        numbers = tuple(NUMBERS.index(name) for name in self.inputs if name in NUMBERS)
        return Factor(self.code, numbers, tuple(LABELS.index(name) for name in self.inputs if name in LABELS))

    def sentence(self, applicant: Values, usual: Values) -> str:
        """The applicant's facts beside the typical ones."""
        return f"{self.title}: {self.words(applicant)}; typical: {self.words(usual)}."


def _said(name: str, form: Callable[[float], str], missing: str = "not known") -> Callable[[Values], str]:
    def words(values: Values) -> str:
        found = values[name]
        return missing if found is None or isinstance(found, str) else form(found)

    return words


def _category(name: str) -> Callable[[Values], str]:
    return lambda values: str(values[name] or "not known").replace("_", " ")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _months(months: float) -> str:
    return f"{months:.0f} months" if months < 24 else f"{months / 12:.1f} years"


def _opened(months: float) -> str:
    return f"opened {_months(months)} ago"


def _customer(months: float) -> str:
    return _months(months) if months else "no time yet"


def _late(values: Values) -> str:
    count, since = values["delinquencies_24m"], values["months_since_delinquency"]
    if not isinstance(count, float):
        return "no credit file"
    if count == 0:
        return "none"
    return f"{count:.0f}" if not isinstance(since, float) else f"{count:.0f}, the last {since:.0f} months ago"


def _work(values: Values) -> str:
    years = values["employment_years"]
    kind = _category("employment")(values)
    return kind if not isinstance(years, float) else f"{kind} for {years:.1f} years"


STORIES: Final[tuple[Story, ...]] = (
    Story("payment_history", "Payments over 30 days late in the last 24 months", ("delinquencies_24m", "months_since_delinquency"), _late),
    Story("utilisation", "Drawn share of credit limits", ("utilisation", "no_limit"), _said("utilisation", _percent, "no limit")),
    Story("debt_burden", "Debt service over income", ("debt_to_income",), _said("debt_to_income", _percent)),
    Story("income", "Income a year", ("income",), _said("income", "{:,.0f}".format)),
    Story("loan_size", "Loan over a year's income", ("loan_to_income",), _said("loan_to_income", _percent)),
    Story("term", "Term", ("term_months",), _said("term_months", "{:.0f} months".format)),
    Story(
        "credit_history", "Age of the oldest credit account", ("credit_history_months", "no_file"), _said("credit_history_months", _months, "no credit file")
    ),
    Story("inquiries", "Credit inquiries in the last 6 months", ("inquiries_6m",), _said("inquiries_6m", "{:.0f}".format, "no credit file")),
    Story("open_accounts", "Open credit accounts", ("open_accounts",), _said("open_accounts", "{:.0f}".format, "no credit file")),
    Story("relationship", "Customer for", ("months_on_book",), _said("months_on_book", _customer)),
    Story(
        "overdrafts",
        "Days overdrawn in the last 12 months",
        ("overdraft_days_12m", "no_account"),
        _said("overdraft_days_12m", "{:.0f}".format, "no account here"),
    ),
    Story("savings", "Savings held here", ("savings",), _said("savings", "{:,.0f}".format, "no account here")),
    Story("employment", "Employment", ("employment", "employment_years"), _work),
    Story("purpose", "Purpose of the loan", ("purpose",), _category("purpose")),
    Story("housing", "Housing", ("housing",), _category("housing")),
    Story("region", "Region", ("region",), _category("region")),
    Story("channel", "Application through", ("channel",), _category("channel")),
)
"""Every input stands in exactly one story, so that nothing that a model uses can go unnamed."""
FACTORS: Final = tuple(story.factor for story in STORIES)

OF_THE_FILE: Final = ("payment_history", "utilisation", "credit_history", "inquiries", "open_accounts")
OF_THE_ACCOUNT: Final = ("relationship", "overdrafts", "savings")


def stories_of(*, no_file: bool, no_account: bool) -> tuple[Story, ...]:
    """The stories for an applicant. Where a whole source is missing, everything that would come from it is one story: five reasons that
    all say "no credit file" would be one reason five times, and none of them could change without the others."""
    kept = STORIES
    if no_file:
        kept = (_merged("credit_file", "Credit file", OF_THE_FILE, _said("credit_history_months", _opened, "none")), *_without(kept, OF_THE_FILE))
    if no_account:
        kept = (_merged("relationship", "Customer for", OF_THE_ACCOUNT, _said("months_on_book", _customer)), *_without(kept, OF_THE_ACCOUNT))
    return kept


def _merged(code: str, title: str, parts: tuple[str, ...], words: Callable[[Values], str]) -> Story:
    return Story(code, title, tuple(name for story in STORIES if story.code in parts for name in story.inputs), words)


def _without(stories: tuple[Story, ...], parts: tuple[str, ...]) -> tuple[Story, ...]:
    return tuple(story for story in stories if story.code not in parts)
