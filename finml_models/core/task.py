"""A use case: what is known when, what is asked, how it is scored, and what a release must hold.

A task file declares and delegates: heavy libraries are imported inside its methods, so that the catalogue stays light.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, Field, field_validator

from .errors import NoOutcome
from .spec import Frozen, Kind, Objective

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame

    from .batches import Batch
    from .estimator import Estimator, Signature
    from .predictions import Prediction
    from .realised import Outcomes, Realised


Unit = Literal["date", "entity"]
"""What is independent of one another among the scored rows: dates, or entities such as applicants and documents."""


class WalkForward(Frozen):
    """Walk-forward: the last `test_share` of the dates, in `folds` blocks, each predicted by a fit on what came before.

    The training period expands from fold to fold, or rolls where `window` is given. Purge and embargo
    are not here: `evaluation.splits` derives them from the task's horizons and history.
    """

    folds: int = Field(3, ge=1, le=50)
    test_share: float = Field(0.3, gt=0, lt=1, description="share of the dates that is scored")
    valid_share: float = Field(0.15, gt=0, lt=1, description="share of each training period, its newest, that decides when to stop")
    window: int | None = Field(None, ge=2, description="dates of each training period, its newest; None keeps all that came before")
    accounts: int | None = Field(
        None, ge=2, le=20, description="groups of entities, each scored by a fit that saw none of them; dates are then days, and labels mature"
    )


class CoverageGuard(Frozen):
    """The share of outcomes inside the central interval of `level` may differ from it by at most `within`, at each horizon by `by_horizon`.

    Pooled alone, too narrow an interval at one horizon would hide behind too wide a one at another.
    """

    level: float = Field(0.9, gt=0, lt=1)
    within: float = Field(0.03, gt=0, lt=1)
    by_horizon: float = Field(0.05, gt=0, lt=1)


class CalibrationGuard(Frozen):
    """The expected calibration error of the probabilities may be at most `within`."""

    within: float = Field(0.05, gt=0, lt=1)


class WorstSliceGuard(Frozen):
    """In no slice (calendar year) may the metric exceed the best baseline's there by more than this share."""

    by: Literal["year"] = "year"
    within: float = Field(0.25, gt=0)


class SeedGuard(Frozen):
    """The standard deviation of the primary metric over seeds is at most this share of its mean: one seed is what gets released."""

    within: float = Field(0.1, gt=0)


class BudgetGuard(Frozen):
    """Latency of one prediction on one CPU core, and size of the artifact."""

    milliseconds: float = Field(20.0, gt=0)
    megabytes: float = Field(50.0, gt=0)


class AlarmGuard(Frozen):
    """False alarms, at the threshold that was set on training rows, are at most `within` times what was promised, and at least 1/`within`."""

    within: float = Field(2.0, gt=1)


class LeakAlarm(Frozen):
    """Results too good to be true: what lies above a limit is a suspected leak, and no waiver releases it. None switches a limit off.

    The first three hold where the task has the metric of that name.
    """

    rank_ic: float | None = Field(0.10, gt=0, description="mean daily rank correlation of forecasts with returns")
    oos_r2: float | None = Field(0.02, gt=0, description="out-of-sample R² of returns against zero")
    net_sharpe: float | None = Field(3.0, gt=0, description="annual Sharpe ratio net of costs")
    improvement: float | None = Field(None, gt=0, lt=1, description="share by which the primary metric lies below the best baseline's")


class Gate(Frozen):
    """What a model must hold to be released; data, so that a report can show the very rule it was judged by.

    A guard that means nothing for a task, such as coverage where nothing is predicted with an interval, is None.
    """

    version: str
    naive: tuple[str, ...] = Field(min_length=1, description="baselines, or ablations of the model, that must each be beaten significantly")
    ablations: tuple[str, ...] = Field((), description="ablations that a model whose card has them must each beat significantly too")
    margin: float = Field(gt=0, description="non-inferiority margin, as a share of the best baseline's metric")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="level of the one-sided tests, after Holm")
    coverage: CoverageGuard | None = CoverageGuard()
    calibration: CalibrationGuard | None = None
    worst_slice: WorstSliceGuard | None = WorstSliceGuard()
    seeds: SeedGuard | None = SeedGuard()
    budget: BudgetGuard | None = BudgetGuard()
    alarms: AlarmGuard | None = None
    leak_alarm: LeakAlarm = LeakAlarm()

    @field_validator("naive", mode="before")
    @classmethod
    def _one_name_is_a_tuple_of_one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class TradingRule(Frozen):
    """How forecasts of returns are traded, so that a report can say what they would earn; data, like the gate, and declared before any result.

    On each date assets are ranked by their point forecast in units of its predicted interval: long above the middle rank, short below,
    absolute weights summing to 1. A forecast over h sessions is held for h of them, in h equal parts; of several horizons each has
    an equal share. Decided at a close, filled at the next one (`evaluation.holdings`).
    """

    version: str
    fee_bp: float = Field(ge=0, description="commission, hundredths of a percent of the value traded")
    half_spread_bp: float = Field(ge=0, description="half the quoted spread, hundredths of a percent of the value traded")
    borrow_rate: float = Field(0.0, ge=0, le=1, description="a year, as a share of the value of short positions")


