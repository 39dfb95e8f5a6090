"""TabNet: masks that choose few columns, the right ones, and what pre-training learns without a label."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from loan_tables import made, parts
from pytorch_tabnet.tab_network import TabNetNoEmbeddings
from torch import nn

from finml_models.core.batches import Table
from finml_models.core.estimator import OnProgress, Signature, TrainingConfig, ignore
from finml_models.evaluation.metrics.classification import auc
from finml_models.tabular.tabnet.card import TabNetHyperparameters
from finml_models.tabular.tabnet.model import Network, TabNet
from finml_models.training.minibatch import Source, TableTensors

CONFIG = TrainingConfig(max_epochs=20, patience=20, batch_size=256, device="cpu")
USEFUL = {2, 7}


def planted(rows: int = 3_000) -> tuple[Table, Any]:
    """Twelve columns of which two say all that can be said."""
    values = np.random.default_rng(0).standard_normal((rows, 12))
    return made(values, (values[:, 2] + np.abs(values[:, 7]) > 0.7).astype(float))


@cache
def fitted() -> tuple[TabNet, Table]:
    table, signature = planted()
    train, valid, test = parts(table)
    return TabNet(TabNetHyperparameters(sparsity=1e-2), signature, CONFIG).fit(train, valid), test


def network(**hyperparameters: Any) -> tuple[Network, TableTensors]:
    _, signature = made(np.zeros((1, 6)), np.zeros(1), np.ones((1, 2), np.int64), (3, 5))
    torch.manual_seed(0)
    own = Network(TabNetHyperparameters(**hyperparameters), signature).eval()
    return own, TableTensors(torch.randn(64, 6), torch.stack([torch.randint(0, 4, (64,)), torch.randint(0, 6, (64,))], dim=1))


def step_masks(own: Network, x: TableTensors) -> torch.Tensor:
    """(steps, b, columns)"""
    with torch.inference_mode():
        return torch.stack(list(own.body.forward_masks(own.inputs(x))[1].values()))


def test_every_mask_sums_to_one_and_leaves_columns_out() -> None:
    masks = step_masks(*network())
    torch.testing.assert_close(masks.sum(dim=2), torch.ones(masks.shape[:2]))
    assert (masks >= 0).all()
    assert (masks == 0).float().mean() > 0.2


def test_without_sparsemax_no_column_is_left_out() -> None:
    masks = step_masks(*network(sparse_masks=False))
    torch.testing.assert_close(masks.sum(dim=2), torch.ones(masks.shape[:2]))
    # But for what underflows.
    assert (masks == 0).float().mean() < 0.01


def test_it_is_the_librarys_network_with_its_ghost_batches() -> None:
    own, x = network(virtual_batch=16)
    other = TabNetNoEmbeddings(8, 2, n_d=16, n_a=16, n_steps=4, n_independent=2, n_shared=2, virtual_batch_size=16)
    other.load_state_dict(own.body.state_dict(), strict=False)
    for each in (own, other):
        each.train()
    logits, concentration = own(x)
    expected, negative_entropy = other(own.inputs(x))
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(concentration, negative_entropy)


def test_the_useful_columns_get_the_mass() -> None:
    model, test = fitted()
    assert auc(test.target[:, 0], model.predict(test).columns()["p1"]) > 0.93
    (part,) = model.explain(test).parts
    mean = part.weights.mean(axis=0)
    assert set(np.argsort(mean)[-2:]) == USEFUL
    assert mean[list(USEFUL)].sum() > 0.6


def test_losing_the_columns_it_names_costs_more_than_losing_others() -> None:
    model, test = fitted()
    (part,) = model.explain(test).parts
    order = np.argsort(part.weights.mean(axis=0))

    def without(columns: np.ndarray) -> float:
        values = test.values.copy()
        values[:, columns] = np.random.default_rng(1).permutation(values[:, columns])
        return auc(test.target[:, 0], model.predict(replace(test, values=values)).columns()["p1"])

    assert without(order[-2:]) < 0.6
    assert without(order[:2]) > 0.9


def test_a_heavier_sparsity_makes_masks_of_fewer_columns() -> None:
    table, signature = planted(1_500)
    train, valid, test = parts(table)
    used = []
    for sparsity in (1e-6, 0.1):
        config = CONFIG.model_copy(update={"max_epochs": 8})
        model = TabNet(TabNetHyperparameters(sparsity=sparsity, decision_width=8, attention_width=8, steps=2), signature, config).fit(train, valid)
        used.append((model.explain(test).parts[0].weights > 0).sum(axis=1).mean())
    assert used[1] < used[0]


class Watched(TabNet):
    """Keeps the loss and the weights of its pre-training apart from what comes after."""

    def pretrain(self, network: nn.Module, seen: Source, held: Source, on_progress: OnProgress = ignore) -> None:
        self.losses: list[float] = []
        super().pretrain(network, seen, held, lambda event: self.losses.append(event.loss))
        self.weights = {name: value.clone() for name, value in network.state_dict().items() if "fc.weight" in name}


def pretrained(train: Table, valid: Table, signature: Signature, epochs: int) -> Watched:
    model = Watched(TabNetHyperparameters(pretraining_epochs=epochs), signature, CONFIG.model_copy(update={"max_epochs": 1}))
    model.fit(train, valid)
    return model


def test_pre_training_needs_no_label() -> None:
    table, signature = planted(600)
    train, valid, _ = parts(table)
    first = pretrained(train, valid, signature, 3)
    second = pretrained(*(replace(part, target=1 - part.target) for part in (train, valid)), signature, 3)
    without = pretrained(train, valid, signature, 0)
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
    assert not any(torch.equal(first.weights[name], without.weights[name]) for name in first.weights)
    assert without.losses == []


def test_pre_training_restores_hidden_columns_from_those_that_say_the_same() -> None:
    rng = np.random.default_rng(0)
    common = rng.standard_normal((2_000, 1))
    table, signature = made(common + 0.1 * rng.standard_normal((2_000, 6)), (common[:, 0] > 0).astype(float))
    train, valid, _ = parts(table)
    losses = pretrained(train, valid, signature, 15).losses
    # 1 is what the mean of each column reaches.
    assert losses[-1] < 0.5
    assert losses[-1] < 0.5 * losses[0]
