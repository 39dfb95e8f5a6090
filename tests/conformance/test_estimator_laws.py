"""Laws that hold for every estimator of the catalogue, models and baselines alike."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from boxes import points
from subjects import QUICK, every_estimator, every_seeded_estimator, fitted, sample, take

from finml_models.core import artifact
from finml_models.core.batches import Windows
from finml_models.core.catalog import Pair
from finml_models.core.errors import CorruptArtifact
from finml_models.core.estimator import TrainingConfig
from finml_models.core.predictions import Forecast


def equal(a: Forecast, b: Forecast) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@every_estimator
def test_two_fits_with_one_seed_give_equal_bits(pair: Pair) -> None:
    again = sample(pair).fitted()
    assert equal(again.predict(sample(pair).test), fitted(pair).predict(sample(pair).test))


@every_seeded_estimator
def test_another_seed_gives_another_fit(pair: Pair) -> None:
    other = sample(pair).fitted(QUICK.model_copy(update={"seed": 1}))
    assert not equal(other.predict(sample(pair).test), fitted(pair).predict(sample(pair).test))


@every_estimator
def test_predictions_have_the_shape_of_the_objective_and_are_finite(pair: Pair) -> None:
    s, forecast = sample(pair), fitted(pair).predict(sample(pair).test)
    assert forecast.point.shape == (len(s.test), len(s.signature.horizons))
    assert forecast.quantiles.shape == (*forecast.point.shape, len(s.signature.levels))
    assert np.isfinite(forecast.point).all()
    assert np.isfinite(forecast.quantiles).all()


@every_estimator
def test_quantiles_never_cross(pair: Pair) -> None:
    assert (np.diff(fitted(pair).predict(sample(pair).test).quantiles, axis=-1) >= 0).all()


@every_estimator
def test_the_future_changes_nothing(pair: Pair) -> None:
    s = sample(pair)
    if not isinstance(s.test, Windows):
        pytest.skip("a table row holds nothing but its own inputs")
    rows = take(s.test, slice(0, 50))
    after = np.arange(rows.panel.shape[1]) > rows.end.max()
    tampered = replace(rows, panel=np.where(after[None, :, None], np.float32(1e3), rows.panel))
    assert equal(fitted(pair).predict(tampered), fitted(pair).predict(rows))


@every_estimator
def test_training_does_not_see_what_comes_after_its_rows(pair: Pair) -> None:
    s = sample(pair)
    if not isinstance(s.train, Windows):
        pytest.skip("a table row holds nothing but its own inputs")
    after = np.arange(s.train.panel.shape[1]) > max(s.train.end.max(), s.valid.end.max())
    panel = np.where(after[None, :, None], np.float32(1e3), s.train.panel)
    train, valid = replace(s.train, panel=panel), replace(s.valid, panel=panel)
    assert equal(s.build().fit(train, valid).predict(s.valid), fitted(pair).predict(s.valid))


@every_estimator
def test_a_row_predicts_the_same_alone_and_in_a_batch(pair: Pair) -> None:
    s = sample(pair)
    together = fitted(pair).predict(take(s.test, slice(0, 40)))
    alone = [fitted(pair).predict(take(s.test, [row])) for row in range(0, 40, 13)]
    for row, one in zip(range(0, 40, 13), alone, strict=True):
        np.testing.assert_allclose(one.point[0], together.point[row], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(one.quantiles[0], together.quantiles[row], rtol=1e-5, atol=1e-5)


@every_estimator
def test_the_order_of_rows_does_not_matter(pair: Pair) -> None:
    rows = take(sample(pair).test, slice(0, 64))
    forward, backward = fitted(pair).predict(rows), fitted(pair).predict(take(rows, slice(None, None, -1)))
    np.testing.assert_allclose(backward.point[::-1], forward.point, rtol=1e-5, atol=1e-5)


@every_estimator
def test_inference_is_deterministic(pair: Pair) -> None:
    assert equal(fitted(pair).predict(sample(pair).test), fitted(pair).predict(sample(pair).test))


@every_estimator
def test_a_loaded_artifact_predicts_the_same_bits(pair: Pair, tmp_path: Path) -> None:
    s = sample(pair)
    folder = artifact.save(tmp_path, fitted(pair), task=pair.task.id(), entry=pair.entry.id, fingerprint={"id": "0"}, reference={"low": np.zeros(1)})
    assert equal(artifact.load(folder).estimator.predict(s.test), fitted(pair).predict(s.test))
    assert {path.suffix for path in folder.iterdir()} == {".safetensors", ".json"}


@every_estimator
def test_equal_bits_have_equal_versions_and_other_bits_another(pair: Pair, tmp_path: Path) -> None:
    first, second = (
        artifact.save(tmp_path / name, fitted(pair), task=pair.task.id(), entry=pair.entry.id, fingerprint={"id": mark}, reference={})
        for name, mark in (("a", "0"), ("b", "0"))
    )
    third = artifact.save(tmp_path / "c", fitted(pair), task=pair.task.id(), entry=pair.entry.id, fingerprint={"id": "1"}, reference={})
    assert first.name == second.name != third.name


@every_estimator
@pytest.mark.parametrize("name", [artifact.WEIGHTS, artifact.MODEL, artifact.MANIFEST, artifact.REFERENCE])
def test_a_flipped_byte_is_refused(pair: Pair, name: str, tmp_path: Path) -> None:
    folder = artifact.save(tmp_path, fitted(pair), task=pair.task.id(), entry=pair.entry.id, fingerprint={"id": "0"}, reference={"low": np.zeros(1)})
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(CorruptArtifact):
        artifact.load(folder)


@every_seeded_estimator
def test_32_samples_can_be_overfitted(pair: Pair) -> None:
    s = sample(pair)
    few = take(s.train, slice(0, 32))
    config = TrainingConfig(max_epochs=300, patience=300, batch_size=32, learning_rate=1e-2, weight_decay=0.0, device="cpu")
    before = s.build(TrainingConfig(max_epochs=0, device="cpu")).fit(few, few).predict(few)
    after = s.build(config).fit(few, few).predict(few)
    assert ((after.point - few.target) ** 2).mean() < 0.1 * ((before.point - few.target) ** 2).mean()


@every_estimator
def test_twenty_random_points_of_the_box_can_be_built(pair: Pair) -> None:
    s = sample(pair)
    few = take(s.train, slice(0, 600))
    for point in points(pair.entry.card.hyperparameters, 20):
        built = s.build(TrainingConfig(max_epochs=0, device="cpu"), **point).fit(few, take(s.valid, slice(0, 40)))
        assert np.isfinite(built.predict(take(s.test, [0])).point).all()
