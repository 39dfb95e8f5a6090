"""Quantiles cannot cross, and the losses are what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_cases import LEVELS, signature

from finml_models.core.spec import Objective
from finml_models.training.heads import ClassHead, ForecastHead, ForecastOutput, head_of
from finml_models.training.losses import QLIKE_LINEAR_FROM, ForecastLoss, pinball, qlike, squared


@pytest.mark.parametrize("levels", [LEVELS, (0.1,), (0.8, 0.9), (0.01, 0.02, 0.99)])
def test_quantiles_never_cross_whatever_the_weights(levels: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    head = ForecastHead(6, signature(levels=levels))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=30.0)
    quantiles = head(torch.randn(500, 6) * 10).quantiles
    assert quantiles.shape == (500, 2, len(levels))
    assert (quantiles.diff() >= 0).all()


def test_a_head_without_levels_answers_points_only() -> None:
    output = ForecastHead(6, signature(levels=()))(torch.randn(3, 6))
    assert output.point.shape == (3, 2)
    assert output.quantiles.shape == (3, 2, 0)


def test_a_fresh_head_starts_at_the_quantiles_of_a_standard_normal() -> None:
    quantiles = ForecastHead(6, signature())(torch.zeros(1, 6)).quantiles[0, 0]
    np.testing.assert_allclose(quantiles.detach(), [-1.6449, -0.6745, 0, 0.6745, 1.6449], atol=1e-4)


def test_qlike_is_its_formula_and_0_at_the_truth() -> None:
    d = torch.tensor([[-3.0, 0.0, 2.5]])
    assert qlike(torch.zeros(1, 3), d).item() == pytest.approx((torch.exp(d) - d - 1).mean().item(), rel=1e-6)
    assert qlike(d, d).item() == 0


def test_qlike_goes_on_as_its_tangent_and_never_overflows() -> None:
    far = torch.tensor([[500.0]])
    forecast = torch.zeros(1, 1, requires_grad=True)
    loss = qlike(forecast, far)
    loss.backward()
    assert torch.isfinite(loss)
    assert -forecast.grad.item() == pytest.approx(np.exp(QLIKE_LINEAR_FROM) - 1, rel=1e-5)
    a, b = (qlike(torch.zeros(1, 1), torch.tensor([[QLIKE_LINEAR_FROM + e]])).item() for e in (-1e-3, 1e-3))
    assert b - a == pytest.approx(2e-3 * (np.exp(QLIKE_LINEAR_FROM) - 1), rel=0.01)


def test_the_constant_that_minimises_pinball_is_the_quantile() -> None:
    target = torch.from_numpy(np.random.default_rng(0).normal(size=(20_001, 1)))
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64)
    for level in (0.05, 0.5, 0.9):
        losses = [pinball(g.expand(len(target), 1, 1), target, torch.tensor([level])).item() for g in grid]
        assert grid[int(np.argmin(losses))].item() == pytest.approx(np.quantile(target.numpy(), level), abs=0.02)


def test_qlike_is_measured_in_the_targets_own_unit() -> None:
    output = ForecastOutput(torch.tensor([[0.5, 0.0]]), torch.zeros(1, 2, 0))
    target, unit = torch.tensor([[1.5, 1.0]]), torch.tensor([2.0, 0.5])
    loss = ForecastLoss(signature(loss="qlike", levels=()), unit)(output, target)
    assert loss.item() == pytest.approx(((np.exp(2) - 3) + (np.exp(0.5) - 1.5)) / 2, rel=1e-6)


def test_the_squared_loss_adds_pinball() -> None:
    output = ForecastOutput(torch.zeros(1, 2), torch.zeros(1, 2, 5))
    target = torch.tensor([[1.0, 1.0]])
    loss = ForecastLoss(signature(), torch.ones(2))(output, target)
    assert loss.item() == pytest.approx(squared(output.point, target).item() + np.mean(LEVELS))


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="'huber' is unknown"):
        ForecastLoss(signature(loss="huber"), torch.ones(2))


def test_the_objective_chooses_the_head() -> None:
    classes = signature(levels=()).model_copy(update={"objective": Objective.CLASSIFY, "classes": ("no", "maybe", "yes")})
    assert isinstance(head_of(6, signature()), ForecastHead)
    head = head_of(6, classes)
    assert isinstance(head, ClassHead)
    assert head(torch.randn(4, 6)).shape == (4, 3)
    with pytest.raises(NotImplementedError, match="objective score: a head forecasts or classifies"):
        head_of(6, classes.model_copy(update={"objective": Objective.SCORE}))
