"""Fraud detection: the probability that a transaction turns out as fraud within the label-maturity window."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class FraudDetection(Task):
    """A transaction with trailing aggregates, or the account's last events, to the probability of fraud.

    FT-Transformer is admitted by the rule and not excluded: that it is too slow for an authorisation is for the
    measured budget to say.
    """

    name = "Fraud detection"
    description = (
        "One transaction with trailing aggregates of its account (as a table), or the account's last 50 events (as a window), in; the "
        "calibrated probability of fraud within the label-maturity window out. Scored by the area under precision and recall. Split by "
        "time and account; rows whose label is not mature yet are left out."
    )
    dataset = "transactions"
    objective = Objective.CLASSIFY
    kinds = (Kind.TABLE, Kind.WINDOWS)
    history = 50
    metrics = ("pr_auc", "recall_at_1pct_fpr", "recall_at_5pct_fpr", "precision_at_k", "cost_saved", "ece")
    baselines = ("class_prior", "boosted_trees", "logistic_regression", "velocity_rules")
    gate = Gate(version="fraud_detection/1", naive=("class_prior",), margin=0.02, coverage=None)
