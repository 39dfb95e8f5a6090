"""The reasons of a credit decision in plain words: effects of the factors, told as facts beside the typical ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.datasets.loans.vocabulary import CATEGORIES

from ._credit_factors import LABELS, NUMBERS, Values, stories_of
from ._loans import ReasonCode
from ._reasons import reasons

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from finml_models.core.batches import Table
    from finml_models.core.task import Explainable


def told(batch: Table, explain: Explainable) -> list[tuple[ReasonCode, ...]]:
    """At most four reasons an applicant, strongest first. Raises `KeyError` where there is no typical applicant to compare with."""
    import numpy as np

    middle, common = explain.reference["middle"].copy(), explain.reference["common"]
    if middle[NUMBERS.index("delinquencies_24m")] == 0:
        # Whoever is never late has no month of it; the median month is that of the few who were.
        middle[NUMBERS.index("months_since_delinquency")] = np.nan
    usual = _named(middle, common)
    answers: list[tuple[ReasonCode, ...]] = [()] * len(batch)
    missing = batch.inputs[:, [NUMBERS.index("no_file"), NUMBERS.index("no_account")]] > 0
    for no_file, no_account in np.unique(missing, axis=0).tolist():
        rows = np.flatnonzero((missing == (no_file, no_account)).all(axis=1))
        stories, part = stories_of(no_file=no_file, no_account=no_account), batch.take(rows)
        found = reasons(explain.estimator.predict, part, {"middle": middle, "common": common}, [story.factor for story in stories])
        for i, row in enumerate(found):
            applicant = _named(part.inputs[i], part.codes[i] if part.codes is not None else [0] * len(LABELS))
            answers[rows[i]] = tuple(
                ReasonCode(
                    code=stories[reason.factor].code,
                    direction="raises" if reason.log_odds > 0 else "lowers",
                    log_odds=reason.log_odds,
                    sentence=stories[reason.factor].sentence(applicant, usual),
                )
                for reason in row
            )
    return answers


def _named(values: NDArray[Any], codes: NDArray[Any] | list[int]) -> Values:
    """One row of the table by name."""
    numbers = {name: None if value != value else float(value) for name, value in zip(NUMBERS, values, strict=True)}  # noqa: PLR0124  (NaN)
    return {**numbers, **{name: CATEGORIES[name][code - 1] if code else None for name, code in zip(LABELS, codes, strict=True)}}
