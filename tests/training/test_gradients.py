"""Integrated gradients: the axioms of the paper, what is planted, what is ignored, and every shape of input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_cases import halves, make, panel_windows, signature

from finml_models.core.batches import Table, Windows
from finml_models.core.errors import NotExplained
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.explanations import Explanation
from finml_models.core.spec import Hyperparameters, Kind, Objective
from finml_models.tabular._encoding import RankEncoder
from finml_models.tabular.tabm.card import TabMHyperparameters
from finml_models.tabular.tabm.model import TabM
from finml_models.time_series.gru.model import GRU
from finml_models.time_series.lstm.model import LSTM
from finml_models.training import gradients
from finml_models.training.gradients import GAP, line
from finml_models.training.heads import ForecastOutput
from finml_models.training.minibatch import WindowTensors
from finml_models.training.torch_estimator import TorchEstimator


class Newest(nn.Module):
    """A function of the newest row as a network, so that contributions are known in closed form."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.of, self.unused = of, nn.Parameter(torch.zeros(1))

    def forward(self, x: WindowTensors) -> ForecastOutput:
        point = self.of(x.past[:, -1])[:, None] + 0 * self.unused
        return ForecastOutput(point, point[:, :, None])


def planted(of: Any) -> tuple[TorchEstimator[Any], Windows]:
    """An untrained estimator whose network is a function of the newest row (b, 3), and its rows."""

    class Planted(TorchEstimator[Hyperparameters]):
        def network(self) -> nn.Module:
            return Newest(of)

    batch = panel_windows(steps=40)
    batch = Windows(batch.panel, batch.times, batch.entities, batch.series, batch.end, batch.length, batch.target[:, :1], batch.until)
    made = Planted(Hyperparameters(), signature(horizons=(1,), levels=(0.5,)), TrainingConfig(max_epochs=0, calibrate=False, device="cpu"))
    return made.fit(*halves(batch)), batch


def scaled(estimator: TorchEstimator[Any], batch: Windows) -> tuple[np.ndarray, float]:
    """The newest rows in standard deviations, and the deviation of the target."""
    state = estimator.state()
    return (batch.inputs.astype(np.float64) - state["inputs.mean"]) / state["inputs.std"], float(state["target.std"][0])


def size(found: Explanation) -> np.ndarray:
    return sum(np.abs(part.weights).sum(axis=1, dtype=np.float64) for part in found.parts if part.adds)


def check(found: Explanation, value: np.ndarray) -> None:
    """Completeness, and that what is explained is what is predicted."""
    np.testing.assert_allclose(found.value, value, rtol=1e-5, atol=1e-5)
    assert (np.abs(found.gap) <= GAP * size(found) + 1e-5).all()


def test_a_linear_network_gives_back_coefficient_times_distance() -> None:
    estimator, batch = planted(lambda x: 2 * x[:, 0] - 3 * x[:, 1])
    rows = batch.take(np.arange(6))
    z, unit = scaled(estimator, rows)
    found = estimator.explain(rows)
    np.testing.assert_allclose(found.parts[0].weights, unit * z * np.array([2, -3, 0]), rtol=1e-4, atol=1e-5)
    check(found, estimator.predict(rows).point[:, 0])


def test_a_product_is_shared_equally_and_a_square_is_its_own() -> None:
    estimator, batch = planted(lambda x: x[:, 0] * x[:, 1] + x[:, 2] ** 2)
    rows = batch.take(np.arange(6))
    z, unit = scaled(estimator, rows)
    half = z[:, 0] * z[:, 1] / 2
    np.testing.assert_allclose(estimator.explain(rows).parts[0].weights, unit * np.stack([half, half, z[:, 2] ** 2], axis=1), rtol=1e-4, atol=1e-5)


def test_a_line_through_many_kinks_is_walked_in_smaller_steps_until_it_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, batch = planted(lambda x: torch.relu(torch.sin(4 * x[:, 0])) + 2 * x[:, 1])
    rows = batch.take(np.arange(10))
    check(estimator.explain(rows), estimator.predict(rows).point[:, 0])
    monkeypatch.setattr(gradients, "POINTS", gradients.POINTS[:1])
    coarse = estimator.explain(rows)
    assert (np.abs(coarse.gap) > GAP * size(coarse)).any()


def test_a_step_has_no_gradient_and_the_gap_says_so() -> None:
    estimator, batch = planted(lambda x: (x[:, 0] > 0.5).float() + 0 * x[:, 1])
    rows = batch.take(np.arange(20))
    found, (z, unit) = estimator.explain(rows), scaled(estimator, rows)
    assert not found.parts[0].weights.any()
    np.testing.assert_allclose(found.gap, unit * (z[:, 0] > 0.5), atol=1e-5)
    assert found.gap.max() > 0


@pytest.mark.parametrize("cls", [LSTM, GRU])
def test_a_trained_network_gives_the_planted_inputs_most_and_the_idle_one_little(cls: Any) -> None:
    batch = panel_windows()  # the target follows from x0 of the newest row, and half as much from x1 of the one before
    train, valid = halves(batch)
    estimator = make(cls, hidden=16, max_epochs=30, learning_rate=1e-2).fit(train, valid)
    found = estimator.explain(valid.take(np.arange(40)))
    first, second, idle = np.abs(found.parts[0].weights).mean(axis=0)
    assert first > 1.5 * second > 3 * idle
    check(found, estimator.predict(valid.take(np.arange(40))).point[:, 0])


