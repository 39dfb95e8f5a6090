"""Laws that hold for every estimator of the catalogue, models and baselines alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boxes import points
from subjects import QUICK, every_estimator, every_seeded_estimator, fitted, sample, take

from finml_models.core import artifact
from finml_models.core.batches import Batch, Windows
from finml_models.core.catalog import Pair
from finml_models.core.errors import CorruptArtifact
from finml_models.core.estimator import Estimator, TrainingConfig
from finml_models.core.graphs import Graphs
from finml_models.core.predictions import Prediction, Probabilities
from finml_models.core.spec import Objective


def equal(a: Prediction, b: Prediction) -> bool:
    ours, theirs = a.columns(), b.columns()
    return ours.keys() == theirs.keys() and all(np.array_equal(values, theirs[name]) for name, values in ours.items())


def near(a: Prediction, b: Prediction, *, tolerance: float = 1e-5) -> None:
    for name, values in a.columns().items():
        np.testing.assert_allclose(values, b.columns()[name], rtol=tolerance, atol=tolerance, err_msg=name)


def tampered(batch: Batch, last: np.datetime64) -> Batch:
    """The batch with everything after a date changed; skips kinds whose rows hold nothing but their own inputs."""
    if isinstance(batch, Windows):
        after = batch.times > last
        return replace(batch, panel=np.where(after[:, :, None], np.float32(1e3), batch.panel))
    if isinstance(batch, Graphs):
        after = batch.times > last
        graph = np.where(after, batch.graph[0], batch.graph)
        return replace(batch, nodes=np.where(after[:, None, None], np.float32(1e3), batch.nodes), graph=graph)
    pytest.skip(f"a row of {type(batch).__name__} holds nothing but its own inputs")


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
    s, found = sample(pair), fitted(pair).predict(sample(pair).test)
    assert len(found) == len(s.test)
    assert all(np.isfinite(np.asarray(values, np.float64)).all() for values in found.columns().values())
    match s.signature.objective:
        case Objective.FORECAST:
            assert found.point.shape == (len(s.test), len(s.signature.horizons))
            assert found.quantiles.shape == (*found.point.shape, len(s.signature.levels))
            assert (np.diff(found.quantiles, axis=-1) >= 0).all()
        case Objective.CLASSIFY:
            assert found.classes == s.signature.classes
            np.testing.assert_allclose(found.values.sum(axis=1), 1, atol=1e-5)
        case Objective.SCORE:
            assert found.score.shape == found.threshold.shape == (len(s.test),)
            assert len(np.unique(found.threshold)) == 1
        case Objective.REGIMES:
            assert found.probabilities.shape == found.mean.shape == found.std.shape
            np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
            assert (np.diff(found.std, axis=1) >= 0).all(), "regimes come calmest first"
        case Objective.CONTROL:
            assert all(len(values) == len(s.test) for values in found.outcome.values())


@every_estimator
def test_the_future_changes_nothing(pair: Pair) -> None:
    rows = take(sample(pair).test, slice(0, 50))
    assert equal(fitted(pair).predict(tampered(rows, rows.time.max())), fitted(pair).predict(rows))


@every_estimator
def test_training_does_not_see_what_comes_after_its_rows(pair: Pair) -> None:
    s = sample(pair)
    last = max(s.train.time.max(), s.valid.time.max())
    changed = tampered(s.batch, last)
    # Train and valid stay parts of one view.
    held = {name: getattr(changed, name) for name in ("panel", "nodes", "graph") if hasattr(changed, name)}
    train, valid = (replace(part, **held) for part in (s.train, s.valid))
    assert equal(s.build().fit(train, valid).predict(s.valid), fitted(pair).predict(s.valid))


@every_estimator
def test_a_row_predicts_the_same_alone_and_in_a_batch(pair: Pair) -> None:
    s = sample(pair)
    together = fitted(pair).predict(take(s.test, slice(0, 40)))
    for row in range(0, 40, 13):
        near(fitted(pair).predict(take(s.test, [row])), together.take(np.array([row])))


@every_estimator
def test_the_order_of_rows_does_not_matter(pair: Pair) -> None:
    rows = take(sample(pair).test, slice(0, 64))
    forward, backward = fitted(pair).predict(rows), fitted(pair).predict(take(rows, slice(None, None, -1)))
    near(backward.take(np.arange(len(rows))[::-1]), forward)


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


NOT_OVERFITTED = {
    Objective.CONTROL: "a policy learns from what it does, not from samples; its own tests show that it learns",
    Objective.SCORE: "a score has no target to come near to; a detector without a reconstruction shows in its own tests what it learns",
    Objective.REGIMES: "clusters have no target to come near to; an encoder without a reconstruction shows in its own tests what a probe finds",
}
"""Why a fit has nothing that 32 samples could bring down to a tenth, an objective; an autoencoder has its reconstruction."""
MEMORISING: dict[str, dict[str, Any]] = {
    "vae": {"beta": 0.0, "latent": 32, "half_life": 10_000.0},
    "denoising_autoencoder": {"corruption_level": 0.0, "bottleneck": 32, "half_life": 10_000.0},
    "longformer": {"max_length": 64},
}
"""Hyperparameters with which a model may learn by heart, and soon: what regularises an autoencoder is there to prevent just that, and a document
is known by its beginning."""


@every_seeded_estimator
def test_32_samples_can_be_overfitted(pair: Pair) -> None:
    remembers = hasattr(pair.entry.estimator(), "reconstruct")
    if not remembers and (reason := NOT_OVERFITTED.get(sample(pair).signature.objective)):
        pytest.skip(reason)
    s = sample(pair)
    few = take(s.train, chosen(s.train, 32, classes=max(len(s.signature.classes), 1)))
    freed = MEMORISING.get(pair.entry.id, {})

    def misfit_after(epochs: int) -> float:
        config = TrainingConfig(max_epochs=epochs, patience=300, batch_size=32, learning_rate=1e-2, weight_decay=0.0, device="cpu")
        return misfit(s.build(config, **freed).fit(few, few), few)

    bar = 0.1 * misfit_after(0)
    # Most need the fewest.
    assert any(misfit_after(epochs) < bar for epochs in (30, 100, 300))


def chosen(batch: Batch, size: int, *, classes: int) -> np.ndarray:
    """So many rows at random, as many of each class or all there are: of a rare one there might be none among rows at random."""
    rng = np.random.default_rng(0)
    groups = np.zeros(len(batch), int) if classes == 1 else batch.target[:, 0].astype(int)
    members = [np.flatnonzero(groups == one) for one in range(classes)]
    return np.concatenate([rng.choice(rows, min(len(rows), size // classes), replace=False) for rows in members])


def misfit(estimator: Estimator[Any], batch: Batch) -> float:
    """Squared error of a reconstruction, in units of each feature's deviation, or of a forecast; log loss of probabilities."""
    if hasattr(estimator, "reconstruct"):
        assert isinstance(batch, Windows)
        windows = batch.panel[batch.series[:, None], batch.end[:, None] + np.arange(1 - batch.length, 1)]
        return float(np.square((estimator.reconstruct(batch) - windows) / (windows.std(axis=(0, 1)) + 1e-9)).mean())
    prediction = estimator.predict(batch)
    if isinstance(prediction, Probabilities):
        return float(-np.log(prediction.values[np.arange(len(batch)), batch.target[:, 0].astype(int)]).mean())
    return float(((prediction.point - batch.target) ** 2).mean())


@every_estimator
def test_twenty_random_points_of_the_box_can_be_built(pair: Pair) -> None:
    s = sample(pair)
    few = take(s.train, slice(0, 200))
    for point in points(pair.entry.card.hyperparameters, 20):
        built = s.build(TrainingConfig(max_epochs=0, device="cpu"), **point).fit(few, take(s.valid, slice(0, 40)))
        assert all(np.isfinite(np.asarray(values, np.float64)).all() for values in built.predict(take(s.test, [0])).columns().values())
