"""FT-Transformer: the authors' package on the same weights, a token a column, and columns in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from loan_tables import loans, made, parts

from benchmarks.quality.tables import ft_transformer_twins
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.evaluation.metrics.classification import auc
from finml_models.tabular.ft_transformer.card import FTTransformerHyperparameters
from finml_models.tabular.ft_transformer.model import FTTransformer, Network
from finml_models.training.minibatch import TableTensors

SIZES = (3, 5)
FEATURES = 4


def signature(classes: int = 2) -> Signature:
    _, plain = made(np.zeros((1, FEATURES)), np.zeros(1), np.ones((1, 2), np.int64), SIZES)
    return plain.model_copy(update={"classes": tuple(f"k{i}" for i in range(classes))})


def network(classes: int = 2, **hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    own = Network(FTTransformerHyperparameters(**{"heads": 2, "head_width": 8, "blocks": 3, **hyperparameters}), signature(classes)).eval()
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for table in own.tokens.lookup:
            table.weight[0] = 0.0
    # In double precision, so that rounding hides no difference.
    return own.double()


def batch(rows: int = 64) -> TableTensors:
    generator = torch.Generator().manual_seed(1)
    codes = torch.stack([torch.randint(1, size + 1, (rows,), generator=generator) for size in SIZES], dim=1)
    return TableTensors(torch.randn(rows, FEATURES, generator=generator).double(), codes)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("heads", "blocks", "feedforward"), [(2, 3, 4 / 3), (4, 1, 0.5), (8, 2, 2.0)])
def test_it_is_the_authors_package_on_fixed_weights(heads: int, blocks: int, feedforward: float, classes: int) -> None:
    (own, other), x = ft_transformer_twins(classes, heads=heads, blocks=blocks, feedforward=feedforward), batch()
    with torch.inference_mode():
        np.testing.assert_allclose(own(x).numpy(), other(x.values, x.codes - 1).numpy(), atol=1e-10)


def test_there_is_a_token_a_column_and_one_for_the_class() -> None:
    assert network().tokens(batch(7)).shape == (7, 1 + FEATURES + len(SIZES), 16)


def test_columns_may_stand_in_any_order_if_their_tokens_do_too() -> None:
    own, x, order = network(), batch(), torch.tensor([2, 0, 3, 1])
    with torch.inference_mode():
        before = own(x)
        own.tokens.weight.copy_(own.tokens.weight[order])
        own.tokens.bias[:FEATURES] = own.tokens.bias[:FEATURES][order]
        torch.testing.assert_close(own(TableTensors(x.values[:, order], x.codes)), before)


def test_an_unknown_category_is_its_columns_bias_alone() -> None:
    own, x = network(), batch(3)
    unknown = own.tokens(TableTensors(x.values, torch.zeros_like(x.codes)))
    torch.testing.assert_close(unknown[:, -2:], own.tokens.bias[-2:].expand(3, -1, -1))


def test_tokens_norms_and_biases_are_not_shrunk() -> None:
    model = FTTransformer(FTTransformerHyperparameters(), signature())
    own = model.network()
    shrunk = {id(p) for group in model.plan(own).groups if group.decays for p in group.parameters}
    names = {name for name, parameter in own.named_parameters() if id(parameter) in shrunk}
    assert names == {
        f"blocks.{i}.{layer}.weight" for i in range(2) for layer in ("attention.query", "attention.key", "attention.value", "attention.out", "wide", "narrow")
    } | {"head.weight"}


def test_the_attention_that_is_told_is_the_one_that_mixes() -> None:
    own, x = network(blocks=1), batch(5)
    tokens, first = own.tokens(x), own.blocks[0].attention
    values = first.value(tokens).unflatten(-1, (2, 8)).transpose(1, 2)
    mixed = first.out((first.weights(tokens[:, :1], tokens) @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(first(tokens[:, :1], tokens), mixed)
    told = own.attention(x)
    assert told.shape == (5, FEATURES + len(SIZES))
    torch.testing.assert_close(told.sum(dim=1), torch.ones(5).double())


def test_it_learns_an_interaction_that_no_single_column_shows_and_looks_at_its_columns() -> None:
    values = np.random.default_rng(0).standard_normal((1_500, 5))
    table, plain = made(values, (values[:, 1] * values[:, 3] > 0).astype(float))
    train, valid, test = parts(table)
    hyperparameters = FTTransformerHyperparameters(attention_dropout=0.0, feedforward_dropout=0.0)
    model = FTTransformer(hyperparameters, plain, TrainingConfig(max_epochs=25, patience=25, batch_size=128, learning_rate=3e-3, device="cpu"))
    found = model.fit(train, valid).predict(test).columns()["p1"]
    assert auc(test.target[:, 0], found) > 0.9
    (part,) = model.explain(test).parts
    assert set(np.argsort(part.weights.mean(axis=0))[-2:]) == {1, 3}


def test_it_ranks_loans_near_the_truth() -> None:
    table, plain, truth = loans()
    train, valid, test = parts(table)
    model = FTTransformer(FTTransformerHyperparameters(), plain, TrainingConfig(max_epochs=6, learning_rate=2e-3, device="cpu")).fit(train, valid)
    reached = auc(test.target[:, 0], model.predict(test).columns()["p1"])
    best = auc(test.target[:, 0], truth[-len(test) :])
    assert best - 0.06 < reached < best + 0.01
