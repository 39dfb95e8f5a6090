"""TFT: its fused networks are the paper's equations, its weights are distributions, and it names what it used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from forecaster_cases import LEVELS, signature, tensors, windows
from torch import Tensor, nn
from torch.nn.functional import elu, layer_norm

from finml_models.core.errors import DataError, NotExplained
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.time_series.tft.card import CARD, TFTHyperparameters
from finml_models.time_series.tft.model import TFT, GatedResidual, InterpretableAttention, Network, VariableSelection
from finml_models.training.minibatch import WindowTensors

SMALL = {"heads": 2, "head_width": 4, "dropout": 0.0}
PARTS = [(0, 0), (0, 2), (2, 0), (2, 2), (1, 1)]
with_and_without = pytest.mark.parametrize(("static", "known"), PARTS)


def network(sign: Signature | None = None, **hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    return Network(TFTHyperparameters(**{**SMALL, **hyperparameters}), sign or signature()).eval()


def one_variable(grn: GatedResidual, j: int, a: Tensor) -> Tensor:
    """Equations 2 to 5 for the network of variable j alone. Shape: (n, width), kept."""
    hidden = elu(a @ grn.first.weight[j] + grn.first.bias[j])
    gate = grn.gate.linear
    value, door = ((hidden @ grn.second.weight[j] + grn.second.bias[j]) @ gate.weight[j] + gate.bias[j]).chunk(2, dim=-1)
    return layer_norm(a + value * door.sigmoid(), a.shape[-1:]) * grn.gate.norm.weight[j] + grn.gate.norm.bias[j]


def variable_by_variable(own: VariableSelection, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """Equations 6 to 8 as they stand: embed every number, run every network, mix."""
    embedded = [x[..., j : j + 1] * own.slope[j, 0] + own.offset[j, 0] for j in range(x.shape[-1])]
    weights = own.weigh(torch.cat(embedded, dim=-1), context).softmax(-1)
    transformed = [one_variable(own.transform, j, each.flatten(0, 1)).unflatten(0, each.shape[:2]) for j, each in enumerate(embedded)]
    return sum(weights[..., j : j + 1] * each for j, each in enumerate(transformed)), weights


def selection(variables: int = 5, width: int = 8) -> VariableSelection:
    torch.manual_seed(0)
    own = VariableSelection(variables, width, 0.0, context=width).double()
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return own


def test_the_fused_networks_are_the_equations_variable_by_variable() -> None:
    own, x, context = selection(), torch.randn(3, 7, 5, dtype=torch.float64), torch.randn(3, 1, 8, dtype=torch.float64)
    for found, expected in zip(own(x, context), variable_by_variable(own, x, context), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_their_gradients_are_too() -> None:
    own, x, context = selection(), torch.randn(3, 7, 5, dtype=torch.float64), torch.randn(3, 1, 8, dtype=torch.float64)
    gradients = []
    for forward in (own, lambda *inputs: variable_by_variable(own, *inputs)):
        mixed, _ = forward(x, context)
        gradients.append(torch.autograd.grad((mixed**2 * torch.arange(8.0, dtype=torch.float64)).sum(), list(own.parameters())))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


def test_many_variables_take_less_time_than_one_after_the_other() -> None:
    own, x, context = selection(20, 16).float(), torch.randn(16, 44, 20), torch.randn(16, 1, 16)

    def seconds(forward: Callable[..., Any]) -> float:
        found = []
        for _ in range(15):
            began = time.process_time()
            forward(x, context)[0].square().mean().backward()
            found.append(time.process_time() - began)
        return min(found)

    assert seconds(own) < 0.8 * seconds(lambda *inputs: variable_by_variable(own, *inputs))


@with_and_without
def test_weights_sum_to_1_and_attention_on_the_future_is_0(static: int, known: int) -> None:
    reading = network(signature(static=static, known=known)).read(tensors(6, static=static, known=known))
    for weights in (reading.static, reading.past, reading.known, reading.attention):
        if weights is not None:
            torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
            assert (weights >= 0).all()
    assert (reading.static is not None, reading.known is not None) == (static > 0, known > 0)
    # The first horizon is one step ahead; what follows it is its future.
    assert (reading.attention[:, 0, :13] > 0).all()
    assert not reading.attention[:, 0, 13:].any()
    assert (reading.attention[:, 1] > 0).all()


def test_inputs_known_of_later_steps_do_not_change_an_earlier_horizon() -> None:
    own, x = network(signature(static=2, known=2)), tensors(4, static=2, known=2)
    changed = replace(x, known=x.known.clone().index_fill_(1, torch.arange(13, 17), 9.0))
    before, after = own(x), own(changed)
    assert torch.equal(before.quantiles[:, 0], after.quantiles[:, 0])
    assert (before.quantiles[:, 1] != after.quantiles[:, 1]).all()
    now = own(replace(x, known=x.known.clone().index_fill_(1, torch.tensor([12]), 9.0)))
    assert (before.quantiles != now.quantiles).all()


def test_changing_a_static_moves_the_weights_of_past_and_known_inputs() -> None:
    # Three known inputs: the normalisation before the softmax makes almost the same of any two numbers.
    own, x = network(signature(static=2, known=3)), tensors(4, static=2, known=3)
    before, after = own.read(x), own.read(replace(x, static=x.static + torch.tensor([1.0, 0.0])))
    assert (before.past != after.past).any(-1).all()
    assert (before.known != after.known).any(-1).all()


def test_a_static_reaches_selection_both_initial_states_and_the_enrichment() -> None:
    own, x = network(signature(static=2)), tensors(4, static=2)
    contexts = own.contexts.gate.norm
    assert len(contexts.weight) == 4
    before = own(x).point
    for copy in range(4):
        saved = contexts.bias[copy].clone()
        with torch.no_grad():
            contexts.bias[copy] += torch.linspace(-1, 1, 8)
        assert (own(x).point != before).all()
        with torch.no_grad():
            contexts.bias[copy] = saved


def test_the_mean_of_heads_with_a_shared_value_is_one_attention() -> None:
    torch.manual_seed(0)
    own = InterpretableAttention(3, 4, 0.0)
    queries, keys = torch.randn(2, 2, 12), torch.randn(2, 9, 12)
    hidden = torch.zeros(1, 2, 9, dtype=torch.bool)
    attended, weights = own(queries, keys, hidden)
    q, k, v = own.query(queries), own.key(keys), own.value(keys)
    heads = [((q[..., i : i + 4] @ k[..., i : i + 4].mT) / 2).softmax(-1) for i in (0, 4, 8)]
    torch.testing.assert_close(weights, sum(heads) / 3)
    torch.testing.assert_close(attended, own.out(sum(head @ v for head in heads) / 3))
    assert own.value.out_features == 4


@with_and_without
@pytest.mark.parametrize("switches", [{}, {"variable_selection": False}, {"self_attention": False, "lstm_layers": 2}])
def test_every_parameter_gets_a_gradient(static: int, known: int, switches: dict[str, Any]) -> None:
    own = network(signature(static=static, known=known), **switches).train()
    output = own(tensors(8, static=static, known=known))
    (output.point.square().mean() + output.quantiles.square().mean()).backward()
    assert {name for name, p in own.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0} == set()


@with_and_without
def test_quantiles_do_not_cross_whatever_the_weights(static: int, known: int) -> None:
    own = network(signature(static=static, known=known))
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.normal_(std=3.0)
    output = own(tensors(50, static=static, known=known))
    assert output.point.shape == (50, 2)
    assert output.quantiles.shape == (50, 2, len(LEVELS))
    assert (output.quantiles.diff() >= 0).all()


@with_and_without
def test_padding_changes_nothing(static: int, known: int) -> None:
    own, x = network(signature(static=static, known=known)), tensors(3, static=static, known=known)
    lengths = torch.tensor([12, 5, 9])
    place = torch.arange(17)[None, :, None]
    short = replace(
        x,
        past=torch.where(place[:, :12] < lengths[:, None, None], x.past, 0.0),
        known=None if x.known is None else torch.where(place < lengths[:, None, None] + 5, x.known, 0.0),
        lengths=lengths,
    )
    together = own(short)
    for row, n in enumerate(lengths.tolist()):
        one = slice(row, row + 1)
        alone = WindowTensors(
            past=x.past[one, :n],
            static=None if x.static is None else x.static[one],
            known=None if x.known is None else x.known[one, : n + 5],
        )
        torch.testing.assert_close(together.quantiles[one], own(alone).quantiles)


def test_known_inputs_that_end_before_the_largest_horizon_are_refused() -> None:
    x = tensors(2, known=1)
    with pytest.raises(DataError, match="4 steps ahead"):
        network(signature(known=1))(replace(x, known=x.known[:, :-1]))


def test_without_selection_all_inputs_weigh_the_same_and_no_network_weighs_them() -> None:
    own = network(signature(static=2, known=2), variable_selection=False)
    assert (own.read(tensors(2, static=2, known=2)).past == 1 / 5).all()
    assert not [name for name, module in own.named_modules() if name.endswith("weigh") and isinstance(module, nn.Module)]
    assert CARD.ablations == {"no_variable_selection": {"variable_selection": False}}


@pytest.fixture(scope="module")
def planted() -> TFT:
    """Fitted where the newest value of `x0` is all that matters."""
    batch = windows(static=2, known=1, first_end=0)
    config = TrainingConfig(device="cpu", batch_size=32, max_epochs=6, patience=6, learning_rate=1e-2)
    return TFT(TFTHyperparameters(**SMALL), signature(static=2, known=1), config).fit(batch, batch.take(np.arange(100)))


def test_a_planted_variable_gets_the_top_weight(planted: TFT) -> None:
    batch = windows(static=2, known=1, first_end=11)
    found = {part.name: part for part in planted.explain(batch.take(np.arange(40))).parts}
    weights = found["features"].weights.mean(0)
    assert found["features"].names[int(weights.argmax())] == "x0"
    assert weights[0] > 1.5 * np.sort(weights)[-2]


def test_an_explanation_names_static_past_known_and_steps_each_a_distribution(planted: TFT) -> None:
    batch = windows(static=2, known=1, first_end=0)
    rows = np.array([0, 3, 200])  # the first two windows have one row
    explanation = planted.explain(batch.take(rows))
    found = {part.name: part for part in explanation.parts}
    assert {name: part.names for name, part in found.items() if name != "steps"} == {
        "static features": ("s0", "s1"),
        "features": ("x0", "x1", "x2", "k0"),
        "features known ahead": ("k0",),
    }
    steps = found["steps"]
    assert steps.names[0] == "t-11"
    assert steps.names[-2:] == ("t-1", "t")
    for part in found.values():
        np.testing.assert_allclose(np.nansum(part.weights, axis=1), 1, atol=1e-5)
    assert np.isnan(steps.weights[:2, :-1]).all()
    assert (steps.weights[:2, -1] == 1).all()
    assert np.isfinite(steps.weights[2]).all()
    assert "not what causes" in explanation.caveat


def test_a_row_is_explained_the_same_alone_and_in_a_batch(planted: TFT) -> None:
    batch = windows(static=2, known=1, first_end=0)
    together = planted.explain(batch.take(np.array([1, 2, 300])))
    alone = planted.explain(batch.take(np.array([300])))
    for one, many in zip(alone.parts, together.parts, strict=True):
        np.testing.assert_allclose(one.weights[0], many.weights[2], atol=1e-5)


def test_what_is_switched_off_is_not_explained() -> None:
    batch = windows()
    config = TrainingConfig(device="cpu", max_epochs=0)

    def explained(**switches: bool) -> list[str]:
        model = TFT(TFTHyperparameters(**SMALL, **switches), signature(), config).fit(batch, batch)
        return [part.name for part in model.explain(batch.take(np.arange(2))).parts]

    assert explained() == ["features", "steps"]
    assert explained(variable_selection=False) == ["steps"]
    assert explained(self_attention=False) == ["features"]
    with pytest.raises(NotExplained, match="switched off"):
        explained(variable_selection=False, self_attention=False)
