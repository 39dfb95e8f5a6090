"""What the routes do their work with, one object each; `of_request` gives them to a route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fastapi import Request

from finml_ledger import Deployments, Ledger

from .audit import Audit
from .evidence import Evidences
from .gateway import Gateway
from .releases import Releases


@dataclass(frozen=True, slots=True)
class Services:
    """The services over one ledger and one gateway."""

    ledger: Ledger
    deployments: Deployments
    evidence: Evidences
    audit: Audit
    gateway: Gateway
    releases: Releases

    @classmethod
    def of(cls, ledger: Ledger, gateway: Gateway) -> Self:
        """All of them; nothing is asked yet."""
        deployments = Deployments(ledger)
        return cls(ledger, deployments, Evidences(ledger), Audit(ledger), gateway, Releases(ledger, deployments, gateway))


async def of_request(request: Request) -> Services:
    """The application's services, for `Depends`; made from its ledger and the environment where it has none yet.

    Asynchronous, so that no thread is asked for them.
    """
    state = request.app.state
    if not hasattr(state, "services"):
        from finml_console.settings import load

        settings = load()
        state.services = Services.of(state.ledger, Gateway(settings.gateway_url, seconds=settings.gateway_seconds))
    found: Services = state.services
    return found


async def actor_of(request: Request) -> str:
    """Whom the audit trail names for this request."""
    return getattr(request.state, "actor", "api")
