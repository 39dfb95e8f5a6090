"""Hidden Markov model with normal returns, estimated by `hmmlearn` and filtered here: Hamilton's regimes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from finml_models.core.spec import Deployment, Hyperparameters, Kind, Level, ModelCard, Objective, Paper, Training
from finml_models.training.regimes import Laws, number_of_regimes

from ._regimes import RegimeBaseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Windows

STAY = 0.95
"""Probability of staying that the estimation starts from."""
LOWEST, HIGHEST = 0.4, 2.0
"""Deviations of the calmest and of the wildest regime that it starts from, in those of all days."""


class GaussianHMMHyperparameters(Hyperparameters):
    """How many states are tried."""

    max_regimes: int = Field(4, ge=2, le=6, description="largest number of regimes tried on the training data")


CARD = ModelCard(
    name="Gaussian HMM",
    description="The market's return is normal given a hidden state that follows a Markov chain; the state of the next session by the forward filter "
    "over the window's own returns, never smoothed.",
    kinds=frozenset({Kind.WINDOWS}),
    objectives=frozenset({Objective.REGIMES}),
    hyperparameters=GaussianHMMHyperparameters,
    strengths=("the right model where regimes switch by chance", "says for how long a regime lasts", "decades of evidence for it"),
    weaknesses=("sees returns alone", "normal within a regime: fat tails become regimes of their own", "its likelihood has many maxima"),
    best_for=("returns of one market", "an expert's answer in a second"),
    latency_class=Level.LOW,
    data_requirements=Level.LOW,
    explainability=Level.HIGH,
    training=Training(minimum_samples=250, recommended_samples=2000),
    deployment=Deployment(memory_mb=5),
    references=(
        Paper(
            title="A New Approach to the Economic Analysis of Nonstationary Time Series and the Business Cycle",
            year=1989,
            link="https://doi.org/10.2307/1912559",
        ),
    ),
    implementation="https://github.com/hmmlearn/hmmlearn",
)


class GaussianHMM(RegimeBaseline[GaussianHMMHyperparameters]):
    """p(s(t+1) | returns of the window) and N(mean, std) of the next return in each state.

    The state is that of the session whose return is predicted: the filtered probability of today's, moved one step by the chain.
    A window starts from the chain's stationary law. Shapes: transition (k, k), row i the law of the state after i.
    """

    transition: NDArray[np.float64]

    def learn(self, known: Windows, following: NDArray[np.float64]) -> None:
        # One sequence from the first window's start to the newest day: the returns between the parts are of the past too.
        column, ends = self.column("market_return"), known.end
        sequence = known.panel[0, max(int(ends.min()) - known.length + 1, 0) : int(ends.max()) + 1, column].astype(np.float64)
        windows = self._returns(known)
        first_newer = len(sequence) - 1 - (ends.max() - ends)

        def score(number: int, older: slice, newer: slice) -> NDArray[np.float64]:
            laws, transition = estimated(sequence[: int(first_newer[older][-1]) + 1], number)
            return laws.log_density(filtered(windows[newer], laws, transition), following[newer])

        self.laws, self.transition = estimated(sequence, number_of_regimes(self.hyperparameters.max_regimes, len(known), score))

    def probabilities(self, windows: Windows) -> NDArray[np.float64]:
        return filtered(self._returns(windows), self.laws, self.transition)

    def state(self) -> Mapping[str, NDArray]:
        return {**super().state(), "transition": self.transition}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        super().restore(state)
        self.transition = state["transition"]

    def _returns(self, windows: Windows) -> NDArray[np.float64]:
        return windows.gather(self.column("market_return")).astype(np.float64)


def estimated(returns: NDArray[np.float64], number: int) -> tuple[Laws, NDArray[np.float64]]:
    """Laws and transition of `number` states by expectation-maximisation, calmest first."""
    from hmmlearn.hmm import GaussianHMM as Estimate

    # hmmlearn's floors and priors are meant for data of unit size.
    centre, scale = float(returns.mean()), max(float(returns.std()), 1e-8)
    model = Estimate(number, covariance_type="diag", n_iter=100, tol=1e-3 * len(returns) / 1000, init_params="", params="tmc")
    model.startprob_ = np.full(number, 1 / number)
    model.transmat_ = np.full((number, number), (1 - STAY) / (number - 1)) + np.eye(number) * (STAY - (1 - STAY) / (number - 1))
    model.means_ = np.zeros((number, 1))
    model.covars_ = np.geomspace(LOWEST, HIGHEST, number)[:, None] ** 2
    model.fit((returns[:, None] - centre) / scale)
    deviation = np.sqrt(model.covars_.reshape(number)) * scale
    laws = Laws(model.means_[:, 0] * scale + centre, deviation)
    order = laws.calmest_first
    return laws.take(order), model.transmat_[np.ix_(order, order)]


def filtered(windows: NDArray[np.float64], laws: Laws, transition: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each state of the session after each window: (n, length) -> (n, k), by the forward recursion of Hamilton (1989)."""
    state = np.tile(stationary(transition), (len(windows), 1))
    for returns in windows.T:
        z = (returns[:, None] - laws.mean) / laws.std
        log_likelihood = -0.5 * z**2 - np.log(laws.std)
        state = state * np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
        # Without BLAS, whose order of summation depends on the number of rows.
        state = np.einsum("nk,kj->nj", state / state.sum(axis=1, keepdims=True), transition)
    return state / state.sum(axis=1, keepdims=True)


def stationary(transition: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) the law that the chain keeps."""
    k = len(transition)
    return np.linalg.lstsq(np.vstack([transition.T - np.eye(k), np.ones(k)]), np.append(np.zeros(k), 1.0), rcond=None)[0].clip(1e-12)