def test_an_input_whose_weights_are_zero_has_no_contribution_at_all() -> None:
    estimator = make(LSTM, max_epochs=1).fit(*halves(panel_windows()))
    with torch.no_grad():
        next(p for name, p in estimator._module.named_parameters() if "weight_ih" in name)[:, 2] = 0
    weights = estimator.explain(panel_windows().take(np.arange(5))).parts[0].weights
    assert not weights[:, 2].any()
    assert weights[:, :2].all()


def test_a_row_has_the_same_bits_alone_among_others_and_after_saving() -> None:
    batch = panel_windows()
    estimator = make(LSTM, max_epochs=1).fit(*halves(batch))
    among = estimator.explain(batch.take(np.array([3, 50, 200])))
    alone = estimator.explain(batch.take(np.array([50])))
    np.testing.assert_array_equal(alone.parts[0].weights[0], among.parts[0].weights[1])
    again = make(LSTM, max_epochs=1)
    again.restore(estimator.state())
    np.testing.assert_array_equal(again.explain(batch.take(np.array([50]))).parts[0].weights, alone.parts[0].weights)


def test_no_gradient_stays_behind_and_predictions_do_not_change() -> None:
    batch = panel_windows()
    estimator = make(LSTM, max_epochs=1, dropout=0.5, layers=2).fit(*halves(batch))
    before = estimator.predict(batch).point
    estimator._module.zero_grad()
    estimator.explain(batch.take(np.arange(3)))
    assert all(p.grad is None for p in estimator._module.parameters())
    np.testing.assert_array_equal(estimator.predict(batch).point, before)


def test_static_and_known_inputs_have_parts_of_their_own_and_padding_none() -> None:
    batch = panel_windows(static=2, known=2, first_end=3)
    estimator = make(LSTM, signature(static=2, known=2), max_epochs=1).fit(*halves(batch))
    rows = batch.take(np.array([0, 1, 300]))  # the first two windows hold four rows of twelve
    assert rows.end[0] < rows.length - 1
    found = estimator.explain(rows)
    assert [(part.name, part.names) for part in found.parts] == [
        ("features", ("x0", "x1", "x2")),
        ("static features", ("s0", "s1")),
        ("known features", ("k0", "k1")),
    ]
    check(found, estimator.predict(rows).point[:, 0])


def table(rows: int = 300) -> tuple[Table, Signature]:
    """Loans of two classes that x0 parts, with missing numbers and a category."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 3)).astype(np.float32)
    y = (values[:, 0] + 0.3 * rng.normal(size=rows) > 0).astype(np.float32)[:, None]
    values[rng.random((rows, 3)) < 0.1] = np.nan
    times = np.datetime64("2020-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D")
    names = ("a", "b", "c")
    made = Table(values, names, times, np.array([f"r{i}" for i in range(rows)]), y, times, rng.integers(1, 4, (rows, 1)))
    return made, Signature(
        kind=Kind.TABLE, objective=Objective.CLASSIFY, feature_names=names, classes=("no", "yes"), category_names=("k",), category_sizes=(3,)
    )


@pytest.mark.parametrize("embedding", ["none", "piecewise_linear"])
def test_an_ensemble_over_encoded_columns_is_explained_in_calibrated_log_odds(embedding: str) -> None:
    batch, sign = table()
    hyper = TabMHyperparameters(width=16, members=4, embedding=embedding, bins=4, embedding_width=4)
    estimator = TabM(hyper, sign, TrainingConfig(max_epochs=15, batch_size=32, learning_rate=1e-2, device="cpu"))
    estimator.fit(batch.take(np.arange(220)), batch.take(np.arange(220, 300)))
    rows = batch.take(np.arange(20))
    found, p = estimator.explain(rows), estimator.predict(rows).values[:, 1].astype(np.float64)
    assert found.output == "log odds of 'yes'"
    assert found.parts[0].names == ("a", "b", "c")
    np.testing.assert_allclose(found.value, np.log(p) - np.log1p(-p), rtol=1e-3, atol=1e-3)
    check(found, found.value)
    assert np.abs(found.parts[0].weights).mean(axis=0).argmax() == 0


def test_the_neutral_row_of_ranks_is_the_median_of_every_column() -> None:
    batch, _ = table()
    encoder = RankEncoder.of(batch, bins=4)
    middle = Table(np.nanmedian(batch.values, axis=0, keepdims=True), batch.columns, batch.times[:1], batch.entities[:1])
    encoded = encoder.source(middle, None, torch.device("cpu"), {}).gather(torch.zeros(1, dtype=torch.int64)).values
    torch.testing.assert_close(encoder.neutral(torch.zeros_like(encoded)), encoded, atol=0.05, rtol=0)


def test_words_and_no_rows_are_refused() -> None:
    with pytest.raises(NotExplained, match="reads words"):
        line(Tensor())
    estimator = make(LSTM, max_epochs=1).fit(*halves(panel_windows()))
    with pytest.raises(NotExplained, match="no rows"):
        estimator.explain(panel_windows().take(np.arange(0)))
