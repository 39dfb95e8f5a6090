"""Word pieces and minibatches: the same vocabulary for the same texts, every row once, and little padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from text_cases import texts

from finml_models.datasets.news import synthetic
from finml_models.nlp import _reading, _wordpiece
from finml_models.nlp._reading import TextEncoder
from finml_models.nlp._wordpiece import Tokens

NEWS = synthetic.generate(texts=600).frame["text"].tolist()


def encoder(most: int = 64, size: int = 800) -> TextEncoder:
    return TextEncoder(_wordpiece.train(NEWS, size), {"max_position_embeddings": most}, {"weights": "scratch"}, most)


def pieces(written: str, text: str) -> list[str]:
    return _wordpiece.read(written).encode(text, add_special_tokens=False).tokens


def test_the_same_texts_give_the_same_vocabulary() -> None:
    assert len({_wordpiece.train(NEWS, 500) for _ in range(4)}) == 1


def test_the_vocabulary_keeps_its_size_and_knows_every_character() -> None:
    tokenizer = _wordpiece.read(_wordpiece.train(NEWS, 500))
    assert tokenizer.get_vocab_size() <= 500
    assert all("[UNK]" not in tokenizer.encode(text, add_special_tokens=False).tokens for text in NEWS[:100])


def test_frequent_words_are_whole_and_unknown_ones_are_pieces() -> None:
    written = _wordpiece.train(NEWS, 2_000)
    assert pieces(written, "Revenue") == ["revenue"]
    assert len(pieces(written, "revenueless")) > 1
    assert pieces(written, "\u4e2d") == ["[UNK]"]


def test_a_script_of_thousands_of_characters_leaves_room_for_words() -> None:
    many = ["".join(map(chr, range(0x4E00, 0x4E00 + 3_000))), *["profit rose"] * 50]
    tokenizer = _wordpiece.read(_wordpiece.train(many, 3_000))
    assert tokenizer.token_to_id("profit") is not None
    assert tokenizer.get_vocab_size() <= 3_000


def test_a_text_that_spells_a_special_token_is_a_text() -> None:
    written = _wordpiece.train(NEWS, 800)
    assert "[SEP]" not in pieces(written, "profit [SEP] rose")
    assert len(pieces(written, "profit [SEP] rose")) > 3


def test_a_sequence_is_start_text_end_and_padding() -> None:
    reader = encoder(most=16)
    rows = texts(["revenue rose", "revenue " * 40])
    source = reader.source(rows, None, torch.device("cpu"), {})
    ((ids, mask),) = source.gather(torch.arange(2)).parts
    revenue, rose = (reader._tokenizer.token_to_id(word) for word in ("revenue", "rose"))
    pad, start, end = reader._special
    assert ids[0].tolist() == [start, revenue, rose, end, *[pad] * 12]
    assert ids[1].tolist() == [start, *[revenue] * 14, end]
    assert mask.sum(dim=1).tolist() == [4, 16]


def test_every_row_is_answered_once_and_targets_stay_with_their_texts() -> None:
    reader, rows = encoder(), texts(NEWS[:300])
    source = reader.source(rows, torch.arange(300), torch.device("cpu"), {})
    units = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    answered = torch.cat([source.rows(part) for part in units.split(64)])
    assert answered.sort().values.tolist() == list(range(300))
    for part in units.split(64):
        batch = source.gather(part)
        assert torch.equal(batch.target, source.rows(part))
        assert sum(len(ids) for ids, _ in batch.parts) == len(part)
        lengths = torch.cat([mask.sum(dim=1) for _, mask in batch.parts])
        expected = np.minimum(reader.tokens(rows.texts).lengths + 2, 64)[source.rows(part).numpy()]
        np.testing.assert_array_equal(lengths.numpy(), expected)


def test_a_random_minibatch_is_padded_little() -> None:
    rows = texts(NEWS)
    source = encoder().source(rows, None, torch.device("cpu"), {})
    parts = [part for units in torch.randperm(600, generator=torch.Generator().manual_seed(0)).split(64) for part in source.gather(units).parts]
    read, padded = sum(int(mask.sum()) for _, mask in parts), sum(mask.numel() for _, mask in parts)
    assert padded < 1.35 * read
    assert padded < 0.65 * 600 * 64  # what one rectangle a minibatch would take


def test_a_forward_pass_is_bounded_however_long_the_texts_are() -> None:
    rows = texts(["revenue " * 500] * 100)
    parts = encoder(most=512).source(rows, None, torch.device("cpu"), {}).gather(torch.arange(100)).parts
    assert max(ids.numel() for ids, _ in parts) <= _reading.TOKENS["cpu"]
    assert sum(len(ids) for ids, _ in parts) == 100


def test_texts_are_split_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, rows, calls = encoder(), texts(NEWS[:10]), []
    whole = Tokens.of
    monkeypatch.setattr(Tokens, "of", lambda *given: calls.append(1) or whole(*given))
    reader.source(rows, None, torch.device("cpu"), {})
    reader.tokens(rows.texts)
    reader.source(rows, None, torch.device("cpu"), {})
    assert len(calls) == 1
    reader.tokens(texts(NEWS[:10]).texts)
    assert len(calls) == 2


def test_an_encoder_is_restored_from_its_arrays() -> None:
    reader = encoder()
    again = TextEncoder.restore(reader.state(), 64)
    np.testing.assert_array_equal(again.tokens(texts(NEWS[:20]).texts).ids, reader.tokens(texts(NEWS[:20]).texts).ids)
    assert {array.dtype for array in reader.state().values()} == {np.dtype(np.uint8)}
    with pytest.raises(KeyError):
        TextEncoder.restore({}, 64)
