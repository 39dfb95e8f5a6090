"""What the allocation rules share: weights from each date's trailing returns alone, computed once a date and played in the environment."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from finml_models.core.errors import DataError, NotExplained
from finml_models.core.estimator import H, OnProgress, Progress, ignore
from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.market import Market
from finml_models.core.predictions import Actions, Rollout
from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training
from finml_models.training.policy import PolicyEstimator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch, Float
    from finml_models.environments.portfolio import History

SCALE = 1e4
"""Covariances of daily returns in per cent², so that solvers see numbers near 1."""

CAVEAT = "Shares say where the risk of these weights is expected, not why the rule chose them; covariances of so few returns are noisy."


class AllocationHyperparameters(Hyperparameters):
    """Nothing to choose: the window is the task's."""


def card(
    name: str, description: str, *, strengths: tuple[str, str], weaknesses: tuple[str, str], best_for: str, references: tuple[Paper, ...] = ()
) -> ModelCard:
    """The card of an allocation rule, which learns nothing before it is asked."""
    return ModelCard(
        name=name,
        description=description,
        kinds=frozenset({Kind.MARKET}),
        objectives=frozenset({Objective.CONTROL}),
        hyperparameters=AllocationHyperparameters,
        strengths=strengths,
        weaknesses=weaknesses,
        best_for=(best_for,),
        latency_class=Level.LOW,
        data_requirements=Level.LOW,
        explainability=Level.HIGH,
        training=Training(minimum_samples=20, recommended_samples=100),
        deployment=Deployment(memory_mb=15),
        references=references,
    )


class Allocation(PolicyEstimator[H]):
    """A rule from the trailing returns of the assets that can be held to their weights, estimated anew at each decision.

    It learns nothing in a fit: its window ends at the close that it decides at, and takes in what the split left out before it.
    """

    seeded = False

    @abstractmethod
    def weights(self, past: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, m) weights of m assets on n dates, from their returns up to each date (n, window, m), oldest first."""

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        for name, batch in (("train", train), ("valid", valid)):
            self.market(name, batch)
        on_progress(Progress(epoch=1, epochs=1, step=1, steps=1, loss=0.0, seconds_left=0.0))
        return self

    def predict(self, batch: Batch) -> Rollout | Actions:
        from finml_models.environments.portfolio import EVERY, LEAD, PortfolioMarket, PortfolioStates, actions_of

        if isinstance(batch, Market):
            if not isinstance(batch, PortfolioMarket):
                raise DataError(f"batch: an allocation rule holds portfolios, not the episodes of a {type(batch).__name__}")
            self.check(batch)
            members = batch.members
            rows = batch.row[:, None] + EVERY * np.arange(-LEAD, 1)
            wanted = self._on(batch.history, rows.ravel(), np.repeat(members, LEAD + 1, axis=0)).reshape(*rows.shape, -1)
            return self._played(batch, actions_of(wanted.reshape(-1, wanted.shape[-1])).reshape(wanted.shape))
        if not isinstance(batch, PortfolioStates):
            raise DataError(f"batch: an allocation rule decides in the states of portfolios, not of {type(batch).__name__}")
        return Actions(self._on(batch.history, batch.row, batch.members).astype(np.float32), batch.history.assets)

    def explain(self, batch: Batch) -> Explanation:
        """What each asset brings to the variance that is expected of the portfolio: the rule reads nothing but trailing returns."""
        from finml_models.environments.portfolio import WINDOW, PortfolioStates, weights_of

        if not isinstance(batch, PortfolioStates):
            raise NotExplained(f"batch: an allocation rule explains its weights in states of portfolios, not in {type(batch).__name__}")
        batch = batch.laid_out(self.signature.actions)
        weights = weights_of(np.stack(list(self.predict(batch).columns().values()), axis=1), batch.members)
        shares = np.full(weights.shape, np.nan, np.float32)
        for row, (date, held) in enumerate(zip(batch.row, batch.members, strict=True)):
            own = weights[row, held]
            borne = own * (covariances(batch.history.trailing(int(date), held)[None])[0] @ own)
            shares[row, held] = borne / borne.sum() if borne.sum() > 0 else 0.0
        said = "share of the portfolio's expected variance that the asset brings at its weight; a row sums to 1, assets that cannot be held are empty"
        part = Attribution("assets", batch.history.assets, shares, said)
        return Explanation(f"risk contributions (Euler) under the shrunk covariance of {WINDOW} trailing returns", CAVEAT, (part,))

    def act(self, observations: Float) -> Float:
        """An observation does not hold the returns that covariances are estimated from: `predict` reads them itself."""
        raise DataError(f"{type(self).__name__}: {len(observations)} observations hold no trailing returns; give `predict` the market or its states")

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Nothing was learned."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to take."""

    def _played(self, batch: Market, plan: NDArray[np.float32]) -> Rollout:
        """Every episode under its planned actions (n, steps, a)."""
        every = np.arange(len(batch), dtype=np.int64)
        environment = batch.environment(len(batch))
        environment.begin(every, every)
        for step in range(batch.steps):
            environment.step(plan[:, step])
        return Rollout(environment.outcome())

    def _on(self, history: History, rows: NDArray[np.int64], members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(n, a) weights on these dates; equal questions are asked once."""
        found = np.zeros(members.shape)
        key = np.concatenate([rows[:, None], members], axis=1)
        unique, back = np.unique(key, axis=0, return_inverse=True)
        groups, group = np.unique(unique[:, 1:], axis=0, return_inverse=True)
        answers = np.zeros((len(unique), members.shape[1]))
        for number, held in enumerate(groups.astype(np.bool_)):
            at = np.flatnonzero(group.ravel() == number)
            past = np.stack([history.trailing(int(row), held) for row in unique[at, 0]])
            answers[np.ix_(at, np.flatnonzero(held))] = self.weights(past)
        found[:] = answers[back.ravel()]
        return found


def covariances(past: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m, m) Ledoit and Wolf's shrunk covariance (Journal of Multivariate Analysis 88(2), 2004) of returns (n, window, m), in per cent²."""
    from sklearn.covariance import ledoit_wolf

    return np.stack([ledoit_wolf(returns)[0] for returns in past]) * SCALE
