"""Contrastive representation: the losses against their definitions, causality, negatives, and what a linear probe finds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from window_cases import gathered, parts, signature, spells, two_regimes

from finml_models.core.batches import Windows
from finml_models.core.estimator import TrainingConfig
from finml_models.core.spec import Objective
from finml_models.representation.contrastive.card import ContrastiveHyperparameters
from finml_models.representation.contrastive.losses import NEGATIVES, hierarchical, instance_loss, nt_xent, temporal_loss
from finml_models.representation.contrastive.model import CausalConvolution, Contrastive, Network, crops
from finml_models.training.minibatch import WindowTensors

SIGNATURE = signature(Objective.REGIMES, features=3)
CONFIG = TrainingConfig(max_epochs=10, patience=10, learning_rate=1e-2, batch_size=64, device="cpu")
FAR = torch.arange(100) * 1_000


def network(**hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    return Network(ContrastiveHyperparameters(**hyperparameters), SIGNATURE)


def views(rows: int = 6, length: int = 5, width: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    first = torch.randn(rows, length, width, generator=generator)
    return first, first + 0.5 * torch.randn(rows, length, width, generator=generator)


def by_hand(anchors: Tensor, others: Tensor, session: list[int] | None = None, apart: int = 0) -> float:
    """Mean cross-entropy of partner i among the rest of both views. Shapes: (n, d) twice; loops, as the paper's sums are written."""
    both, n, losses = torch.cat([anchors, others]), len(anchors), []
    when = (session or list(range(n))) * 2
    for i in range(2 * n):
        rivals = [j for j in range(2 * n) if j != i and (j == (i + n) % (2 * n) or abs(when[i] - when[j]) >= apart)]
        scores = [float(both[i] @ both[j]) for j in rivals]
        losses.append(math.log(sum(math.exp(score) for score in scores)) - float(both[i] @ both[(i + n) % (2 * n)]))
    return float(np.mean(losses))


def test_the_instance_and_temporal_losses_are_the_papers() -> None:
    first, second = views()
    instance = np.mean([by_hand(first[:, t], second[:, t]) for t in range(5)])
    temporal = np.mean([by_hand(first[i], second[i]) for i in range(6)])
    assert float(instance_loss(first, second, FAR[:6], 0)) == pytest.approx(instance, rel=1e-4)
    assert float(temporal_loss(first, second)) == pytest.approx(temporal, rel=1e-4)


def test_the_hierarchy_pools_by_twos_and_averages_its_scales() -> None:
    first, second = views()
    expected = []
    for one, two in ((first, second), *((torch.stack([v[:, 0:2].amax(1), v[:, 2:4].amax(1)], 1) for v in (first, second)),)):
        expected.append((instance_loss(one, two, FAR[:6], 0) + temporal_loss(one, two)) / 2)
    top = [view[:, :4].amax(dim=1, keepdim=True) for view in (first, second)]
    expected.append(instance_loss(*top, FAR[:6], 0) / 2)
    assert float(hierarchical(first, second, FAR[:6], 0)) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)


def test_nt_xent_is_the_cross_entropy_of_cosines() -> None:
    first, second = (view[:, 0] for view in views())
    scaled = [nn.functional.normalize(view, dim=1) / 0.3**0.5 for view in (first, second)]
    assert float(nt_xent(first, second, FAR[:6], 0, 0.3)) == pytest.approx(by_hand(*scaled), rel=1e-4)


def test_windows_that_share_dates_are_no_negatives_of_each_other() -> None:
    first, second = (view[:4] for view in views())
    # Two assets on one date, then windows of 12 rows that share eleven sessions with the first two, and none.
    session = [100, 100, 111, 112]
    instance = np.mean([by_hand(first[:, t], second[:, t], session, 12) for t in range(5)])
    assert float(instance_loss(first, second, torch.tensor(session), 12)) == pytest.approx(instance, rel=1e-4)
    assert instance < np.mean([by_hand(first[:, t], second[:, t]) for t in range(5)])
    scaled = [nn.functional.normalize(view[:, 0], dim=1) / 0.3**0.5 for view in (first, second)]
    found = float(nt_xent(first[:, 0], second[:, 0], torch.tensor(session), 12, 0.3))
    assert found == pytest.approx(by_hand(*scaled, session, 12), rel=1e-4)


def test_a_batch_of_one_date_still_learns_from_time_and_divides_by_no_zero() -> None:
    first, second = views()
    one_date = torch.zeros(6, dtype=torch.int64)
    assert float(instance_loss(first, second, one_date, 12)) == 0
    assert 0 < float(hierarchical(first, second, one_date, 12)) < float(hierarchical(first, second, one_date, 0))


