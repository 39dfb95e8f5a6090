"""Who serves, as what, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from finml_console.schemas.catalogue import Deployed
from finml_ledger import Deployment, Deployments, Ledger, Role, Slot
from finml_models.core import catalog

from .measurements import path_of

Roles = Mapping[tuple[str, str, str], tuple[Role, ...]]


def roles(deployments: Deployments) -> Roles:
    """By use case, entry and version, what it serves as."""
    found: dict[tuple[str, str, str], tuple[Role, ...]] = {}
    for deployment in deployments.all():
        for role, slot in deployment.state.roles().items():
            key = deployment.task, slot.entry, slot.version
            found[key] = (*found.get(key, ()), role)
    return found


def deployed(ledger: Ledger, deployments: Deployments) -> tuple[Deployed, ...]:
    """Everything that serves, use case by use case, the champion first."""
    return tuple(
        _row(ledger, deployments, deployment, role, slot)
        for deployment in sorted(deployments.all(), key=lambda held: held.task)
        for role, slot in deployment.state.roles().items()
    )


def _row(ledger: Ledger, deployments: Deployments, deployment: Deployment, role: Role, slot: Slot) -> Deployed:
    entry, release = catalog.entry(slot.entry), ledger.release(deployment.task, slot.entry, slot.version)
    share = {"champion": 1 - deployment.state.share, "challenger": deployment.state.share, "shadow": 0.0}[role]
    return Deployed(
        model_id=slot.entry,
        name=entry.card.name,
        is_baseline=entry.is_baseline,
        use_case=deployment.task,
        version=slot.version,
        role=role,
        share=share,
        since=_since(deployments, deployment, role, slot),
        revision=deployment.revision,
        gate_report=f"{path_of(release)}/report",
        run_id=release.run_id,
    )


def _since(deployments: Deployments, deployment: Deployment, role: Role, slot: Slot) -> datetime | None:
    """When a version took the role that it has: the oldest change of those, back to back, after which it has it."""
    since = deployment.at
    for earlier in deployments.history(deployment.task, before=deployment.revision):
        if earlier.state.roles().get(role) != slot:
            break
        since = earlier.at
    return since