class Explainable(Protocol):
    """What an artifact holds that can explain a prediction: the model, and the typical inputs of its training."""

    @property
    def estimator(self) -> Estimator[Any]: ...
    @property
    def reference(self) -> Mapping[str, NDArray[Any]]: ...


class Task(ABC):
    """A use case. The id is the name of its file; a task with abstract methods left is listed as not built."""

    name: ClassVar[str]
    description: ClassVar[str]
    dataset: ClassVar[str]
    """Kind of raw data, the name of a package under `finml_models.datasets`."""
    default_dataset: ClassVar[str | None] = None
    """Registered dataset that the task is run on where none is named; None takes the default of its kind."""
    objective: ClassVar[Objective]
    kinds: ClassVar[tuple[Kind, ...]]
    """Views that the task offers; each is a method of that name."""
    horizons: ClassVar[tuple[int, ...]] = ()
    """Steps ahead, in rows of the raw data; the largest one is the purge."""
    levels: ClassVar[tuple[float, ...]] = ()
    """Quantile levels of a forecast."""
    history: ClassVar[int] = 1
    """Raw rows that one prediction needs; also the embargo."""
    split: ClassVar[WalkForward] = WalkForward()
    whole: ClassVar[str | None] = None
    """Entity of the one row a date that is about all raw rows together, such as the market; None where each entity has rows of its own."""
    unit: ClassVar[Unit] = "date"
    """What tests and intervals take for one observation."""
    costs: ClassVar[Mapping[str, float]] = {}
    """What decisions pay, by the fields of `evaluation.costs.CostModel`; a task that has some gets a strategy section in its reports."""
    metrics: ClassVar[tuple[str, ...]]
    """Names in `evaluation.metrics`; the first decides."""
    baselines: ClassVar[tuple[str, ...]]
    gate: ClassVar[Gate]
    trading: ClassVar[TradingRule | None] = None
    """How a report trades the forecasts, where they are of returns and the shortest horizon is one session."""
    cross_section: ClassVar[bool] = False
    """Whether other entities' rows are part of an entity's input, as a market average or a neighbour is."""
    notes: ClassVar[tuple[str, ...]] = ()
    """What whoever reads a result of this use case must know, a sentence each."""
    include: ClassVar[Mapping[str, str]] = {}
    """Models beyond the rule of kinds and objectives, each with the reason."""
    exclude: ClassVar[Mapping[str, str]] = {}
    """Models that the rule admits and the task does not, each with the reason."""
    request: ClassVar[type[BaseModel]]
    response: ClassVar[type[BaseModel]]
    outcome: ClassVar[type[BaseModel] | None] = None
    """What is reported of an entity once it came true; None where nothing that comes later scores a single answer."""
    unscored: ClassVar[str] = "what comes later scores a history of its answers, not a single one; run its walk-forward evaluation on newer data"
    """Why there is no `outcome`, and what to do instead."""
    loss: ClassVar[str | None] = None
    """Metric with a value a row by which single answers are compared; None takes the first of `metrics`."""

    @classmethod
    def id(cls) -> str:
        """The name of the task's file."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def source(cls) -> str:
        """The name of the raw data that it shares with other tasks: its kind, or its own default dataset."""
        return cls.default_dataset or cls.dataset

    def known(self, raw: DataFrame, at: np.datetime64) -> DataFrame:
        """The raw rows as they were known at a time: none that came later, and no outcome that did."""
        return raw[raw["time"] <= at].reset_index(drop=True)

    def asked(self, raw: DataFrame, entities: int) -> DataFrame:
        """What a client would ask about: of the `entities` with the newest rows, as many rows as one prediction needs."""
        newest = raw.groupby("entity", sort=True)["time"].max().sort_values(ascending=False, kind="stable").index[:entities]
        return raw[raw["entity"].isin(newest)].groupby("entity").tail(self.history)

    @abstractmethod
    def features(self, raw: DataFrame) -> DataFrame:
        """Causal features: row t may use raw rows up to t. Columns `entity`, `time`, then one a feature."""

    @abstractmethod
    def target(self, raw: DataFrame) -> DataFrame:
        """What came after: row t uses raw rows t+1 to t+horizon. Columns `entity`, `time`, then one a horizon; NaN where the future is not there yet."""

    @abstractmethod
    def view(self, kind: Kind, x: DataFrame, y: DataFrame | None = None) -> Batch:
        """The features (and target) as a batch of this kind.

        All kinds hold the same rows in the same order, (time, entity), so that models of different kinds are
        compared row by row. With `y`, rows without a complete target are left out.
        """

    @abstractmethod
    def signature(self, batch: Batch) -> Signature:
        """The description of a batch of this task."""

    def corpora(self, raw: DataFrame) -> frozenset[str]:
        """The published collections that raw rows come from, where rows say so; a model tuned on one of them knows its answers."""
        del raw
        return frozenset()

    def facts(self, batch: Batch) -> Mapping[str, NDArray[Any]]:
        """What metrics need of each row beside target and prediction, (n,) by name: an amount, a number of words."""
        del batch
        return {}

    def scored(self, batch: Batch) -> Batch:
        """The rows that answers to a batch are scored on: its own, or the decisions that forecasts of its rows are made into."""
        return batch

    def decide(self, batch: Batch, predict: Callable[[Batch], Prediction]) -> Prediction:
        """What is scored on `scored(batch)`: the predictions themselves, or what came of decisions that the task makes of them."""
        return predict(batch)

    def answered(self, batch: Batch) -> Mapping[str, np.datetime64]:
        """By entity of a request, the newest row that its answer is made from."""
        return dict(zip(batch.entity.tolist(), batch.time, strict=True))

    def realised(self, answer: Mapping[str, Any], outcomes: Outcomes) -> tuple[Realised, ...]:
        """What came true of a stored answer (its JSON), as far as it is known; raises `NoOutcome` where the use case has none."""
        del answer, outcomes
        raise NoOutcome(f"{self.id()} has no outcome for a single answer: {self.unscored}")

    def came_true(self, target: tuple[float, ...]) -> BaseModel:
        """The `outcome` that a row of `target` says, its columns in their order; raises `NoOutcome` where the use case has none."""
        del target
        raise NoOutcome(f"{self.id()} has no outcome for a single answer: {self.unscored}")

    @classmethod
    def read(cls, body: bytes) -> BaseModel:
        """A body as a validated request; raises `ValidationError`.

        A use case may read what is plainly valid in a way of its own, as long as `request` says of every other body what is wrong with it.
        """
        return cls.request.model_validate_json(body)

    @abstractmethod
    def raw(self, request: BaseModel) -> DataFrame:
        """The rows of a validated request as the raw data that training saw; raises `DataError`."""

    def newest(self, request: BaseModel, kind: Kind) -> tuple[Batch, Mapping[str, np.datetime64]]:
        """The newest row of each entity of a validated request as a batch of this kind, and by entity its newest raw row; raises `DataError`.

        By way of the frames that training takes. A use case may overrule it with arrays, to the bit: for a small request frames cost ten
        times what a network does.
        """
        import numpy as np

        from .batches import newest

        rows = self.raw(request)
        # They are sorted by (entity, time).
        names, times = rows["entity"].to_numpy(object), rows["time"].to_numpy()
        last = np.flatnonzero(np.append(names[1:] != names[:-1], True))
        return newest(self.view(kind, self.features(rows))), dict(zip(names[last], times[last], strict=True))

    @abstractmethod
    def respond(self, batch: Batch, prediction: Any, *, version: str, warnings: tuple[str, ...] = (), explain: Explainable | None = None) -> BaseModel:
        """The answer to a request: the predictions of a batch, of the kind of the objective, in the terms of the use case.

        `explain` is for tasks that owe reasons; the others have no use for it.
        """
