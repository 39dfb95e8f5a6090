"""Credit risk: the probability of default within twelve months of the decision."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class CreditRisk(Task):
    """Application and behaviour at the decision to the probability of default."""

    name = "Credit risk"
    description = (
        "Application and behaviour data as known at the decision in; the calibrated probability of default within 12 months, with at most "
        "four reason codes, out. Scored out of time by the Gini coefficient. The EU AI Act lists the creditworthiness of natural persons "
        "as a high-risk use: nothing here replaces that assessment."
    )
    dataset = "loans"
    objective = Objective.CLASSIFY
    kinds = (Kind.TABLE,)
    metrics = ("gini", "ks", "brier", "ece", "psi")
    baselines = ("class_prior", "scorecard", "monotone_boosted_trees")
    gate = Gate(version="credit_risk/1", naive=("class_prior",), margin=0.02, coverage=None)
