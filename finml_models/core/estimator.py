"""The contract of everything that can be trained: hyperparameters and a signature in, weights and words out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

from pydantic import Field

from .spec import Frozen, Hyperparameters, Kind, Objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .batches import Batch
    from .explanations import Explanation
    from .predictions import Prediction

H = TypeVar("H", bound=Hyperparameters)


class Signature(Frozen):
    """The description of a batch that is saved with the weights: what a model was built for and may be asked."""

    kind: Kind
    objective: Objective
    feature_names: tuple[str, ...]
    horizons: tuple[int, ...] = ()
    levels: tuple[float, ...] = Field((), description="quantile levels, ascending")
    length: int = Field(0, ge=0, description="rows in a window; 0 for a table")
    static_names: tuple[str, ...] = ()
    known_names: tuple[str, ...] = Field((), description="inputs known ahead of time, such as the calendar")
    loss: str = Field("squared", description="loss of the point forecast: 'squared', or 'qlike' on a log-variance target")
    classes: tuple[str, ...] = Field((), description="names of the classes, in the order of their numbers")
    category_names: tuple[str, ...] = Field((), description="columns of a table that hold categories")
    category_sizes: tuple[int, ...] = Field((), description="known categories of each such column; numbers run from 1 to it, 0 is unknown")
    monotone: tuple[int, ...] = Field((), description="what an expert expects of each feature: 1 more of it, more of the last class; -1 less; 0 no claim")
    actions: tuple[str, ...] = Field((), description="what a policy decides, each between 0 and 1")

    alarm_rate: float = Field(0.0, ge=0, lt=1, description="share of ordinary rows that may raise an alarm; it sets the threshold on training rows")

    @property
    def features(self) -> int:
        """Number of input features a row."""
        return len(self.feature_names)


class TrainingConfig(Frozen):
    """How a model is trained, apart from what it is; the second half of a run's configuration."""

    learning_rate: float = Field(1e-3, ge=1e-6, le=1.0, description="peak step size of AdamW", json_schema_extra={"scale": "log"})
    weight_decay: float = Field(1e-4, ge=0.0, le=1.0, description="decoupled weight decay of AdamW")
    batch_size: int = Field(256, ge=1, le=65_536, description="samples a step", json_schema_extra={"scale": "log"})
    max_epochs: int = Field(20, ge=0, le=10_000, description="passes over the training rows; 0 leaves the network untrained")
    patience: int = Field(4, ge=1, le=1_000, description="epochs without a better validation loss before stopping")
    gradient_clip: float = Field(1.0, gt=0.0, le=1e6, description="largest gradient norm")
    stride: int = Field(
        1,
        ge=1,
        le=1_000,
        description="an epoch trains on every n-th date, for labels overlap, the next epoch on the next ones; beside a rare class, on every n-th other row",
    )
    calibrate: bool = Field(True, description="move predicted quantiles until they hold their levels on the validation rows")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="seed of weights, batches and dropout")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda)$", description="'auto' takes CUDA when it is present")
    precision: str = Field("32-true", pattern=r"^(32-true|bf16-mixed)$", description="arithmetic of the training; 'bf16-mixed' is for GPUs")


@dataclass(frozen=True, slots=True)
class Progress:
    """One event of a fit. `seconds_left` is an upper estimate: early stopping may end it sooner."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    metric: float | None = None
    seconds_left: float | None = None


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """The listener that does nothing."""


class Estimator(ABC, Generic[H]):
    """Hyperparameters + signature → `fit` → `predict`; `state` / `restore` as arrays.

    `state()` holds all that a fitted estimator needs besides its two constructor arguments, scalers included, so that
    `restore(state())` on a fresh instance predicts the same bits.
    """

    seeded: ClassVar[bool] = True
    """Whether a fit depends on `config.seed`; where it does not, one seed says it all."""
    explains: ClassVar[Literal["answer", "spread"]] = "answer"
    """What of a forecast an explanation by replacement is about: its point, or, where the point says nothing, the width of its interval."""
    resume_folder: Path | None = None
    """Where a fit keeps its newest epoch, to go on from after it was killed. Estimators that fit at once have no use for it."""
    typical: Mapping[str, NDArray[Any]] | None = None
    """The typical inputs of the training rows, as an artifact keeps them: what an explanation by replacement puts in the place of a row's own."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever reads a result must know of the fitted model, a sentence each, such as whose weights it started from."""
        return ()

    def contaminated_by(self, corpora: Collection[str]) -> tuple[str, ...]:
        """Which of these sources of rows the model had seen the labels of before any training here: a score on them is worth nothing."""
        del corpora
        return ()

    def __init__(self, hyperparameters: H, signature: Signature, config: TrainingConfig | None = None) -> None:
        self.hyperparameters = hyperparameters
        self.signature = signature
        self.config = config or TrainingConfig()

    @abstractmethod
    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from `train`. `valid` is later: it decides when to stop, or is learned from too where nothing is stopped."""

    @abstractmethod
    def predict(self, batch: Batch) -> Prediction:
        """One prediction a row of the batch, in its order, each independent of the others."""

    def explain(self, batch: Batch) -> Explanation:
        """What each input did to the prediction of each row of a small batch. Raises `NotExplained` where the model cannot say.

        By default inputs are replaced by typical ones (`core.replacement`), for which `typical` must be set, as `artifact.load` does.
        """
        from .replacement import by_replacement

        return by_replacement(self, batch)

    @abstractmethod
    def state(self) -> Mapping[str, NDArray[Any]]:
        """All learned arrays by name."""

    @abstractmethod
    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of `state()`; raises `KeyError` or `ValueError` when they do not fit."""


@runtime_checkable
class Embeds(Protocol):
    """An estimator that has a vector for each row besides its answer."""

    def embed(self, batch: Batch) -> NDArray[Any]:
        """(n, width) the embedding of each row, independent of the others."""
        ...
