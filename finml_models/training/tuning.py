"""The search for hyperparameters, on rows that no report scores.

The outer split of a task scores its newest dates. A search that looked at them would choose what suits them, and the report would then praise the
choice with the rows it was made by. So the raw rows are cut before the first scored date (`Task.known`), features and targets are computed again from
what is left, and the task's own split makes inner folds of that. The objective is the mean of the task's first metric over the inner folds, one seed for
all. The search is the tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter optimization", 2011); after each fold an attempt
that is worse than the median of the earlier ones at that fold is given up.

Every fit is a trial of the ledger: the tests of a report pay for all that was tried.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finml_models.core.errors import DataError, FinmlError, LeaseHeld, LedgerUnavailable, TooFewSamples
from finml_models.evaluation import splits
from finml_models.evaluation.backtest import Listeners, Walk
from finml_models.evaluation.metrics import metric
from finml_models.evaluation.trials import Trials

from .checkpoint import Checkpoints
from .search_space import search_space
from .tuning_report import Attempt, State

if TYPE_CHECKING:
    import optuna
    from pandas import DataFrame

    from finml_models.core.batches import Batch
    from finml_models.core.catalog import Pair
    from finml_models.core.estimator import TrainingConfig
    from finml_models.core.spec import Hyperparameters

RANDOM_ATTEMPTS = 8
"""Attempts drawn at random before the sampler learns from them."""
UNPRUNED_ATTEMPTS = 4
"""Whole attempts that the median is taken of, at least."""
STEP = np.timedelta64(1, "us")

_REASON, _REPEATS, _FOLDS = "reason", "repeats", "folds"


@dataclass(frozen=True, slots=True)
class Step:
    """What just happened in a search: an attempt (from 1) of so many has scored a fold, or has ended in a `state`. Seconds left are an estimate."""

    attempt: int
    attempts: int
    fold: int
    folds: int
    state: State | None = None
    value: float | None = None
    best: float | None = None
    default: float | None = None
    seconds_left: float | None = None


OnStep = Callable[[Step], None]


def first_scored(pair: Pair, raw: DataFrame) -> np.datetime64:
    """The earliest date that a report on these raw rows scores."""
    task = pair.task()
    batch = task.view(pair.kind, task.features(raw), task.target(raw))
    return min(fold.test_start for fold in splits.of_task(pair.task, batch))


def inner(pair: Pair, raw: DataFrame, before: np.datetime64) -> Batch:
    """What was known before a moment, as a batch: features, targets and labels of none but earlier rows."""
    task = pair.task()
    known = task.known(raw, before - STEP)
    return task.view(pair.kind, task.features(known), task.target(known))


@dataclass
class Search:
    """A study of one pair on one inner batch, kept in `folder` (a database and a lease), so that a killed one goes on where it stood."""

    pair: Pair
    batch: Batch
    config: TrainingConfig
    seed: int
    trials: Callable[[Hyperparameters], Trials]
    """Where the fits of a configuration are counted."""
    folder: Path
    only: tuple[str, ...] = ()
    """The hyperparameters to search; all that the card lets be searched where none is named."""
    on_step: OnStep = lambda step: None
    on_progress: Callable[[int], Listeners] = lambda attempt: lambda fold, seed: lambda progress: None
    """on_progress(attempt)(fold, seed) listens to one fit."""
    clock: Callable[[], float] = time.monotonic
    timed_out: bool = field(default=False, init=False)

    def run(self, attempts: int, timeout: float | None = None) -> tuple[Attempt, ...]:
        """All attempts of the study, at least this many unless the time is over: none is begun after `timeout` seconds but the default.

        Raises `FinmlError` for an entry without hyperparameters or when every attempt failed, `DataError` (`TooFewSamples`) where the rows are too
        few for inner folds, `LeaseHeld` when another process runs this study.
        """
        if not self.space:
            raise FinmlError(f"{self.pair.id}: {self.pair.entry.id} has nothing to search; name an entry that has hyperparameters")
        self.folds = self._inner_folds()
        with Checkpoints(self.folder).lease(), self._opened() as study:
            self._forget_interrupted(study)
            ended = self._ended(study)
            began, known = self.clock(), len(ended)

            def left(done: float) -> float | None:
                return (self.clock() - began) / (done - known) * (attempts - done) if done > known else None

            while len(ended) < attempts:
                if ended and timeout is not None and self.clock() - began >= timeout:
                    self.timed_out = True
                    break
                self._attempt(study, ended, attempts, left)
                ended = self._ended(study)
        if not any(attempt.state == "complete" for attempt in ended):
            raise FinmlError(f"{self.pair.id}: all {len(ended)} attempts failed, the first one with: {ended[0].reason}")
        return tuple(ended)

    @property
    def space(self) -> Mapping[str, Any]:
        """Distributions by hyperparameter."""
        return search_space(self.pair.entry.card.hyperparameters, self.only)

    @property
    def lower_is_better(self) -> bool:
        """Direction of the task's first metric."""
        return metric(self.pair.task.metrics[0]).lower_is_better is not False

    def _attempt(self, study: optuna.Study, ended: list[Attempt], attempts: int, left: Callable[[float], float | None]) -> None:
        import optuna

        number = len(ended)
        # Seeded by its number: what is proposed follows from the attempts before it, not from which process proposes.
        study.sampler = optuna.samplers.TPESampler(seed=(self.seed * 1_000_003 + number) % 2**32, n_startup_trials=RANDOM_ATTEMPTS)
        if number == 0 and not study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.WAITING]):
            default = self.pair.entry.card.hyperparameters().model_dump()
            study.enqueue_trial({name: default[name] for name in self.space})
        trial = study.ask(dict(self.space))
        values: list[float] = []

        def tell(state: State | None) -> None:
            self.on_step(self._step(ended, attempts, values, state, left(number + (1.0 if state else len(values) / self.folds))))

        state = self._evaluate(trial, ended, values, tell)
        trial.set_user_attr(_FOLDS, values)
        if state == "complete":
            study.tell(trial, float(np.mean(values)))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED if state == "pruned" else optuna.trial.TrialState.FAIL)
        tell(state)

    def _evaluate(self, trial: optuna.Trial, ended: list[Attempt], values: list[float], tell: Callable[[None], None]) -> State:
        """Fit and score fold after fold; `values` grows with them."""
        chosen = self._configuration(trial.params)
        same = next((a for a in ended if a.state == "complete" and a.hyperparameters == chosen.model_dump(mode="json")), None)
        if same is not None:
            trial.set_user_attr(_REPEATS, same.number)
            values += same.folds
            return "complete"
        try:
            for fit, _ in Walk(self.pair, self.batch, chosen, self.config, (self.seed,), self.trials(chosen)).scores(self.on_progress(len(ended))):
                assert fit.value is not None  # noqa: S101 - fits of folds are scored
                values.append(fit.value)
                trial.report(float(np.mean(values)), len(values))
                tell(None)
                if len(values) < self.folds and trial.should_prune():
                    return "pruned"
        except (LeaseHeld, LedgerUnavailable, TooFewSamples):
            raise
        except Exception as error:
            # A corner of the box that cannot be trained must not end the study; the default is no corner.
            if not ended and not isinstance(error, FinmlError):
                raise
            trial.set_user_attr(_REASON, f"{type(error).__name__}: {error}")
            return "failed"
        return "complete"

    def _step(self, ended: list[Attempt], attempts: int, values: list[float], state: State | None, seconds_left: float | None) -> Step:
        value = float(np.mean(values)) if values else None
        whole = [a.value for a in ended if a.value is not None] + ([value] if state == "complete" and value is not None else [])
        best = (min if self.lower_is_better else max)(whole, default=None)
        default = ended[0].value if ended else value if state == "complete" else None
        return Step(len(ended) + 1, attempts, len(values), self.folds, state, value, best, default, seconds_left)

    def _configuration(self, params: Mapping[str, Any]) -> Hyperparameters:
        return self.pair.entry.card.hyperparameters.model_validate(dict(params))

    def _ended(self, study: optuna.Study) -> list[Attempt]:
        """The attempts that ended by themselves, in their order: those that were interrupted are forgotten."""
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        found = []
        for trial in study.get_trials(deepcopy=False):
            attributes = trial.user_attrs
            if trial.state.name not in names or (trial.state.name == "FAIL" and _REASON not in attributes):
                continue
            found.append(
                Attempt(
                    number=len(found),
                    hyperparameters=self._configuration(trial.params).model_dump(mode="json"),
                    state=names[trial.state.name],
                    value=trial.value if trial.state.name == "COMPLETE" else None,
                    folds=tuple(attributes.get(_FOLDS, ())),
                    repeats=attributes.get(_REPEATS),
                    reason=attributes.get(_REASON, ""),
                )
            )
        return found

    def _forget_interrupted(self, study: optuna.Study) -> None:
        """Trials of a process that is gone: the lease says that nobody works on them. The sampler looks at none that failed."""
        import optuna

        for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def _inner_folds(self) -> int:
        least = self.pair.entry.card.training.minimum_samples
        try:
            folds = splits.of_task(self.pair.task, self.batch)
        except DataError as error:
            raise DataError(f"{self.pair.id}: the {len(self.batch)} rows before the first scored date make no inner folds: {error}") from error
        if (smallest := min(len(fold.train) for fold in folds)) < least:
            raise TooFewSamples(
                f"{self.pair.id}: the first inner fold has {smallest} training rows, the card asks for {least}; what a report scores is left out here, "
                "so tuning takes a longer history than training does: name a dataset that has it"
            )
        return len(folds)

    @contextmanager
    def _opened(self) -> Iterator[optuna.Study]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.folder / 'study.sqlite'}", engine_kwargs={"connect_args": {"timeout": 30}})
        try:
            yield optuna.create_study(
                storage=storage,
                study_name=self.pair.id,
                load_if_exists=True,
                direction="minimize" if self.lower_is_better else "maximize",
                pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_ATTEMPTS),
            )
        finally:
            storage.remove_session()
            storage.engine.dispose()


def study_id(pair: Pair, *, snapshot: str, before: np.datetime64, config: TrainingConfig, seed: int, only: Collection[str], code_version: str) -> str:
    """The identity of a study: attempts under equal ids may be compared with each other. 16 hexadecimal digits."""
    import hashlib

    document = {
        "pair": pair.id,
        "snapshot": snapshot,
        "before": str(before),
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "only": sorted(only),
        "split": pair.task.split.model_dump(mode="json"),
        "hyperparameters": pair.entry.card.hyperparameters.model_json_schema(),
        "code_version": code_version,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
