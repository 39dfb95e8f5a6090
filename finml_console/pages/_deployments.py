"""What the pages of deployments show: who serves with which evidence, what else could, and what a change changed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Annotated, NamedTuple

from fastapi import Depends

from finml_console.routes._inputs import Serving
from finml_console.schemas.catalogue import Deployed
from finml_console.services import Services
from finml_console.views.serving_now import deployed
from finml_ledger import Deployment, Release, Slot, State
from finml_ledger.challenges import Standing, standing
from finml_models.core import catalog
from finml_models.core.recommend import VERDICTS

ROLES = ("champion", "challenger", "shadow", "previous")
SHORT = 8
"""Characters of a version that a page shows."""
LOOK_SECONDS = 0.5
"""A page waits no longer to hear whether the gateway is there."""
MOST_VERSIONS = 200


async def _is_up(serving: Serving) -> bool:
    try:
        return await asyncio.wait_for(serving.gateway.ready(), LOOK_SECONDS)
    except TimeoutError:
        return False


Up = Annotated[bool, Depends(_is_up)]
"""Whether the gateway says that it is ready."""


class Part(NamedTuple):
    """A version with a role; `share` is of the traffic, None for one that answers nobody."""

    role: str
    slot: Slot
    release: Release
    share: float | None
    since: datetime | None
    standing: Standing | None
    """Of a version that could replace the champion."""


@dataclass(frozen=True, slots=True)
class Use:
    """A use case with what serves it, and the versions of it that were judged, those that passed their gate first."""

    id: str
    held: Deployment
    parts: tuple[Part, ...]
    judged: tuple[Release, ...]

    @property
    def passed(self) -> tuple[Release, ...]:
        """Versions that may be deployed."""
        return tuple(release for release in self.judged if release.gate_passed)

    @property
    def refused(self) -> tuple[Release, ...]:
        """Versions that their gate refused; nobody deploys them."""
        return tuple(release for release in self.judged if not release.gate_passed)

    @property
    def best(self) -> Release | None:
        """Of those that passed the one with the best verdict: a model before a baseline, the newer before the older."""
        return min(self.passed, key=_worth, default=None)

    def free(self, *roles: str) -> tuple[Release, ...]:
        """Versions that may be deployed and have none of these roles."""
        taken = {part.slot for part in self.parts if part.role in roles}
        return tuple(release for release in self.passed if slot_of(release) not in taken)

    def part(self, role: str) -> Part | None:
        """Who has a role."""
        return next((part for part in self.parts if part.role == role), None)


def uses(serving: Services) -> tuple[Use, ...]:
    """Every use case of the catalogue, with the newest version of each model."""
    rows = deployed(serving.ledger, serving.deployments)
    held = {one.task: one for one in serving.deployments.all()}
    newest = serving.evidence.newest()
    found = []
    for task in catalog.tasks():
        judged = tuple(release for (use_case, _), release in newest.items() if use_case == task)
        found.append(_use(serving, task, held.get(task) or Deployment(task=task, revision=0, state=State()), rows, judged))
    return tuple(found)


def use_of(serving: Services, use_case: str) -> Use:
    """One use case with every version of it, newest first. Raises `UnknownName`."""
    task = catalog.task(use_case).id()
    held = serving.deployments.now(task)
    judged = sorted(serving.evidence.page(task=task, limit=MOST_VERSIONS), key=lambda release: not release.gate_passed)
    return _use(serving, task, held, deployed(serving.ledger, serving.deployments), tuple(judged))


def _use(serving: Services, task: str, held: Deployment, rows: Sequence[Deployed], judged: tuple[Release, ...]) -> Use:
    found = [
        _part(serving, task, row.role, Slot(entry=row.model_id, version=row.version), None if row.role == "shadow" else row.share, row.since)
        for row in rows
        if row.use_case == task
    ]
    if held.state.previous is not None:
        found.append(_part(serving, task, "previous", held.state.previous, None, None))
    return Use(task, held, tuple(found), judged)


def _part(serving: Services, task: str, role: str, slot: Slot, share: float | None, since: datetime | None) -> Part:
    stands = standing(serving.ledger, task, slot) if role in {"challenger", "shadow"} else None
    return Part(role, slot, serving.ledger.release(task, slot.entry, slot.version), share, since, stands)


def _worth(release: Release) -> tuple[int, bool, int]:
    verdicts: list[str] = list(VERDICTS)
    place = verdicts.index(release.verdict) if release.verdict in verdicts else len(verdicts)
    return place, catalog.entry(release.entry).is_baseline, -release.judged


def slot_of(release: Release) -> Slot:
    """The version that a release is of."""
    return Slot(entry=release.entry, version=release.version)


def name_of(one: Slot | Release | None) -> str:
    """A version in words: its model's name and the beginning of its id."""
    return "nothing" if one is None else f"{catalog.entry(one.entry).card.name} {one.version[:SHORT]}"


def why(release: Release) -> str:
    """What its judgement came to, in a sentence where one was kept."""
    said = release.headline.get("sentence")
    passed = "passed its gate" if release.gate_passed else "its gate refused it"
    return str(said) if said else f"{catalog.entry(release.entry).card.name} was judged {release.verdict.replace('_', '-')}; {passed}."


class Change(NamedTuple):
    """A row of the history, and what it changed: what, from, to."""

    held: Deployment
    changes: tuple[tuple[str, str, str], ...]


def history(serving: Services, use_case: str, before: int | None, limit: int) -> tuple[tuple[Change, ...], int | None]:
    """Changes of a use case, newest first, and the revision that the next page begins below; None on the last."""
    found = serving.deployments.history(use_case, before=before, limit=limit + 1)
    states = [*(held.state for held in found), State()]
    rows = tuple(Change(held, changes(earlier, later)) for held, (later, earlier) in zip(found, pairwise(states), strict=True))
    return rows[:limit], found[limit - 1].revision if len(found) > limit else None


def changes(before: State, after: State) -> tuple[tuple[str, str, str], ...]:
    """What differs between two states, in words."""
    found = [(role, name_of(was), name_of(now)) for role in ROLES if (was := getattr(before, role)) != (now := getattr(after, role))]
    if before.share != after.share:
        found.append(("share of the challenger", f"{before.share:.0%}", f"{after.share:.0%}"))
    return tuple(found)
