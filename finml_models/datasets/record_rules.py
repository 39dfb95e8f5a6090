"""What is done about each defect of a table of records, and the count of what was done."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from finml_models.core.spec import Frozen

Action = Literal["refuse", "drop"]


class RecordPolicy(Frozen):
    """Refuse or repair, a defect.

    Whatever the policy: unsorted rows are sorted, two rows of one entity and moment that differ are refused, and so are texts
    where numbers belong, and values outside the bounds of the kind's schema.
    """

    exact_duplicates: Action = "drop"
    missing_values: Action = Field("refuse", description="rows without a value in a column that every row needs")


class RecordRepairs(Frozen):
    """What the rules did, by rule. `rows_in` = `rows_out` + the rows dropped."""

    rows_in: int
    rows_out: int
    unsorted: int = Field(0, description="breaks in the order by entity and time; sorted")
    exact_duplicates: int = Field(0, description="dropped")
    missing_values: int = Field(0, description="rows dropped")
    converted_times: int = Field(0, description="timestamps turned into the kind's zone, or into a date")
    of_the_kind: dict[str, int] = Field(default_factory=dict, description="what the rules of the kind did")

    def counts(self) -> dict[str, int]:
        """How often each rule applied, those that never did left out."""
        own = {name: value for name, value in self if isinstance(value, int) and name not in {"rows_in", "rows_out"}}
        return {name: value for name, value in {**own, **self.of_the_kind}.items() if value}
