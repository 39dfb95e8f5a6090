"""What serves, and changing it."""

from __future__ import annotations

from pydantic import Field

from finml_ledger import Deployment

from .strict import ModelId, Page, Reason, Strict, VersionId


class Chosen(Strict):
    """A version of a model or baseline."""

    model_id: ModelId
    version: VersionId


class Why(Strict):
    """A change that needs no version."""

    reason: Reason = ""


class Change(Chosen):
    """A change to a version."""

    reason: Reason = ""


class Split(Change):
    """A share of the traffic for a challenger."""

    share: float = Field(ge=0, lt=1, description="the champion answers the rest; promote the version to give it all")


class Shadow(Why):
    """A version that sees every request and answers none; null ends it."""

    shadow: Chosen | None


class Outcome(Strict):
    """What holds after a change. Its revision is the ETag."""

    deployment: Deployment
    warnings: tuple[str, ...] = ()


class DeploymentList(Strict):
    """What serves each use case that something ever served."""

    deployments: tuple[Deployment, ...]
    count: int


class HistoryPage(Page):
    """The changes of a use case, newest first."""

    items: tuple[Deployment, ...]
