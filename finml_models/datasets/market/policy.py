"""What is done about each defect of a market frame, and the count of what was done."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from finml_models.core.spec import Frozen

Action = Literal["refuse", "drop"]
PartAction = Literal["refuse", "drop", "ignore"]


class Policy(Frozen):
    """Refuse or repair, a defect. The defaults are for files and tables; `Policy.strict()` is for requests.

    Whatever the policy: unsorted rows are sorted, conflicting rows of one entity and session are refused, gaps are counted
    and never filled, suspected splits are reported and never changed.
    """

    exact_duplicates: Action = "drop"
    missing_prices: Action = "drop"
    bad_prices: Action = Field("refuse", description="prices that are zero, negative or infinite; negative or infinite volumes")
    bad_variances: Action = Field("refuse", description="realised variances that are zero, negative or infinite")
    partial_variances: PartAction = Field(
        "refuse", description="an asset with a realised variance on some rows only: drop the rows without one, or ignore those that it has"
    )
    variance_scale: float = Field(
        10, gt=1, description="factor between an asset's realised variance and its squared returns from which the unit is wrong: refused"
    )
    contradictory_bars: Action = Field("refuse", description="a high below, or a low above, another price of its bar")
    rounding: float = Field(1e-6, ge=0, le=1e-3, description="relative contradiction that is rounding: the bar is widened")
    non_sessions: Action = Field("drop", description="rows on days without a session")
    non_session_share: float = Field(0.01, ge=0, le=1, description="share of such rows above which the calendar must be wrong: refused")
    longest_gap: int = Field(22, ge=0, description="sessions that may be missing in a row; weekdays where no calendar is given")
    minimum_rows: int = Field(2, ge=1, description="rows that each entity needs")
    split_tolerance: float = Field(0.02, gt=0, le=0.1, description="distance of a log return from the log of a split ratio")
    time_zone: str = Field("America/New_York", description="the exchange's zone, where no calendar says it")

    @classmethod
    def strict(cls, *, minimum_rows: int = 1, longest_gap: int = 10) -> Policy:
        """For requests: what the client must fix is refused."""
        return cls(
            exact_duplicates="refuse",
            missing_prices="refuse",
            bad_prices="refuse",
            bad_variances="refuse",
            partial_variances="refuse",
            contradictory_bars="refuse",
            non_sessions="refuse",
            non_session_share=0,
            minimum_rows=minimum_rows,
            longest_gap=longest_gap,
        )


class Gap(Frozen):
    """Sessions missing in a row, between two sessions that are there."""

    entity: str
    after: date
    before: date
    sessions: int


class Split(Frozen):
    """A return that looks like an unadjusted split: `ratio` new shares for one old share, below 1 for a reverse split."""

    entity: str
    time: date
    ratio: float


class Repairs(Frozen):
    """What the rules did, by rule. `rows_in` = `rows_out` + the rows dropped."""

    rows_in: int
    rows_out: int
    unsorted: int = Field(0, description="breaks in the order by entity and time; sorted")
    exact_duplicates: int = Field(0, description="dropped")
    missing_prices: int = Field(0, description="dropped")
    bad_prices: int = Field(0, description="dropped")
    bad_variances: int = Field(0, description="dropped")
    partial_variances: int = Field(0, description="rows without a realised variance, of assets that have one on other rows; dropped")
    ignored_variances: int = Field(0, description="realised variances left out: their asset has one on some rows only")
    contradictory_bars: int = Field(0, description="dropped")
    non_sessions: int = Field(0, description="dropped")
    widened_bars: int = Field(0, description="high or low moved by a rounding error")
    converted_times: int = Field(0, description="timestamps turned into the exchange's session date")
    zero_volumes: int = Field(0, description="kept: no trade, or an index without a volume")
    missing_sessions: int = Field(0, description="kept open")
    longest_gap: Gap | None = None
    suspected_splits: tuple[Split, ...] = Field((), description="kept as they are")

    @property
    def dropped(self) -> int:
        """Rows that were left out."""
        values = self.missing_prices + self.bad_prices + self.bad_variances + self.partial_variances + self.contradictory_bars
        return self.exact_duplicates + values + self.non_sessions

    def counts(self) -> dict[str, int]:
        """How often each rule applied, those that never did left out; suspected splits are counted too."""
        counts = {name: value for name, value in self if isinstance(value, int) and name not in {"rows_in", "rows_out"}}
        return {name: value for name, value in {**counts, "suspected_splits": len(self.suspected_splits)}.items() if value}

    def notes(self) -> tuple[str, ...]:
        """A sentence for everything that was changed or is suspicious; empty for a clean frame."""
        notes = [
            f"{value} × {name.replace('_', ' ')} ({Repairs.model_fields[name].description})"
            for name, value in self.counts().items()
            if name != "suspected_splits"
        ]
        if (gap := self.longest_gap) is not None:
            notes.append(f"longest gap: {gap.entity} lacks {gap.sessions} session(s) between {gap.after} and {gap.before}")
        notes += [f"suspected unadjusted split: {s.entity} {s.time}, {s.ratio:g} for 1" for s in self.suspected_splits]
        return tuple(notes)
