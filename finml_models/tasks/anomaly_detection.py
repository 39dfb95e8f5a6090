"""Anomaly detection: how far a window of market data is from what is normal."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class AnomalyDetection(Task):
    """Windows of returns, volumes and spreads to an anomaly score."""

    name = "Anomaly detection"
    description = (
        "Windows of returns, volumes and spreads in; a score a window, and a threshold set on training data, out. The truth is injected: "
        "spikes, level shifts, bursts of variance, stale prices, decoupling. Scored by the area under precision and recall without point "
        "adjustment, which would reward random scores."
    )
    dataset = "market"
    objective = Objective.SCORE
    kinds = (Kind.WINDOWS,)
    history = 60
    metrics = ("pr_auc", "vus_pr", "event_recall", "detection_delay", "false_alarm_ratio")
    baselines = ("random_score", "robust_z_score", "pca_reconstruction", "isolation_forest")
    gate = Gate(version="anomaly_detection/1", naive=("random_score",), margin=0.02, coverage=None)
