"""A written waiver: the only way to release what the gate refused, in the open and for a limited time.

One TOML file a pair, `waivers/<task>-<entry>.toml` in the working directory or under `FINML_WAIVERS`:

    task = "volatility_forecasting"
    entry = "gru"
    gate = "volatility_forecasting/2"
    checks = ["latency"]
    reason = "Scored once a night in a batch, where 30 ms a prediction cost nothing."
    author = "A name that can be asked"
    date = 2026-01-15
    expiry = 2026-06-30
"""

from __future__ import annotations

import datetime as dt
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from finml_models.core.errors import DataError
from finml_models.core.spec import Frozen

from .checks import LEAK_ALARM, Check

LONGEST = dt.timedelta(days=180)


class Waiver(Frozen):
    """Who lets which failed checks of which version of a gate pass, why, and until when (that day included)."""

    # Strict, and still readable from the JSON of a report, where a date is a string and a tuple an array.
    model_config = ConfigDict(strict=True)

    task: str = Field(min_length=1)
    entry: str = Field(min_length=1)
    gate: str = Field(min_length=1, description="version of the gate it was written for")
    checks: tuple[str, ...] = Field(min_length=1, description="names of the checks that may fail")
    reason: str = Field(min_length=40, max_length=2000)
    author: str = Field(min_length=1)
    date: dt.date
    expiry: dt.date

    @field_validator("checks")
    @classmethod
    def _a_leak_is_not_waived(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if LEAK_ALARM in value:
            raise ValueError(f"the {LEAK_ALARM} cannot be waived; find the leak, or change the gate's limit and its version for everyone")
        return value

    @field_validator("reason", "author", mode="before")
    @classmethod
    def _blanks_are_no_words(cls, value: object) -> object:
        return " ".join(value.split()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        if not self.date <= self.expiry <= self.date + LONGEST:
            raise ValueError(f"expiry {self.expiry} must lie between date {self.date} and {self.date + LONGEST}, {LONGEST.days} days later")
        return self

    def objections(self, *, task: str, entry: str, version: str, checks: Iterable[Check], today: dt.date) -> list[str]:
        """Why this waiver does not let a refused gate pass; empty when it does. `checks` are all that the gate looked at."""
        checks = list(checks)
        found = []
        if (self.task, self.entry) != (task, entry):
            found.append(f"it is for {self.task}-{self.entry}, not for {task}-{entry}")
        if self.gate != version:
            found.append(f"it was written for gate {self.gate}, the gate is {version}; read the new rule and write it again")
        if today < self.date:
            found.append(f"it is dated {self.date}, which is still to come")
        if today > self.expiry:
            found.append(f"it expired on {self.expiry}; decide again, and write why")
        if unknown := sorted(set(self.checks) - {check.name for check in checks}):
            found.append(f"this gate has no check {', '.join(map(repr, unknown))}; it has {', '.join(check.name for check in checks)}")
        failed = [check.name for check in checks if check.blocking and not check.passed]
        if LEAK_ALARM in failed:
            found.append(f"the {LEAK_ALARM} cannot be waived")
        if uncovered := [name for name in failed if name not in self.checks and name != LEAK_ALARM]:
            found.append(f"it does not name {', '.join(uncovered)}, which failed too")
        return found


def waiver_for(task: str, entry: str, folder: Path | None = None) -> Waiver | None:
    """The waiver of a pair, from `folder`, else `FINML_WAIVERS`, else `waivers/`; None when there is no file.

    Raises `DataError` on a file that is not a valid waiver: a waiver with a fault in it waives nothing.
    """
    path = (folder or Path(os.environ.get("FINML_WAIVERS", "waivers"))) / f"{task}-{entry}.toml"
    if not path.is_file():
        return None
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        listed = document.get("checks")
        waiver = Waiver.model_validate(document | ({"checks": tuple(listed)} if isinstance(listed, list) else {}))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"waiver {path}: not TOML in UTF-8 ({error}); see the example in `{__name__}`") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'waiver'}: {fault['msg']}" for fault in error.errors())
        raise DataError(f"waiver {path}: {faults}; correct the file or delete it") from error
    if (waiver.task, waiver.entry) != (task, entry):
        raise DataError(f"waiver {path}: it says {waiver.task}-{waiver.entry}; its name and its fields must agree")
    return waiver
