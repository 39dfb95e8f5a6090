"""What the three representations share: no target is learned from, embeddings survive a restart, the newest row decides, windows may be short."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, average_precision_score
from window_cases import changed, gathered, parts, signature, two_regimes, waves, windows, with_spikes

from finml_models.core.batches import Windows
from finml_models.core.errors import DataError
from finml_models.core.estimator import TrainingConfig
from finml_models.core.spec import Objective
from finml_models.representation.contrastive.card import ContrastiveHyperparameters
from finml_models.representation.contrastive.model import Contrastive
from finml_models.representation.denoising_autoencoder.card import DenoisingAutoencoderHyperparameters
from finml_models.representation.denoising_autoencoder.model import DenoisingAutoencoder
from finml_models.representation.vae.card import VAEHyperparameters
from finml_models.representation.vae.model import VAE
from finml_models.training.minibatch import WindowTensors
from finml_models.training.representation import Representation, mean_over, newest_last, recency

CONFIG = TrainingConfig(max_epochs=6, learning_rate=5e-3, batch_size=64, device="cpu")
RATE = 0.02
MODELS: dict[str, tuple[type[Representation[Any]], Any, Objective]] = {
    "vae score": (VAE, VAEHyperparameters(hidden=32), Objective.SCORE),
    "denoising_autoencoder score": (DenoisingAutoencoder, DenoisingAutoencoderHyperparameters(hidden=32, bottleneck=4), Objective.SCORE),
    "vae regimes": (VAE, VAEHyperparameters(hidden=32), Objective.REGIMES),
    "contrastive regimes": (Contrastive, ContrastiveHyperparameters(loss="nt_xent"), Objective.REGIMES),
}
SCORES, REGIMES = ([name for name, (*_, kind) in MODELS.items() if kind is objective] for objective in (Objective.SCORE, Objective.REGIMES))


def build(name: str) -> Representation[Any]:
    cls, hyperparameters, objective = MODELS[name]
    return cls(hyperparameters, signature(objective, features=4 if objective is Objective.SCORE else 3, alarm_rate=RATE), CONFIG)


@pytest.fixture(scope="module")
def data() -> dict[Objective, tuple[Windows, ...]]:
    _, noisy = waves(series=4, steps=500)
    rows, _ = two_regimes(steps=800)
    return {Objective.SCORE: parts(windows(*with_spikes(noisy, share=0.01)), 0.5, 0.2), Objective.REGIMES: parts(rows, 0.5, 0.2)}


@pytest.fixture(scope="module")
def fitted(data: dict[Objective, tuple[Windows, ...]]) -> dict[str, Representation[Any]]:
    return {name: build(name).fit(*data[objective][:2]) for name, (*_, objective) in MODELS.items()}


def same(one: Representation[Any], other: Representation[Any], *, besides: str = " ") -> bool:
    ours, theirs = one.state(), other.state()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours if not name.startswith(besides))


@pytest.mark.parametrize("name", MODELS)
def test_permuting_the_target_changes_no_bit_of_the_network(name: str, data: Any, fitted: Any) -> None:
    train, valid, _ = data[MODELS[name][2]]
    rng = np.random.default_rng(0)
    permuted = [part.__class__(**{**{f: getattr(part, f) for f in part.__slots__}, "target": rng.permutation(part.target)}) for part in (train, valid)]
    # Regimes read the target once the network has its weights, to say what returns followed them.
    assert same(build(name).fit(*permuted), fitted[name], besides="regimes." if name in REGIMES else " ")


@pytest.mark.parametrize("name", SCORES)
def test_scores_need_no_target_at_all(name: str, data: Any, fitted: Any) -> None:
    bare = [windows_without_target(part) for part in data[Objective.SCORE][:2]]
    assert same(build(name).fit(*bare), fitted[name])


def windows_without_target(part: Windows) -> Windows:
    return Windows(**{**{f: getattr(part, f) for f in part.__slots__}, "target": None})


@pytest.mark.parametrize("name", REGIMES)
def test_regimes_need_the_returns_that_followed(name: str, data: Any) -> None:
    train, valid, _ = data[Objective.REGIMES]
    with pytest.raises(DataError, match="target absent"):
        build(name).fit(windows_without_target(train), valid)


@pytest.mark.parametrize("name", MODELS)
def test_embeddings_and_predictions_are_the_same_bits_after_a_restart(name: str, data: Any, fitted: Any) -> None:
    test, again = data[MODELS[name][2]][2], build(name)
    again.restore(fitted[name].state())
    found = again.embed(test)
    assert found.shape == (len(test), again.width)
    assert found.dtype == np.float32
    assert np.array_equal(found, fitted[name].embed(test))
    ours, theirs = again.predict(test).columns(), fitted[name].predict(test).columns()
    assert all(np.array_equal(values, theirs[column]) for column, values in ours.items())
    assert len(again.embed(test.take(np.array([], np.int64)))) == len(again.predict(test.take(np.array([], np.int64)))) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_state_of_other_sizes_is_refused(name: str, fitted: Any) -> None:
    state = dict(fitted[name].state())
    missing = "alarm.threshold" if name in SCORES else "regimes.means"
    with pytest.raises(KeyError):
        build(name).restore({key: value for key, value in state.items() if key != missing})
    with pytest.raises(ValueError, match="shape"):
        build(name).restore({**state, "alarm.threshold" if name in SCORES else "regimes.std": np.zeros(9, np.float32)})


@pytest.mark.parametrize("name", SCORES)
def test_spikes_score_high_and_alarms_on_ordinary_rows_keep_their_rate(name: str, data: Any, fitted: Any) -> None:
    test = data[Objective.SCORE][2]
    truth, found = test.target[:, 0] == 1, fitted[name].predict(test)
    assert average_precision_score(truth, found.score) > 0.8
    false_alarms = float((found.score > found.threshold)[~truth].mean())
    # One in a hundred training rows is a spike, and the fit cannot know: they use up half of the alarms.
    assert false_alarms < 2 * RATE
    raised = float((found.score > found.threshold).mean())
    assert RATE / 2 < raised < 2 * RATE


@pytest.mark.parametrize("name", SCORES)
def test_a_spike_scores_on_its_day_and_fades_as_it_leaves_the_newest_row(name: str, fitted: Any) -> None:
    _, noisy = waves(series=20, steps=40, seed=5)
    spiked = noisy.copy()
    spiked[:, 20, 1] += 6
    plain, moved = (fitted[name].predict(windows(panel)).score.reshape(-1, 20) for panel in (noisy, spiked))
    extra = (moved - plain).mean(axis=1)  # by date; windows end at rows 11 to 39
    assert extra[9] > 5 * np.abs(np.delete(extra, 9)).max()
    assert np.abs(extra[:9]).max() == 0, "a score knew of a spike to come"
    assert np.abs(extra[9 + 12 :]).max() == 0


@pytest.mark.parametrize("name", REGIMES)
def test_planted_regimes_are_found_calm_first_and_no_later_row_moves_them(name: str, data: Any, fitted: Any) -> None:
    rows, state = two_regimes(steps=800)
    test = data[Objective.REGIMES][2]
    found = fitted[name].predict(test)
    assert (np.diff(found.std[0]) > 0).all()
    assert adjusted_rand_score(state[-len(test) :], found.probabilities.argmax(axis=1)) > 0.4
    panel = rows.panel.copy()
    last = test.end[50]
    panel[:, last + 1 :] = 1e3
    early = test.take(np.arange(51))
    assert np.array_equal(fitted[name].predict(changed(early, panel)).probabilities, fitted[name].predict(early).probabilities)


def test_scores_are_explained_by_their_parts_and_regimes_by_gradients(data: Any, fitted: Any) -> None:
    rows = data[Objective.SCORE][2].take(np.arange(5))
    for name in SCORES:
        (part,) = fitted[name].explain(rows).parts
        np.testing.assert_allclose(part.weights.sum(axis=1), fitted[name].predict(rows).score, rtol=1e-5)
    for name in REGIMES:
        rows = data[Objective.REGIMES][2].take(np.arange(5))
        found = fitted[name].explain(rows)
        p = fitted[name].predict(rows).probabilities[:, -1].astype(np.float64)
        inside = (p > 1e-4) & (p < 1 - 1e-4)  # float32 probabilities tell no more
        np.testing.assert_allclose(found.value[inside], (np.log(p) - np.log1p(-p))[inside], rtol=1e-2)
        assert (np.abs(found.gap) < 0.02 * np.abs(found.parts[0].weights).sum(axis=1) + 1e-6).all()


@pytest.mark.parametrize("name", MODELS)
def test_windows_cut_by_the_start_of_their_series_are_read_up_to_their_newest_row(name: str, data: Any, fitted: Any) -> None:
    whole = data[MODELS[name][2]][0]
    short = Windows(whole.panel, whole.times, whole.entities, np.zeros(8, np.int64), np.arange(3, 11), whole.length)
    assert np.isfinite(fitted[name].embed(short)).all()
    padded = WindowTensors(torch.tensor([[[1.0], [2.0], [0.0]], [[1.0], [2.0], [3.0]]]), torch.tensor([2, 3]))
    past, there = newest_last(padded)
    assert past[..., 0].tolist() == [[0, 1, 2], [1, 2, 3]]
    assert there.tolist() == [[False, True, True], [True, True, True]]


def test_a_reconstruction_is_in_the_units_of_the_inputs(data: Any, fitted: Any) -> None:
    test = data[Objective.SCORE][2]
    for name in SCORES:
        found = fitted[name].reconstruct(test)
        assert np.corrcoef(found[:, -1].ravel(), gathered(test)[:, -1].ravel())[0, 1] > 0.7
        assert found[:, -1].std() == pytest.approx(gathered(test)[:, -1].std(), rel=0.4)


def test_the_newest_row_weighs_most_and_padding_nothing() -> None:
    there = torch.tensor([[False, True, True], [True, True, True]])
    weights = recency(there, 3, 1.0)
    assert weights.tolist() == [[0, 0.5, 1], [0.25, 0.5, 1]]
    values = torch.tensor([[[100.0], [2.0], [1.0]], [[4.0], [2.0], [1.0]]])
    assert float(mean_over(values, weights)) == pytest.approx((2 / 1.5 + 3 / 1.75) / 2)
    assert recency(None, 3, 1e9).tolist() == pytest.approx([1, 1, 1])
