"""Published weights: found where they may be, refused where they are others, and read as their publisher reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import published_weights
import pytest
import torch
from text_cases import CLASSES, SIGNATURE, UNTRAINED, signed, texts

from finml_models.core.errors import FinmlError
from finml_models.nlp import _weights
from finml_models.nlp.finbert.card import FinBERTHyperparameters
from finml_models.nlp.finbert.model import LABELS, FinBERT

WEIGHTS, REVISION = "ProsusAI/finbert", FinBERTHyperparameters().revision
PUBLISHED = FinBERTHyperparameters(weights=WEIGHTS)
SENTENCES = ("profit rose strongly", "costs rose strongly", "the quarter of the company")
"""Positive, negative and neutral, in the order of the published logits."""


def put(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    monkeypatch.setenv(_weights.FOLDER, str(folder))
    return folder / WEIGHTS


def untrained() -> FinBERT:
    return FinBERT(PUBLISHED, SIGNATURE, UNTRAINED).fit(signed(8), signed(8))


def logits_of(own: Path, sentence: str) -> torch.Tensor:
    """What transformers' own classes say of a sentence."""
    from transformers import AutoTokenizer, BertForSequenceClassification

    tokenizer, model = AutoTokenizer.from_pretrained(own), BertForSequenceClassification.from_pretrained(own).eval()
    with torch.inference_mode():
        return model(**tokenizer(sentence, return_tensors="pt")).logits[0]


def knowing(own: Path) -> None:
    """Give the head weights by which the three sentences get the three logits in turn."""
    from transformers import AutoTokenizer, BertForSequenceClassification

    tokenizer, model = AutoTokenizer.from_pretrained(own), BertForSequenceClassification.from_pretrained(own).eval()
    with torch.no_grad():
        pooled = torch.cat([model.bert(**tokenizer(sentence, return_tensors="pt")).pooler_output for sentence in SENTENCES])
        model.classifier.weight.copy_(torch.linalg.lstsq(pooled, 4 * torch.eye(3)).solution.T)
        model.classifier.bias.zero_()
    model.save_pretrained(own)


def test_three_sentences_get_their_labels_although_the_published_order_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    knowing(own)
    found = untrained().predict(texts(SENTENCES))
    assert [CLASSES[i] for i in found.values.argmax(axis=1)] == ["positive", "negative", "neutral"]
    assert LABELS[WEIGHTS] == ("positive", "negative", "neutral")


def test_untrained_it_answers_what_its_publisher_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    written = [*SENTENCES, "Profits rose, costs fell.", "an unknown word", "profit " * 40]
    found = untrained().predict(texts(written)).values
    order = [LABELS[WEIGHTS].index(name) for name in CLASSES]
    for sentence, own_answer in zip(written, found, strict=True):
        np.testing.assert_allclose(own_answer, torch.softmax(logits_of(own, sentence), 0).numpy()[order], rtol=1e-4, atol=1e-6)


def test_another_order_of_labels_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, published_weights.write(tmp_path / "weights", labels=("negative", "neutral", "positive")))
    with pytest.raises(FinmlError, match=r"'positive', 'negative', 'neutral'\) is pinned"):
        untrained()


def test_a_head_for_other_classes_is_drawn_anew_on_the_published_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, published_weights.write(tmp_path / "weights"))
    signature = SIGNATURE.model_copy(update={"classes": ("calm", "stormy")})
    rows = texts(["profit rose", "costs fell"] * 4, [0, 1] * 4)
    state = FinBERT(PUBLISHED, signature, UNTRAINED).fit(rows, rows).state()
    name = "network.bert.bert.embeddings.word_embeddings.weight"
    assert state["network.bert.classifier.weight"].shape == (2, 16)
    np.testing.assert_array_equal(state[name], untrained().state()[name])


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json"])
def test_a_folder_without_a_file_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    (own / missing).unlink()
    with pytest.raises(FinmlError, match="weights: 'ProsusAI/finbert' is not to be had in the folder that FINML_WEIGHTS names") as refused:
        untrained()
    assert "weights='scratch'" in str(refused.value)


def test_weights_as_a_pickle_in_a_folder_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    shutil.move(own / "model.safetensors", own / "pytorch_model.bin")
    with pytest.raises(FinmlError, match=r"model\.safetensors"):
        untrained()


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", "{"), ("config.json", "[]"), ("config.json", "{}"), ("model.safetensors", "garbage"), ("model.safetensors", "")],
)
def test_damaged_files_are_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str) -> None:
    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    (own / name).write_text(content)
    with pytest.raises(FinmlError, match="is not to be had"):
        untrained()


def test_an_encoder_without_its_own_vocabulary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    (own / "vocab.txt").unlink()
    with pytest.raises(FinmlError, match=r"knows 5 pieces and the encoder 22: put its vocab\.txt"):
        untrained()


def test_an_encoder_that_lacks_a_layer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file, save_file

    own = put(monkeypatch, published_weights.write(tmp_path / "weights"))
    held = load_file(own / "model.safetensors")
    save_file({name: value for name, value in held.items() if ".layer.1." not in name}, own / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FinmlError, match="lacks"):
        untrained()


def test_without_network_cache_or_folder_the_id_is_refused_at_once_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_weights.FOLDER, raising=False)
    with pytest.raises(FinmlError, match="HF_HUB_OFFLINE") as refused:
        _weights.load(WEIGHTS, REVISION, FinBERT.architecture)
    assert REVISION in str(refused.value)
    assert "FINML_WEIGHTS" in str(refused.value)


def test_the_hub_is_asked_for_the_pinned_commit_and_its_cache_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def read(name: str | Path, place: str, architecture: str, **options: object) -> _weights.Pretrained:
        asked.append({"name": name, **options})
        raise OSError("nothing there")

    monkeypatch.delenv(_weights.FOLDER, raising=False)
    monkeypatch.setattr(_weights, "_read", read)
    with pytest.raises(FinmlError):
        _weights.load(WEIGHTS, REVISION, FinBERT.architecture)
    assert asked == [{"name": WEIGHTS, "revision": REVISION, "local_files_only": True}, {"name": WEIGHTS, "revision": REVISION}]


def test_the_state_says_which_bits_were_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origins = []
    for seed in (0, 0, 1):
        put(monkeypatch, published_weights.write(tmp_path / f"weights{len(origins)}", seed=seed))
        origins.append(untrained().state()["encoder.origin"].tobytes())
    assert origins[0] == origins[1] != origins[2]
    assert REVISION.encode() in origins[0]
