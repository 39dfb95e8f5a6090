"""FinBERT: its learning rules, the stand-in that says what it is, and what is kept with its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import published_weights
import pytest
import torch
from text_cases import CLASSES, SIGNATURE, UNTRAINED, signed, texts

from finml_models.core import artifact
from finml_models.core.errors import NotFitted
from finml_models.core.estimator import Progress, TrainingConfig
from finml_models.core.texts import Texts
from finml_models.nlp.finbert.card import CARD, FinBERTHyperparameters
from finml_models.nlp.finbert.model import FinBERT, Network, slanted_triangle, unfreezing

QUICK = TrainingConfig(max_epochs=4, batch_size=32, learning_rate=5e-3, patience=4, device="cpu")
PUBLISHED = FinBERTHyperparameters(weights="ProsusAI/finbert")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = published_weights.write(tmp_path / "weights", layers=3)
    monkeypatch.setenv("FINML_WEIGHTS", str(folder))
    return folder


def fitted(hyperparameters: FinBERTHyperparameters | None = None, config: TrainingConfig = QUICK, few: Texts | None = None) -> FinBERT:
    rows = signed(120) if few is None else few
    return FinBERT(hyperparameters or FinBERTHyperparameters(), SIGNATURE, config).fit(rows, signed(40, seed=1))


def test_it_learns_a_sign_that_no_word_has_alone() -> None:
    train, test = signed(600), signed(200, seed=2)
    config = TrainingConfig(max_epochs=30, batch_size=32, learning_rate=4e-3, patience=30, device="cpu")
    found = FinBERT(FinBERTHyperparameters(dropout=0.0), SIGNATURE, config).fit(train, signed(100, seed=1)).predict(test)
    assert (found.values.argmax(axis=1) == test.target[:, 0]).mean() > 0.98


def test_every_parameter_gets_a_gradient() -> None:
    model = fitted(config=TrainingConfig(max_epochs=0, device="cpu"))
    rows = signed(64)
    source = model.encoder(rows).source(rows, torch.from_numpy(rows.target[:, 0].astype(np.int64)), torch.device("cpu"), {})
    network = model.network().train()
    batch = source.gather(torch.arange(64))
    model.loss(network(batch), batch).backward()
    still = [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.abs().sum()]
    # Positions behind the longest text are never read, and a key's bias adds the same to all scores of a softmax.
    assert [name for name in still if not name.endswith("key.bias")] == []


def test_the_default_needs_no_weights_and_says_that_it_is_not_finbert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_WEIGHTS", raising=False)
    model = fitted()
    assert "not FinBERT" in model.weights
    assert "trained from scratch" in model.weights
    assert "not FinBERT" in CARD.description


def test_the_stand_in_still_says_so_when_it_is_loaded(tmp_path: Path) -> None:
    folder = artifact.save(tmp_path, fitted(), task="news_analysis", entry="finbert", fingerprint={}, reference={})
    assert "not FinBERT" in artifact.load(folder).estimator.weights


def test_published_weights_are_named_with_their_commit(weights: Path) -> None:
    model = fitted(PUBLISHED, UNTRAINED)
    assert model.weights.startswith("ProsusAI/finbert at commit 4556d1301521 (read from the folder)")
    assert "not FinBERT" not in model.weights


def test_nothing_is_said_before_anything_is_learned() -> None:
    with pytest.raises(NotFitted, match="call `fit`"):
        _ = FinBERT(FinBERTHyperparameters(), SIGNATURE).weights


def test_a_score_on_the_corpus_of_the_published_weights_is_contaminated() -> None:
    published, scratch = FinBERT(PUBLISHED, SIGNATURE), FinBERT(FinBERTHyperparameters(), SIGNATURE)
    assert published.contaminated_by({"financial_phrasebank", "wire"}) == ("financial_phrasebank",)
    assert published.contaminated_by({"wire"}) == ()
    assert scratch.contaminated_by({"financial_phrasebank"}) == ()


def test_lower_layers_learn_more_slowly_and_every_parameter_once(weights: Path) -> None:
    model = FinBERT(PUBLISHED.model_copy(update={"layer_decay": 0.5, "rate": 0.02}), SIGNATURE, QUICK)
    model.fit(signed(40), signed(20, seed=1))
    network = model.network()
    plan = model.plan(network)
    assert [group.rate for group in plan.groups] == pytest.approx([0.02 * 0.5**depth for depth in range(5)])
    held = [id(parameter) for group in plan.groups for parameter in group.parameters]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())
    assert any(parameter is network.bert.classifier.weight for parameter in plan.groups[0].parameters)
    assert any(parameter is network.bert.bert.embeddings.word_embeddings.weight for parameter in plan.groups[-1].parameters)


def test_layers_join_from_the_top_until_the_middle_of_the_training() -> None:
    assert unfreezing(14, 26) == list(range(1, 15))
    assert unfreezing(5, 6) == [1, 1, 2, 3, 4]
    assert unfreezing(14, 1) == [1] * 14
    for depths in range(1, 20):
        for epochs in range(30):
            assert unfreezing(depths, epochs) == sorted(unfreezing(depths, epochs))
            assert max(unfreezing(depths, epochs)) <= 1 + epochs // 2


@pytest.mark.parametrize("gradual", [True, False])
def test_a_frozen_layer_does_not_move_before_its_epoch(weights: Path, gradual: bool) -> None:
    model = FinBERT(PUBLISHED.model_copy(update={"gradual_unfreezing": gradual}), SIGNATURE, QUICK.model_copy(update={"max_epochs": 8, "patience": 8}))
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def look(event: Progress) -> None:
        if event.metric is not None:
            bert = model._module.bert
            seen.append((bert.classifier.weight.detach().numpy().copy(), bert.bert.embeddings.word_embeddings.weight.detach().numpy().copy()))

    model.fit(signed(40), signed(20, seed=1), look)
    start = FinBERT(PUBLISHED, SIGNATURE, UNTRAINED).fit(signed(4), signed(4))._module.bert
    heads, embeddings = ([start.classifier.weight.detach().numpy(), start.bert.embeddings.word_embeddings.weight.detach().numpy()][i] for i in range(2))
    assert not np.array_equal(seen[0][0], heads)
    assert np.array_equal(seen[0][1], embeddings) == gradual
    assert not np.array_equal(seen[-1][1], embeddings)


def test_from_scratch_all_layers_learn_at_once_and_alike() -> None:
    model = fitted(FinBERTHyperparameters(layers=2), UNTRAINED)
    (group,) = model.plan(model.network()).groups
    assert (group.rate, group.from_epoch) == (1.0, 1)
    assert len(list(group.parameters)) == len(list(model.network().parameters()))


@pytest.mark.parametrize(("steps", "share"), [(100, 0.1), (40, 0.2), (1_000, 0.5)])
def test_the_schedule_is_the_slanted_triangle_of_its_paper(steps: int, share: float) -> None:
    cut = int(steps * share)
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / share - 1))
        assert slanted_triangle(t, steps, share) == pytest.approx((1 + p * 31) / 32)


def test_a_triangle_without_a_rise_falls_from_the_peak() -> None:
    assert slanted_triangle(0, 10, 0.0) == 1.0
    assert 1 / 32 <= slanted_triangle(9, 10, 0.0) < slanted_triangle(8, 10, 0.0)


def test_a_step_takes_no_more_texts_than_its_hyperparameter_or_the_training_allow() -> None:
    for own, training in ((32, 256), (512, 64)):
        model = FinBERT(FinBERTHyperparameters(batch_size=own), SIGNATURE, TrainingConfig(batch_size=training))
        assert model.config.batch_size == min(own, training)


def test_probabilities_are_calibrated_on_the_validation_rows() -> None:
    valid = signed(40, seed=1)
    noisy = Texts(valid.texts, valid.times, valid.entities, np.roll(valid.target, 3))
    config = QUICK.model_copy(update={"max_epochs": 12, "patience": 12})
    loss, temperature = {}, {}
    for calibrate in (True, False):
        model = FinBERT(FinBERTHyperparameters(), SIGNATURE, config.model_copy(update={"calibrate": calibrate})).fit(signed(120), noisy)
        found = model.predict(noisy).values[np.arange(40), noisy.target[:, 0].astype(int)]
        loss[calibrate], temperature[calibrate] = -np.log(found).mean(), float(model.state()["temperature"][0])
    assert temperature[False] == 1.0
    assert temperature[True] != 1.0
    assert loss[True] < loss[False]


def test_the_vocabulary_comes_from_the_training_texts_alone() -> None:
    def vocabulary(valid: Texts) -> bytes:
        return FinBERT(FinBERTHyperparameters(), SIGNATURE, UNTRAINED).fit(signed(60), valid).state()["encoder.tokenizer"].tobytes()

    strange = texts(["zebra zebra zebra"] * 20, [1] * 20)
    assert vocabulary(strange) == vocabulary(signed(20, seed=1))
    assert b"zebra" not in vocabulary(strange)


def test_a_restored_model_gives_equal_bits_without_the_published_files(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = fitted(PUBLISHED), signed(50, seed=3)
    monkeypatch.setenv("FINML_WEIGHTS", str(weights / "gone"))
    again = FinBERT(PUBLISHED, SIGNATURE, QUICK)
    again.restore(model.state())
    np.testing.assert_array_equal(again.predict(rows).values, model.predict(rows).values)
    assert again.weights == model.weights


@pytest.mark.parametrize("chosen", [FinBERTHyperparameters(), PUBLISHED], ids=["scratch", "published"])
def test_a_training_that_was_killed_goes_on_to_equal_bits(weights: Path, tmp_path: Path, chosen: FinBERTHyperparameters) -> None:
    config = QUICK.model_copy(update={"max_epochs": 6, "patience": 6})
    parts, whole = (signed(64), signed(32, seed=1)), FinBERT(chosen, SIGNATURE, config)
    whole.fit(*parts)

    def kill(event: Progress) -> None:
        if event.metric is not None and event.epoch == 3:
            raise KeyboardInterrupt

    killed, again = FinBERT(chosen, SIGNATURE, config), FinBERT(chosen, SIGNATURE, config)
    killed.resume_folder = again.resume_folder = tmp_path / "fit"
    with pytest.raises(KeyboardInterrupt):
        killed.fit(*parts, kill)
    epochs: list[int] = []
    again.fit(*parts, lambda event: epochs.append(event.epoch))
    assert min(epochs) == 4
    for name, array in whole.state().items():
        np.testing.assert_array_equal(again.state()[name], array, err_msg=name)


def test_hostile_texts_are_read_like_any_other() -> None:
    model = fitted()
    written = ["\u0000\u202e profit \u200b", "🚀" * 300, "[SEP] [PAD] [CLS]", "ﷺ" * 50, "a" * 50_000, "profit rose", "'; DROP TABLE texts; --", "\ufffd"]
    rows = texts(written)
    together = model.predict(rows).values
    assert np.isfinite(together).all()
    for row in range(len(written)):
        np.testing.assert_allclose(model.predict(rows.take(np.array([row]))).values[0], together[row], rtol=1e-5, atol=1e-6)


def test_what_was_not_read_is_counted() -> None:
    model = fitted(FinBERTHyperparameters(max_length=8), UNTRAINED)
    tokens, most = model.read(texts(["profit rose", "profit of the company rose and costs of the company fell"]))
    assert most == 8
    assert tokens[0] == 4
    assert tokens[1] > 8


def test_words_behind_the_cut_change_nothing_and_words_before_it_do() -> None:
    model = fitted(FinBERTHyperparameters(max_length=8))
    long = "profit rose " * 10
    first, second, third = model.predict(texts([long + "fell", long + "slid slid", "fell " + long])).values
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_the_network_is_read_from_the_configuration_that_was_saved() -> None:
    model = fitted(FinBERTHyperparameters(heads=2, head_width=8, layers=2), UNTRAINED)
    network = model.network()
    assert isinstance(network, Network)
    config = network.bert.config
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (16, 2, 2)
    assert tuple(config.id2label.values()) == CLASSES
