"""Detectors of anomalies: what each sees and does not see, its threshold, and trees that equal scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as Fitted

from finml_models.baselines._alarms import Detector, spread
from finml_models.baselines._isolation import IsolationTrees, mean_path
from finml_models.baselines.isolation_forest import IsolationForest, IsolationForestHyperparameters
from finml_models.baselines.pca_reconstruction import PCAReconstruction, PCAReconstructionHyperparameters
from finml_models.baselines.random_score import RandomScore, RandomScoreHyperparameters
from finml_models.baselines.robust_z_score import RobustZScore, RobustZScoreHyperparameters
from finml_models.core.batches import Windows
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.training.alarms import alarm_threshold

LENGTH, RATE, SESSIONS = 20, 0.02, 2_000
DETECTORS: list[tuple[type[Detector[Any]], Any]] = [
    (RandomScore, RandomScoreHyperparameters()),
    (RobustZScore, RobustZScoreHyperparameters()),
    (PCAReconstruction, PCAReconstructionHyperparameters(components=5, sessions=5)),
    (IsolationForest, IsolationForestHyperparameters(trees=50, rows=512)),
]
every_detector = pytest.mark.parametrize(("kind", "chosen"), DETECTORS, ids=lambda value: value.__name__ if isinstance(value, type) else "")
SIGNATURE = Signature(kind=Kind.WINDOWS, objective=Objective.SCORE, feature_names=("own", "market", "rest"), length=LENGTH, alarm_rate=RATE)


def batch(sessions: int = SESSIONS, seed: int = 0, target: float | None = 0.0) -> Windows:
    """Two assets whose `own` follows `market` up to a small rest."""
    rng = np.random.default_rng(seed)
    market = np.tile(rng.standard_normal(sessions), (2, 1))
    rest = 0.3 * rng.standard_normal((2, sessions))
    panel = np.stack([market + rest, market, np.zeros((2, sessions))], axis=-1).astype(np.float32)
    end = np.arange(LENGTH - 1, sessions)
    times = np.tile(np.arange(sessions).astype("datetime64[D]"), (2, 1)).astype("datetime64[us]")
    n = 2 * len(end)
    labels = {} if target is None else {"target": np.full((n, 1), target, np.float32), "until": times[0, np.tile(end, 2)]}
    return Windows(panel, times, np.array(["A", "B"]), np.repeat([0, 1], len(end)), np.tile(end, 2), LENGTH, **labels)


def fitted(kind: type[Detector[Any]], chosen: Any, rows: Windows, **config: Any) -> Detector[Any]:
    cut = np.arange(len(rows)) < 0.8 * len(rows)
    return kind(chosen, SIGNATURE, TrainingConfig(**config)).fit(rows.take(np.flatnonzero(cut)), rows.take(np.flatnonzero(~cut)))


@every_detector
def test_a_fit_never_reads_a_label(kind: type[Detector[Any]], chosen: Any) -> None:
    rows = batch()
    scores = [fitted(kind, chosen, one).predict(rows) for one in (rows, batch(target=1.0), batch(target=None))]
    for other in scores[1:]:
        np.testing.assert_array_equal(other.score, scores[0].score)
        np.testing.assert_array_equal(other.threshold, scores[0].threshold)


@every_detector
def test_alarms_on_later_rows_are_as_many_as_were_promised(kind: type[Detector[Any]], chosen: Any) -> None:
    answered = fitted(kind, chosen, batch()).predict(batch(seed=1))
    assert 0.5 * RATE < (answered.score > answered.threshold).mean() < 2 * RATE


@every_detector
def test_what_is_far_from_everything_is_an_alarm_for_all_but_the_random_score(kind: type[Detector[Any]], chosen: Any) -> None:
    rows = batch(seed=1)
    panel = rows.panel.copy()
    panel[:, ::50, 0] += 8
    answered = fitted(kind, chosen, batch()).predict(Windows(panel, rows.times, rows.entities, rows.series, rows.end, LENGTH))
    hit = (answered.score > answered.threshold)[rows.end % 50 == 0]
    assert hit.mean() > 0.95 if kind is not RandomScore else hit.mean() < 0.2


def test_only_the_reconstruction_sees_a_broken_relation_of_ordinary_values() -> None:
    rows = batch(seed=1)
    panel = rows.panel.copy()
    panel[:, ::50, 1] = -np.clip(panel[:, ::50, 0], -1.5, 1.5)
    panel[:, ::50, 0] = -panel[:, ::50, 1]
    broken = Windows(panel, rows.times, rows.entities, rows.series, rows.end, LENGTH)
    chosen = (rows.end % 50 == 0) & (np.abs(panel[rows.series, rows.end, 0]) > 1)
    share = {}
    for kind, hyperparameters in DETECTORS:
        answered = fitted(kind, hyperparameters, batch()).predict(broken)
        share[kind.__name__] = float((answered.score > answered.threshold)[chosen].mean())
    assert share["PCAReconstruction"] > 0.9
    assert max(share["RobustZScore"], share["RandomScore"]) < 0.2


def test_principal_components_are_those_of_the_singular_values() -> None:
    rows = batch()
    model = PCAReconstruction(PCAReconstructionHyperparameters(components=4, sessions=3), SIGNATURE)
    model.learn(rows)
    flat = np.concatenate([rows.gather(column, 3)[:, :, None] for column in range(3)], axis=2).reshape(len(rows), -1).astype(np.float64)
    scaled = (flat - flat.mean(axis=0)) / np.where(flat.std(axis=0) > 0, flat.std(axis=0), 1.0)
    _, _, right = np.linalg.svd(scaled, full_matrices=False)
    left = np.square(scaled - scaled @ right[:4].T @ right[:4])[:, -3:]
    unit = left.mean(axis=0)
    np.testing.assert_allclose(model.score(rows), (left / np.where(unit > 1e-12, unit, 1.0)).sum(axis=1), rtol=1e-6, atol=1e-9)


def test_a_feature_that_never_moves_neither_divides_by_zero_nor_hides() -> None:
    rows = batch()
    panel = rows.panel.copy()
    panel[0, 500, 2] = 5.0
    moved = Windows(panel, rows.times, rows.entities, rows.series, rows.end, LENGTH)
    score = fitted(RobustZScore, RobustZScoreHyperparameters(), rows).predict(moved).score
    assert np.isfinite(score).all()
    assert score[(moved.series == 0) & (moved.end == 500)] == pytest.approx(5.0)


@pytest.mark.parametrize(("trees", "rows"), [(1, 16), (30, 256), (30, 1_000)])
def test_trees_as_arrays_score_what_scikit_learn_scores(trees: int, rows: int) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal((1_000, 4)), rng.standard_normal((1_000, 4)).round()]).astype(np.float32)
    forest = Fitted(n_estimators=trees, max_samples=rows, random_state=1).fit(x)
    other = (4 * rng.standard_normal((500, 4))).astype(np.float32)
    for points in (x, other):
        np.testing.assert_allclose(IsolationTrees.of(forest).score(points), -forest.score_samples(points), rtol=1e-12)


def test_the_mean_path_is_that_of_the_paper() -> None:
    harmonic = float(np.sum(1 / np.arange(1, 256)))
    np.testing.assert_allclose(mean_path(np.array([1, 2, 256])), [0, 1, 2 * harmonic - 2 * 255 / 256], atol=0.004)


def test_random_scores_are_uniform_and_a_rows_own() -> None:
    rows = batch()
    one, other = (fitted(RandomScore, RandomScoreHyperparameters(), rows, seed=seed).predict(rows).score for seed in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.05
    np.testing.assert_allclose(np.quantile(one, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03)


def test_a_threshold_is_the_least_score_that_at_most_the_rate_exceeds() -> None:
    scores = np.random.default_rng(0).permutation(1_000).astype(np.float64) + 0.1
    for rate in (0.0, 0.01, 0.25):
        above = int((scores.astype(np.float32) > alarm_threshold(scores, rate)).sum())
        assert above == int(rate * 1_000) - (rate > 0) or above == int(rate * 1_000)
    assert not (np.full(10, 0.1, np.float32) > alarm_threshold(np.full(10, 0.1), 0.5)).any()


def test_a_spread_sample_reaches_both_ends_and_is_whole_where_it_fits() -> None:
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4]
    some = spread(1_000, 10)
    assert (some[0], some[-1], len(some)) == (0, 999, 10)


def test_a_spike_is_explained_by_the_feature_that_has_it() -> None:
    rows = batch()
    spiked = rows.take(np.arange(1_500, 1_501))
    panel = rows.panel.copy()
    panel[spiked.series[0], spiked.end[0], 1] += 30
    spiked = Windows(panel, rows.times, rows.entities, spiked.series, spiked.end, LENGTH)
    z = fitted(RobustZScore, RobustZScoreHyperparameters(), rows)
    (part,) = z.explain(spiked).parts
    assert part.names[int(part.weights[0].argmax())] == "market"
    assert part.weights.max() == pytest.approx(z.predict(spiked).score[0])
    pca = fitted(PCAReconstruction, PCAReconstructionHyperparameters(components=5, sessions=5), rows)
    found = pca.explain(spiked)
    assert found.value == pytest.approx(pca.predict(spiked).score, rel=1e-5)
    assert found.parts[0].weights.sum() == pytest.approx(found.value[0], rel=1e-5)
