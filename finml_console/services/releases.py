"""Changing what serves: a version is made ready before it gets traffic, and a promotion shows first that it can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.concurrency import run_in_threadpool

from finml_ledger import Deployment, Deployments, Ledger, Slot
from finml_ledger.challenges import standing
from finml_models.core import catalog
from finml_models.core.errors import Conflict, FinmlError

from .gateway import Gateway

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class By:
    """Who changes something, why, and at which revision it was decided (None for whichever holds)."""

    actor: str
    reason: str = ""
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """What holds after a change, and what whoever made it must know."""

    deployment: Deployment
    warnings: tuple[str, ...] = ()


class Releases:
    """The changes. Each is one row of the ledger, written last: a crash before it leaves the old state, after it the new one.

    Raises `Conflict` where another change came first or the state does not allow it, `ServiceFailed` where the version does not
    become ready or the gateway is away: then nothing has changed.
    """

    def __init__(self, ledger: Ledger, deployments: Deployments, gateway: Gateway, reached: OnStep = lambda step: None) -> None:
        self._ledger = ledger
        self._deployments = deployments
        self._gateway = gateway
        self._reached = reached
        """Told the name of each step before it is taken; a test crashes there."""

    async def deploy(self, task: str, slot: Slot, by: By) -> Changed:
        """Make a version ready: the champion where there is none, else a challenger without traffic."""
        await self._prepare(task, slot, by)
        return await self._write(lambda: self._deployments.deploy(task, slot, actor=by.actor, reason=by.reason, expected=by.expected))

    async def split(self, task: str, slot: Slot, share: float, by: By) -> Changed:
        """Send a share of the traffic to a challenger."""
        await self._prepare(task, slot, by)
        return await self._write(lambda: self._deployments.split(task, slot, share, actor=by.actor, reason=by.reason, expected=by.expected))

    async def shadow(self, task: str, slot: Slot | None, by: By) -> Changed:
        """Let a version see every request without answering any; None ends it."""
        catalog.task(task)
        if slot is not None:
            await self._prepare(task, slot, by)
        return await self._write(lambda: self._deployments.shadow(task, slot, actor=by.actor, reason=by.reason, expected=by.expected))

    async def promote(self, task: str, slot: Slot, by: By) -> Changed:
        """Give all traffic to a version, once it is ready and the drill has led to it and back again.

        The change holds only if nothing changed since the drill began. Its evidence says whether the version beat the champion on rows
        that neither was trained on; where it did not, a warning does.
        """
        held = await self._look(task, slot, by)
        if held.state.champion == slot:
            raise Conflict(f"{slot.entry}:{slot.version} is the champion of {task} already")
        drill = await self._drill(task, held.state.champion, slot)
        stands = await run_in_threadpool(lambda: standing(self._ledger, task, slot))
        evidence = {"drill": drill, "challenge": stands.model_dump(mode="json")}
        changed = await self._write(lambda: self._deployments.promote(task, slot, actor=by.actor, reason=by.reason, expected=held.revision, evidence=evidence))
        if stands.may_replace:
            return changed
        # Whoever promotes may know better; what is known stays with the change.
        return replace(changed, warnings=(*changed.warnings, f"{slot.entry}:{slot.version} is not shown to beat the version it replaces: {stands.reason}"))

    async def roll_back(self, task: str, by: By) -> Changed:
        """Give all traffic back to the previous champion, which is warm: nothing is asked of anyone first."""
        catalog.task(task)
        return await self._write(lambda: self._deployments.roll_back(task, actor=by.actor, reason=by.reason, expected=by.expected))

    async def withdraw(self, task: str, by: By) -> Changed:
        """Serve the use case no longer."""
        catalog.task(task)
        return await self._write(lambda: self._deployments.withdraw(task, actor=by.actor, reason=by.reason, expected=by.expected))

    async def _prepare(self, task: str, slot: Slot, by: By) -> None:
        await self._look(task, slot, by)
        self._reached("prepare")
        await self._gateway.prepare(task, slot)

    async def _look(self, task: str, slot: Slot, by: By) -> Deployment:
        """What holds now, after what can be refused without asking the gateway."""

        def look() -> Deployment:
            catalog.pair(f"{catalog.task(task).id()}-{catalog.entry(slot.entry).id}")
            release = self._ledger.release(task, slot.entry, slot.version)
            if not release.gate_passed:
                raise Conflict(f"{task}-{slot.entry}:{slot.version} did not pass its gate ({release.verdict}); only versions that passed are deployed")
            return self._deployments.now(task)

        self._reached("look")
        held = await run_in_threadpool(look)
        if by.expected is not None and held.revision != by.expected:
            raise Conflict(f"{task} is at revision {held.revision}, not {by.expected}; look at it again and decide anew")
        return held

    async def _drill(self, task: str, champion: Slot | None, slot: Slot) -> dict[str, Any]:
        """Ask the champion, the new version and the champion again about one fixed request; the champion must answer the same bytes."""
        drill: dict[str, Any] = {}
        if champion is not None:
            self._reached("drill: champion before")
            drill["before"] = (await self._gateway.prepare(task, champion)).digest
        self._reached("drill: new version")
        new = await self._gateway.prepare(task, slot)
        drill |= {"new": new.digest, "ready_after_milliseconds": new.milliseconds}
        if champion is not None:
            self._reached("drill: champion after")
            drill["after"] = (await self._gateway.prepare(task, champion)).digest
            if drill["before"] != drill["after"]:
                raise Conflict(
                    f"{task}: {champion.entry}:{champion.version} answered {drill['before'][:12]} before {slot.entry}:{slot.version} was loaded and "
                    f"{drill['after'][:12]} after it, so that a roll back would not lead back; nothing was changed"
                )
        return drill

    async def _write(self, change: Callable[[], Deployment]) -> Changed:
        self._reached("write")
        deployment = await run_in_threadpool(change)
        self._reached("refresh")
        try:
            await self._gateway.refresh()
        except FinmlError as error:
            # It is done all the same, and the gateway reads the ledger by itself.
            return Changed(deployment, (f"the change holds, but the gateway was not told at once: {error}",))
        return Changed(deployment)
