"""TabM: the authors' package on the same weights, members that differ, and an average that beats them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rtdl_num_embeddings
import tabm as oracle
import torch
from loan_tables import loans, made, parts
from torch import nn

from benchmarks.quality.tables import tabm_copy, tabm_twins
from finml_models.core.batches import Table
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.evaluation.metrics.classification import log_loss
from finml_models.tabular._encoding import RankEncoder
from finml_models.tabular.tabm.card import CARD, TabMHyperparameters
from finml_models.tabular.tabm.model import RATE, BatchEnsembleLinear, Network, PiecewiseLinearEmbedding, TabM, start_adapter
from finml_models.training.minibatch import TableTensors

SIZES = (3, 5)
FEATURES = 4


def signature(classes: int = 2) -> Signature:
    _, plain = made(np.zeros((1, FEATURES)), np.zeros(1), np.ones((1, 2), np.int64), SIZES)
    return plain.model_copy(update={"classes": tuple(f"k{i}" for i in range(classes))})


def network(classes: int = 2, **hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    return Network(TabMHyperparameters(**{"width": 32, "members": 5, "dropout": 0.0, "embedding": "none", **hyperparameters}), signature(classes)).eval()


def batch(rows: int = 64, bins: int = 0) -> TableTensors:
    generator = torch.Generator().manual_seed(1)
    shape = (rows, FEATURES, 1 + bins) if bins else (rows, FEATURES)
    codes = torch.stack([torch.randint(1, size + 1, (rows,), generator=generator) for size in SIZES], dim=1)
    return TableTensors(torch.randn(shape, generator=generator), codes)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("members", "blocks"), [(5, 3), (1, 1), (32, 2)])
def test_it_is_the_authors_package_on_fixed_weights(members: int, blocks: int, classes: int) -> None:
    (own, other), x = tabm_twins(classes, members=members, blocks=blocks), batch()
    with torch.inference_mode():
        expected = other(x.values.double(), x.codes - 1)
        np.testing.assert_allclose(own(TableTensors(x.values.double(), x.codes)).numpy(), expected.numpy(), atol=1e-10)


def test_it_is_the_authors_package_with_embedded_numbers_too() -> None:
    rng = np.random.default_rng(0)
    values = rng.lognormal(size=(500, FEATURES)).astype(np.float32)
    table, _ = made(values, np.zeros(500), rng.integers(1, 4, (500, 2)), SIZES)
    encoder = RankEncoder.of(table, bins=6)
    own = network(embedding="piecewise_linear", bins=6, embedding_width=8)
    with torch.no_grad():
        own.embedding.bins.normal_()
    x = encoder.source(table, None, torch.device("cpu"), {}).gather(torch.arange(500))
    edges = [torch.from_numpy(row) for row in encoder.state()["encoder.edges"]]
    embedded = rtdl_num_embeddings.PiecewiseLinearEmbeddings(edges, 8, activation=False, version="B")
    other = oracle.TabM(
        n_num_features=FEATURES,
        cat_cardinalities=list(SIZES),
        d_out=2,
        num_embeddings=embedded,
        k=5,
        n_blocks=2,
        d_block=32,
        dropout=0.0,
        arch_type="tabm",
        start_scaling_init="random-signs",
    )
    with torch.no_grad():
        embedded.linear0.weight.copy_(own.embedding.weight)
        embedded.linear0.bias.copy_(own.embedding.bias)
        embedded.linear.weight.copy_(own.embedding.bins)
    with torch.inference_mode():
        expected = tabm_copy(own, other)(torch.from_numpy(encoder.scores(values)).double(), x.codes - 1)
        # Our bins are encoded once, in single precision.
        np.testing.assert_allclose(own(TableTensors(x.values.double(), x.codes)).numpy(), expected.numpy(), atol=1e-6)


def test_weights_start_as_the_authors_package_starts_them() -> None:
    own = network(members=64, blocks=2, width=128)
    first, second = own.blocks
    assert set(first.r.detach().unique().tolist()) == {-1.0, 1.0}
    assert abs(float(first.r.detach().mean())) < 0.1
    # Indicators of one category share their sign, and so would the units of one embedded number.
    for chunk in first.r.detach()[:, FEATURES:].split(list(SIZES), dim=1):
        assert (chunk == chunk[:, :1]).all()
    assert (first.s == 1).all()
    assert (second.r == 1).all()
    assert (second.s == 1).all()
    for block in own.blocks:
        assert (block.bias == block.bias[:1]).all()
        assert float(block.weight.detach().abs().max()) <= block.weight.shape[1] ** -0.5
    assert not (own.heads.weight[0] == own.heads.weight[1]).any()
    assert not PiecewiseLinearEmbedding(2, 3, 4).bins.any()


def test_other_starts_are_normal_numbers_or_ones() -> None:
    r = torch.ones(1_000, 4)
    start_adapter(r, [1, 3], "ones")
    assert (r == 1).all()
    start_adapter(r, [1, 3], "normal")
    assert (r[:, 1:] == r[:, 1:2]).all()
    assert abs(float(r.std()) - 1) < 0.05


@pytest.mark.parametrize("embedding", ["none", "piecewise_linear"])
def test_every_member_answers_for_every_row(embedding: str) -> None:
    own = network(3, members=7, embedding=embedding, bins=4)
    out = own(batch(10, bins=4 if embedding == "piecewise_linear" else 0))
    assert out.shape == (10, 7, 3)
    assert (out.std(dim=1) > 0).all()


def test_one_member_is_a_multilayer_perceptron() -> None:
    own, x = network(members=1, blocks=3), batch()
    layers: list[nn.Module] = []
    for block in own.blocks:
        assert isinstance(block, BatchEnsembleLinear)
        plain = nn.Linear(block.weight.shape[1], block.weight.shape[0])
        with torch.no_grad():
            plain.weight.copy_(block.s.T * block.weight * block.r)
            plain.bias.copy_(block.bias[0])
        layers += [plain, nn.ReLU()]
    head = nn.Linear(32, 2)
    with torch.no_grad():
        head.weight.copy_(own.heads.weight[0].T)
        head.bias.copy_(own.heads.bias[0])
    indicators = [nn.functional.one_hot(x.codes[:, i] - 1, size) for i, size in enumerate(SIZES)]
    with torch.inference_mode():
        expected = nn.Sequential(*layers, head)(torch.cat([x.values, *indicators], dim=1))
        np.testing.assert_allclose(own(x)[:, 0].numpy(), expected.numpy(), atol=1e-6)


def test_members_share_their_matrices_so_that_many_cost_little_more_weights_than_one() -> None:
    counts = {k: sum(p.numel() for block in network(members=k, width=256, blocks=3).blocks for p in block.parameters()) for k in (1, 32)}
    assert counts[32] < 1.5 * counts[1]


def test_an_unknown_category_sets_no_indicator() -> None:
    own, x = network(), batch(8)
    unknown = TableTensors(x.values, torch.zeros_like(x.codes))
    with torch.no_grad():
        before = own(unknown)
        own.blocks[0].weight[:, FEATURES:].add_(100.0)
    np.testing.assert_array_equal(own(unknown).detach().numpy(), before.numpy())


def test_every_parameter_gets_a_gradient() -> None:
    own = network(embedding="piecewise_linear", bins=4).train()
    x = batch(bins=4)
    nn.functional.cross_entropy(own(x).flatten(0, 1), torch.arange(64 * 5) % 2).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in own.parameters())


def test_biases_and_embedded_numbers_do_not_decay_and_all_learn_at_the_packages_rate() -> None:
    table, _, _ = loans()
    model = TabM(TabMHyperparameters(), loans()[1], TrainingConfig(device="cpu"))
    own = model.network()
    decaying, free = model.plan(own).groups
    names = {id(p): name for name, p in own.named_parameters()}
    assert {names[id(p)] for p in free.parameters} == {name for name in names.values() if name.endswith("bias") or name.startswith("embedding")}
    assert len(decaying.parameters) + len(free.parameters) == len(names)
    assert (decaying.decays, free.decays) == (True, False)
    assert decaying.rate == free.rate == RATE
    assert len(table)


@pytest.fixture(scope="module")
def fitted() -> tuple[TabM, Table]:
    table, sign, _ = loans(12_000)
    train, valid, test = parts(table)
    return TabM(TabMHyperparameters(members=8), sign, TrainingConfig(max_epochs=6, patience=3, device="cpu")).fit(train, valid), test


def test_the_loss_is_the_mean_of_the_members_losses_and_never_the_loss_of_their_mean(fitted: tuple[TabM, Table]) -> None:
    model, test = fitted
    source = model._source(test.take(np.arange(100)), torch.device("cpu"))
    x = source.gather(torch.arange(100))
    with torch.inference_mode():
        out = model._module(x)
        mean = torch.stack([nn.functional.cross_entropy(out[:, k], x.target) for k in range(8)]).mean()
        of_mean = nn.functional.nll_loss(out.softmax(-1).mean(1).log(), x.target)
        assert float(model.loss(out, x)) == pytest.approx(float(mean), rel=1e-5)
    assert float(of_mean) < float(mean)


def test_members_differ_and_their_average_beats_the_mean_member(fitted: tuple[TabM, Table]) -> None:
    model, test = fitted
    y = test.target[:, 0]
    temperature = model._answer._temperature
    logits = model._raw(test)[0].astype(np.float64) / temperature
    members = np.exp(logits[..., 1]) / np.exp(logits).sum(axis=-1)
    assert members.std(axis=1).mean() > 0.005
    answer = model.predict(test).values[:, 1]
    np.testing.assert_allclose(answer, members.mean(axis=1), atol=1e-5)
    assert log_loss(y, answer).mean() < np.mean([log_loss(y, member).mean() for member in members.T])


def test_it_finds_an_interaction_that_no_scorecard_can() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6_000, 4))
    table, sign = made(x, rng.random(6_000) < np.where(x[:, 0] * x[:, 1] > 0, 0.9, 0.1))
    train, valid, test = parts(table)
    model = TabM(TabMHyperparameters(members=4, width=64), sign, TrainingConfig(max_epochs=10, device="cpu")).fit(train, valid)
    assert ((model.predict(test).values[:, 1] > 0.5) == (test.target[:, 0] == 1)).mean() > 0.85


def test_the_card_names_what_it_is_compared_with() -> None:
    assert CARD.ablations == {"one_member": {"members": 1}}