def test_instances_are_contrasted_in_groups_of_about_equal_size() -> None:
    first, second = views(rows=NEGATIVES + 8)
    halves = [instance_loss(first[part], second[part], FAR[part], 0) for part in (slice(0, 20), slice(20, 40))]
    assert float(instance_loss(first, second, FAR[:40], 0)) == pytest.approx(float(sum(halves)) / 2, rel=1e-5)


@pytest.mark.parametrize("dilation", [1, 2, 8])
def test_a_causal_convolution_is_a_dilated_one_padded_on_the_left(dilation: int) -> None:
    torch.manual_seed(0)
    own, x = CausalConvolution(3, 5, dilation), torch.randn(2, 12, 3)
    other = nn.Conv1d(3, 5, 3, dilation=dilation)
    with torch.no_grad():
        # Ours has the newest row first, Conv1d the oldest.
        other.weight.copy_(own.linear.weight.unflatten(1, (3, 3)).flip(1).transpose(1, 2))
        other.bias.copy_(own.linear.bias)
        expected = other(nn.functional.pad(x.transpose(1, 2), (2 * dilation, 0))).transpose(1, 2)
        torch.testing.assert_close(own(x), expected)


def test_the_representation_at_t_ignores_the_future_and_sees_the_past() -> None:
    own, x = network(blocks=4).eval(), torch.randn(3, 12, 3)
    later, earlier = x.clone(), x.clone()
    later[:, 7:] += 100
    earlier[:, 5] += 100
    with torch.no_grad():
        before = own.encode(x, None)
        assert torch.equal(own.encode(later, None)[:, :7], before[:, :7])
        assert (own.encode(earlier, None)[:, 6:] != before[:, 6:]).any(dim=-1).all()


def test_views_overlap_in_at_least_half_of_the_window_and_differ() -> None:
    torch.manual_seed(0)
    drawn = [crops(12) for _ in range(500)]
    assert all(0 <= early <= late < end <= 12 and end - late >= 6 for early, late, end in drawn)
    assert len({(early, late, end) for early, late, end in drawn}) > 30
    assert crops(1) == (0, 0, 1)


def test_rows_are_hidden_at_random_in_training_alone() -> None:
    own, x = network(mask_probability=0.5, dropout=0), torch.randn(64, 12, 3)
    seen: list[Tensor] = []
    own.blocks.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    own.train()(WindowTensors(x))
    shares = [float((hidden == 0).all(dim=-1).float().mean()) for hidden in seen]
    assert all(abs(share - 0.5) < 0.08 for share in shares)
    own.eval()(WindowTensors(x))
    assert not (seen[-1] == 0).all(dim=-1).any()


def test_the_embedding_is_pooled_over_the_newest_rows_and_leaves_the_projection_out() -> None:
    own, x = network(loss="nt_xent", pool=3).eval(), WindowTensors(torch.randn(4, 12, 3))
    with torch.no_grad():
        out = own(x)
        torch.testing.assert_close(out.embedding, out.first[:, -3:].amax(dim=1))
        for parameter in own.projection.parameters():
            parameter.zero_()
        assert torch.equal(own(x).embedding, out.embedding)
    assert network().projection is None


def probe(features: Any, train: Windows, test: Windows) -> float:
    """Accuracy of a logistic regression on features of each row."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000)).fit(features(train), train.target[:, 0])
    return float(linear.score(features(test), test.target[:, 0]))


def test_a_linear_probe_beats_raw_features_and_a_random_encoder() -> None:
    train, valid, test = parts(spells(), 0.6, 0.1)
    hyperparameters = ContrastiveHyperparameters()
    learned = Contrastive(hyperparameters, SIGNATURE, CONFIG).fit(train, valid)
    untrained = Contrastive(hyperparameters, SIGNATURE, CONFIG.model_copy(update={"max_epochs": 0})).fit(train, valid)
    raw = probe(lambda rows: gathered(rows).reshape(len(rows), -1), train, test)
    found, random = (probe(model.embed, train, test) for model in (learned, untrained))
    assert found > random + 0.03
    assert found > raw + 0.1


def test_assets_of_one_date_end_up_nearer_to_each_other_when_they_do_not_repel_each_other() -> None:
    rows, _ = two_regimes(series=6, steps=240)
    train, valid, test = parts(rows, 0.6, 0.15)
    test = test.take(np.arange(len(test) % 6, len(test)))  # whole dates

    def spread(**hyperparameters: Any) -> float:
        """Variance of embeddings within dates, as a share of all."""
        model = Contrastive(ContrastiveHyperparameters(loss="nt_xent", **hyperparameters), SIGNATURE, CONFIG).fit(train, valid)
        embedding = model.embed(test).reshape(-1, 6, 16)
        return float(embedding.var(axis=1).mean() / embedding.reshape(-1, 16).var(axis=0).mean())

    assert spread() < spread(exclude_same_date=False)
