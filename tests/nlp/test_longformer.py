"""Longformer: who attends to whom, what it costs, what it finds far into a document, and whose weights it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import published_weights
import pytest
import torch
from text_cases import SIGNATURE, UNTRAINED, signed, texts

from finml_models.core import artifact
from finml_models.core.errors import FinmlError, NotFitted
from finml_models.core.estimator import TrainingConfig
from finml_models.core.texts import Texts
from finml_models.nlp._reading import TOKENS, TextTensors
from finml_models.nlp.longformer.card import CARD, LongformerHyperparameters
from finml_models.nlp.longformer.model import Longformer, Network, Packed, WindowAttention, packs

QUICK = TrainingConfig(max_epochs=4, batch_size=32, learning_rate=5e-3, patience=4, device="cpu")
SMALL = LongformerHyperparameters(reach=8, vocabulary=500)
PUBLISHED = LongformerHyperparameters(weights="allenai/longformer-base-4096")
FILLER = ("the board met", "the office moved", "the year ended", "shares are listed")


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = published_weights.write_longformer(tmp_path / "weights")
    monkeypatch.setenv("FINML_WEIGHTS", str(folder))
    return folder


def fitted(hyperparameters: LongformerHyperparameters = SMALL, config: TrainingConfig = QUICK, few: Texts | None = None) -> Longformer:
    return Longformer(hyperparameters, SIGNATURE, config).fit(signed(120) if few is None else few, signed(40, seed=1))


def documents(count: int, *, words: int, after: int, seed: int = 0) -> Texts:
    """Texts of so many words of nothing and, somewhere behind the first `after`, a passage of one word twelve times, which is the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    written = []
    for label in labels:
        body = " ".join(rng.choice(FILLER, words // 3 + 1)).split()[:words]
        body.insert(int(rng.integers(after, words)), " ".join([("loss", "meeting", "profit")[label]] * 12))
        written.append(" ".join(body))
    return texts(written, labels.tolist())


def packed(*lengths: int) -> Packed:
    """Texts of these lengths."""
    return Packed.of([(torch.full((1, n), 5), torch.ones(1, n, dtype=torch.long)) for n in lengths])


def reads(attention: WindowAttention, held: Packed) -> np.ndarray:
    """(t, t) whether what a token answers moves with another token."""
    x = torch.randn(len(held.ids), 8, generator=torch.Generator().manual_seed(0))
    moved = torch.autograd.functional.jacobian(lambda x: attention(x, held).sum(-1), x)
    return (moved.abs().sum(-1) > 0).numpy()


@pytest.mark.parametrize("anchored", [True, False])
def test_the_first_token_and_all_others_see_each_other_and_the_rest_see_their_window(anchored: bool) -> None:
    torch.manual_seed(0)
    found = reads(WindowAttention(8, 2, reach=3, anchored=anchored, dropout=0.0), packed(11, 2, 20, 1))
    text = np.repeat(np.arange(4), [11, 2, 20, 1])
    at = np.arange(34)
    expected = np.abs(at[:, None] - at) <= 3
    if anchored:
        first = np.isin(at, [0, 11, 13, 33])
        expected |= first[:, None] | first
    np.testing.assert_array_equal(found, expected & (text[:, None] == text))


def test_the_first_token_attends_by_projections_of_its_own() -> None:
    torch.manual_seed(0)
    attention, held = WindowAttention(8, 2, reach=3, anchored=True, dropout=0.0), packed(12)
    x = torch.randn(12, 8)
    before = attention(x, held)
    with torch.no_grad():
        attention.key_global.weight.add_(1.0)
    after = attention(x, held)
    assert not torch.allclose(before[0], after[0])
    torch.testing.assert_close(before[1:], after[1:])


@pytest.mark.parametrize("anchored", [True, False])
@pytest.mark.parametrize(("reach", "longest"), [(2, 7), (8, 9), (8, 40), (4, 33), (16, 32)])
def test_it_answers_what_transformers_answers(anchored: bool, reach: int, longest: int) -> None:
    from transformers import LongformerConfig, LongformerForSequenceClassification

    torch.manual_seed(0)
    config = LongformerConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        attention_window=2 * reach,
        max_position_embeddings=100,
        initializer_range=0.3,
        num_labels=3,
    )
    theirs = LongformerForSequenceClassification(config).eval()
    ours = Network(config, anchored=anchored, dropout=0.0).eval()
    ours.longformer.load_state_dict(theirs.state_dict())
    mask = (torch.arange(longest) < torch.tensor([[longest], [longest // 2], [2]])).long()
    ids = torch.randint(5, 50, mask.shape).where(mask.bool(), torch.tensor(1))
    everywhere = torch.zeros_like(mask)
    everywhere[:, 0] = int(anchored)
    with torch.inference_mode():
        expected = theirs(input_ids=ids, attention_mask=mask, global_attention_mask=everywhere).logits
        torch.testing.assert_close(ours(TextTensors(((ids, mask),))), expected, rtol=1e-4, atol=1e-5)


def kept_for_the_gradient(network: Network, length: int) -> int:
    """Numbers that a training step on one document holds at once, each storage counted once."""
    sizes: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.randint(5, 50, (1, length))
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        answer = network(TextTensors(((ids, torch.ones_like(ids)),)))
        parameters = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
        held = sum(size for place, size in sizes.items() if place not in parameters)
    assert answer.requires_grad
    return held


def test_memory_grows_linearly_with_the_length() -> None:
    model = fitted(LongformerHyperparameters(vocabulary=500, layers=3), UNTRAINED)
    network = model.network().train()
    one, two, four = (kept_for_the_gradient(network, length) for length in (1_000, 2_000, 4_000))
    # Full attention would hold four times as much for twice the length.
    assert two / one == pytest.approx(2, rel=0.03)
    assert four / two == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(("words", "after"), [(700, 550), pytest.param(3_900, 3_500, marks=pytest.mark.slow)])
def test_evidence_far_into_a_document_is_found_where_a_cut_at_512_tokens_guesses(words: int, after: int) -> None:
    headlines = documents(128, words=20, after=1, seed=3)
    train, valid, test = (documents(count, words=words, after=after, seed=seed) for seed, count in enumerate((32, 16, 48)))
    config = TrainingConfig(max_epochs=4, batch_size=16, learning_rate=1e-2, patience=4, device="cpu")
    right = {}
    for most in (4_096, 512):
        model = Longformer(SMALL.model_copy(update={"max_length": most, "dropout": 0.0}), SIGNATURE, config).fit(train.join(headlines), valid)
        right[most] = (model.predict(test).values.argmax(axis=1) == test.target[:, 0]).mean()
    assert right[4_096] > 0.9
    assert right[512] < 0.6


def test_without_global_attention_the_first_token_never_hears_of_the_end() -> None:
    long = ["the board met " * 60 + word for word in ("profit", "loss")]
    for anchored in (True, False):
        model = fitted(SMALL.model_copy(update={"global_attention": anchored}))
        first, second = model.predict(texts(long)).values
        assert np.array_equal(first, second) == (not anchored)


def test_a_short_text_answers_the_same_alone_and_beside_a_document() -> None:
    model = fitted()
    rows = texts(["profit rose", *documents(3, words=700, after=100).texts, "costs fell", "x"])
    together = model.predict(rows).values
    for row in range(len(rows)):
        np.testing.assert_allclose(model.predict(rows.take(np.array([row]))).values[0], together[row], rtol=1e-5, atol=1e-6)


def test_parts_are_read_together_up_to_the_size_of_a_forward_pass() -> None:
    parts = [(torch.full((few, width), 5), torch.ones(few, width, dtype=torch.long)) for few, width in ((50, 20), (30, 100), (4, 1_000), (1, 4_096))]
    found = list(packs(parts))
    assert sum(len(held.start) for held in found) == 85
    assert [len(held.ids) for held in found] == [4_000, 4_000, 4_096]
    assert max(len(held.ids) for held in found) <= TOKENS["cpu"]


def test_padding_is_not_read_at_all() -> None:
    ids, mask = torch.tensor([[2, 7, 3, 0], [2, 8, 9, 3]]), torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    held = Packed.of([(ids, mask)])
    assert held.ids.tolist() == [2, 7, 3, 2, 8, 9, 3]
    assert held.text.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert held.place.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert held.start.tolist() == [0, 3]


def test_it_learns_a_sign_that_no_word_has_alone() -> None:
    train, test = signed(300), signed(200, seed=2)
    config = TrainingConfig(max_epochs=20, batch_size=32, learning_rate=8e-3, patience=20, device="cpu")
    found = Longformer(SMALL.model_copy(update={"dropout": 0.0}), SIGNATURE, config).fit(train, signed(100, seed=1)).predict(test)
    assert (found.values.argmax(axis=1) == test.target[:, 0]).mean() > 0.98


def test_every_parameter_that_reaches_the_answer_gets_a_gradient() -> None:
    model, rows = fitted(config=UNTRAINED), signed(64)
    source = model.encoder(rows).source(rows, torch.from_numpy(rows.target[:, 0].astype(np.int64)), torch.device("cpu"), {})
    network = model.network().train()
    batch = source.gather(torch.arange(64))
    model.loss(network(batch), batch).backward()
    still = [name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.abs().sum()]
    # A key's bias adds the same to all scores of a softmax; of the last layer the first token alone is read, and it has its own projections.
    last = {f"longformer.longformer.encoder.layer.1.attention.self.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")}
    assert {name for name in still if not name.endswith(("key.bias", "key_global.bias"))} <= last
    assert last - set(still) == set()


def test_the_global_projections_begin_as_the_local_ones() -> None:
    attention = fitted(config=UNTRAINED).network().longformer.longformer.encoder.layer[0].attention.self
    for part in ("query", "key", "value"):
        assert torch.equal(getattr(attention, f"{part}_global").weight, getattr(attention, part).weight)


def test_the_learning_rate_rises_and_falls_in_straight_lines() -> None:
    model = fitted(SMALL.model_copy(update={"warmup": 0.1}), UNTRAINED)
    schedule = model.plan(model.network()).schedule
    shares = [schedule(step, 100) for step in range(100)]
    assert np.argmax(shares) == 10
    assert shares[10] == 1.0
    np.testing.assert_allclose(np.diff(shares[:10]), np.diff(shares[:10])[0])
    np.testing.assert_allclose(np.diff(shares[10:]), -1 / 90)
    assert min(shares) > 0


def test_the_default_needs_no_weights_and_says_that_it_is_not_longformer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_WEIGHTS", raising=False)
    model = fitted(LongformerHyperparameters(), UNTRAINED)
    folder = artifact.save(tmp_path, model, task="news_analysis", entry="longformer", fingerprint={}, reference={})
    for said in (model.weights, artifact.load(folder).estimator.weights, *model.notes):
        assert "trained from scratch" in said
        assert "not Longformer" in said
    assert "not Longformer" in CARD.description


def test_nothing_is_said_before_anything_is_learned() -> None:
    with pytest.raises(NotFitted, match="call `fit`"):
        _ = Longformer(SMALL, SIGNATURE).weights


def test_published_weights_are_read_as_their_publisher_reads_them(weights: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    own = weights / published_weights.LONGFORMER
    model = Longformer(PUBLISHED, SIGNATURE, UNTRAINED).fit(signed(8), signed(8))
    assert model.weights.startswith("allenai/longformer-base-4096 at commit 301e6a42cb0d (read from the folder)")
    tokenizer, theirs = AutoTokenizer.from_pretrained(own), AutoModel.from_pretrained(own, add_pooling_layer=False).eval()
    network = model._module
    for sentence in ("Profit rose strongly.", "Café <s> </s> <pad> 1,5 %", "costs " * 100, "x"):
        source = model.reader().source(texts([sentence]), None, torch.device("cpu"), {})
        ((ids, mask),) = source.gather(torch.arange(1)).parts
        if "<" not in sentence:
            # What spells a special token is a text here; transformers takes it for the token.
            assert ids[0].tolist() == tokenizer(sentence)["input_ids"]
        first = torch.zeros_like(mask)
        first[:, 0] = 1
        with torch.inference_mode():
            expected = theirs(input_ids=ids, attention_mask=mask, global_attention_mask=first).last_hidden_state[:, 0]
            torch.testing.assert_close(network.first(Packed.of([(ids, mask)])), expected, rtol=1e-4, atol=1e-5)


def test_all_positions_of_the_published_weights_can_be_read_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINML_WEIGHTS", str(published_weights.write_longformer(tmp_path, positions=128)))
    model = Longformer(PUBLISHED, SIGNATURE, UNTRAINED).fit(signed(8), signed(8))
    tokens, most = model.read(texts(["profit " * 400]))
    assert most == 128 < tokens[0]
    assert np.isfinite(model.predict(texts(["profit " * 400])).values).all()


def test_a_tuned_model_gives_equal_bits_without_the_published_files(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = fitted(PUBLISHED), signed(50, seed=3)
    monkeypatch.setenv("FINML_WEIGHTS", str(weights / "gone"))
    again = Longformer(PUBLISHED, SIGNATURE, QUICK)
    again.restore(model.state())
    np.testing.assert_array_equal(again.predict(rows).values, model.predict(rows).values)
    assert again.weights == model.weights


def test_another_architecture_under_the_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = published_weights.write(tmp_path)
    (folder / published_weights.LONGFORMER).parent.mkdir()
    (folder / published_weights.WEIGHTS).rename(folder / published_weights.LONGFORMER)
    monkeypatch.setenv("FINML_WEIGHTS", str(folder))
    with pytest.raises(FinmlError, match="weights: "):
        Longformer(PUBLISHED, SIGNATURE, UNTRAINED).fit(signed(8), signed(8))


def test_published_layers_learn_at_their_own_small_rate(weights: Path) -> None:
    model = Longformer(PUBLISHED, SIGNATURE, UNTRAINED).fit(signed(8), signed(8))
    (group,) = model.plan(model.network()).groups
    assert group.rate == PUBLISHED.rate
    assert fitted(config=UNTRAINED).plan(model.network()).groups[0].rate == 1.0
