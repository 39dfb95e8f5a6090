"""What a search for hyperparameters came to, as a document: whoever reads it needs neither the search nor its library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from finml_models.core.errors import UnknownName
from finml_models.core.files import write_atomic
from finml_models.core.home import home
from finml_models.core.spec import Frozen

State = Literal["complete", "pruned", "failed"]


class Attempt(Frozen):
    """One configuration that was tried. `folds` are the metric's values on the inner folds that it got to, `value` their mean when it got to all."""

    number: int
    hyperparameters: dict[str, Any]
    state: State
    value: float | None = None
    folds: tuple[float, ...] = ()
    repeats: int | None = None
    """The earlier attempt with the same hyperparameters, whose value this one took over."""
    reason: str = ""
    """Why it failed."""


class TuningReport(Frozen):
    """The attempts of one study, in their order; the first one is the default."""

    study: str
    task: str
    entry: str
    dataset: str
    snapshot: str
    profile: str
    metric: str
    lower_is_better: bool
    seed: int
    before: str
    """Moment from which on the report scores; no row and no label that reaches it was used."""
    rows: int
    inner_folds: int
    attempts: tuple[Attempt, ...]
    seconds: float
    timed_out: bool = False
    """Whether the time was over before all attempts were begun."""

    @property
    def default(self) -> Attempt:
        """The attempt with the card's own hyperparameters."""
        return self.attempts[0]

    @property
    def best(self) -> Attempt:
        """The attempt with the best value; of equal ones the earliest, so that the default wins a tie."""
        return best_of(self.attempts, lower_is_better=self.lower_is_better)

    @property
    def changes(self) -> dict[str, Any]:
        """The best hyperparameters where they differ from the default's."""
        return {name: value for name, value in self.best.hyperparameters.items() if value != self.default.hyperparameters[name]}

    @property
    def sentence(self) -> str:
        """What the best value is worth, in words."""
        tried = sum(attempt.repeats is None for attempt in self.attempts)
        folds = f"{self.inner_folds} inner folds of rows before {self.before}, which no report scores"
        if self.best.number == self.default.number:
            return f"None of {tried} configurations did better than the default on {folds}: keep the default."
        return (
            f"Chosen as the best of {tried} configurations on {folds}; its value is of those same folds, so it is optimistic. "
            f"All {tried} count as tried in the ledger, and the report on the outer folds decides."
        )


def best_of(attempts: tuple[Attempt, ...], *, lower_is_better: bool) -> Attempt:
    """The complete attempt with the best value, of equal ones the earliest; raises `ValueError` when none is complete."""
    sign = 1.0 if lower_is_better else -1.0
    return min((sign * attempt.value, attempt.number, attempt) for attempt in attempts if attempt.state == "complete" and attempt.value is not None)[2]


def folder() -> Path:
    """Where searches are kept."""
    return home() / "tuning"


def write(run_id: str, report: TuningReport) -> Path:
    """Keep the report under the id of the run that made it."""
    path = folder() / "runs" / f"{run_id}.json"
    write_atomic(path, report.model_dump_json(indent=1).encode())
    return path


def read(run_id: str) -> TuningReport:
    """The report of a run; raises `UnknownName` when there is none."""
    known = {path.stem: path for path in (folder() / "runs").glob("*.json")}
    if run_id not in known:
        raise UnknownName("tuning run", run_id, known)
    return TuningReport.model_validate_json(known[run_id].read_bytes())
