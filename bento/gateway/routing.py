"""Which version answers a request: a law of the deployment's state and the request's key, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from finml_ledger.deployments import Deployment, Role, Slot
from finml_models.core.asking import ReadAsColumns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from finml_models.core.task import Task


class Condition(StrEnum):
    """How far a version is from answering. One that was loaded once is ready, even if it gave up its memory since."""

    UNKNOWN = "unknown"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a use case now. `revision` is that of the deployment which put these versions in their roles."""

    task: str
    revision: int
    champion: Slot | None = None
    challenger: Slot | None = None
    share: float = 0.0
    shadow: Slot | None = None

    def choose(self, key: str) -> tuple[Role, Slot] | None:
        """The version that answers whoever has this key, always the same one; None where nothing is deployed."""
        if self.champion is None:
            return None
        if self.challenger is not None and fraction(self.task, self.challenger.version, key) < self.share:
            return "challenger", self.challenger
        return "champion", self.champion

    def slots(self) -> tuple[Slot, ...]:
        """The versions that this route may send a request to."""
        return tuple(slot for slot in (self.champion, self.challenger, self.shadow) if slot is not None)


@dataclass(frozen=True, slots=True)
class Table:
    """All routes, as of a position in the ledger. Never changed: a new table takes its place."""

    position: int = 0
    routes: Mapping[str, Route] = field(default_factory=lambda: MappingProxyType({}))

    def route(self, task: str) -> Route:
        """The route of a use case."""
        return self.routes.get(task) or Route(task, 0)


def fraction(task: str, salt: str, key: str) -> float:
    """Where a key lies in [0, 1), uniformly over keys; another salt shuffles them anew, so that one experiment says nothing of the next."""
    digest = hashlib.sha256(f"{task}:{salt}:{key}".encode(errors="backslashreplace")).digest()
    # 53 bits are what a float holds exactly; more would round up to 1.
    return (int.from_bytes(digest[:7]) >> 3) / 2**53


def key_of(task: type[Task], request: BaseModel, header: str | None) -> str:
    """What a request is sticky by: the header if the client sent one, else its entity, the first by name of several.

    Where one row speaks for all, it is the newest date.
    """
    if header is not None:
        return header
    if isinstance(request, ReadAsColumns):
        return request.entities[0] if task.whole is None else request.latest.isoformat()
    rows = getattr(request, "rows", ())
    if task.whole is not None:
        return max((row.time.isoformat() for row in rows), default="")
    return min((row.entity for row in rows), default="")


def settle(wanted: Deployment, before: Route | None, condition: Callable[[Slot], Condition]) -> Route:
    """The route that comes nearest to the wanted state without sending a request to a version that isn't ready while another can answer.

    While a new champion loads, the one before answers everybody. One that failed is nobody else's business: its use case is
    answered with that failure until an operator rolls back. A challenger or shadow that isn't ready gets nothing.
    """
    state = wanted.state
    if state.champion is None:
        return Route(wanted.task, wanted.revision)

    def ready(slot: Slot | None) -> Slot | None:
        return slot if slot is not None and condition(slot) is Condition.READY else None

    waits = condition(state.champion) in {Condition.LOADING, Condition.UNKNOWN}
    if waits and before is not None and (old := ready(before.champion)) is not None:
        return Route(wanted.task, before.revision, old)
    challenger = ready(state.challenger)
    return Route(wanted.task, wanted.revision, state.champion, challenger, state.share if challenger else 0.0, ready(state.shadow))
