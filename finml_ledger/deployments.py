"""What serves each use case: an append-only history whose newest row holds, changed by one caller at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from finml_models.core.errors import Conflict
from finml_models.core.spec import Frozen

from .ledger import Ledger
from .models import AuditEntry, DeploymentChange

Role = Literal["champion", "challenger", "shadow"]
Action = Literal["deploy", "promote", "split", "shadow", "rollback", "withdraw"]


class Slot(Frozen):
    """A version of a model or baseline."""

    entry: str
    version: str


class State(Frozen):
    """What serves a use case. Nothing is deployed while there is no champion."""

    champion: Slot | None = None
    challenger: Slot | None = None
    share: float = Field(0.0, ge=0, lt=1, description="part of the traffic that the challenger answers; the champion answers the rest")
    shadow: Slot | None = Field(None, description="sees every request; its answers are kept, and returned to nobody")
    previous: Slot | None = Field(None, description="the champion before this one, kept warm: where a roll back leads")

    @model_validator(mode="after")
    def _roles_are_of_different_versions(self) -> State:
        if self.champion is None and (self.challenger or self.shadow or self.previous):
            raise ValueError("a challenger, shadow or previous version needs a champion")
        if self.challenger is None and self.share:
            raise ValueError("a share of the traffic needs a challenger")
        serving = [slot for slot in (self.champion, self.challenger, self.shadow) if slot is not None]
        if len(set(serving)) < len(serving):
            raise ValueError("champion, challenger and shadow must be different versions")
        return self

    def roles(self) -> dict[Role, Slot]:
        """Who plays which role, the champion first."""
        found: dict[Role, Slot | None] = {"champion": self.champion, "challenger": self.challenger, "shadow": self.shadow}
        return {role: slot for role, slot in found.items() if slot is not None}

    def warm(self) -> tuple[Slot, ...]:
        """The versions that must stay ready: those with a role, and the one that a roll back leads to."""
        return tuple(dict.fromkeys([*self.roles().values(), *((self.previous,) if self.previous else ())]))


class Deployment(Frozen):
    """The state of a use case after one change."""

    task: str
    revision: int = Field(ge=0, description="0 before the first change")
    state: State
    action: Action | None = None
    subject: Slot | None = None
    actor: str = ""
    reason: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)
    at: datetime | None = None


class Deployments:
    """The book of deployments in a ledger.

    Every change names the revision that it was decided on, or None for whichever holds now. Where that one no longer holds,
    and where two changes meet, one wins and the other raises `Conflict` with what holds now. A version that is deployed has
    passed its gate.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def now(self, task: str) -> Deployment:
        """What serves the use case; revision 0 where nothing ever did."""
        with self._ledger.read() as session:
            return _newest(session, task)

    def all(self) -> tuple[Deployment, ...]:
        """What serves each use case that something ever served, in the order of their newest changes."""
        last = select(func.max(DeploymentChange.sequence)).group_by(DeploymentChange.task)
        newest = select(DeploymentChange).where(DeploymentChange.sequence.in_(last)).order_by(DeploymentChange.sequence)
        with self._ledger.read() as session:
            return tuple(_of(row) for row in session.scalars(newest))

    def position(self) -> int:
        """The sequence of the newest change of any use case, 0 without one: cheap to ask for again and again."""
        with self._ledger.read() as session:
            return session.scalar(select(DeploymentChange.sequence).order_by(DeploymentChange.sequence.desc()).limit(1)) or 0

    def history(self, task: str, *, before: int | None = None, limit: int | None = None) -> list[Deployment]:
        """The changes of a use case, newest first, of revisions below `before`."""
        query = select(DeploymentChange).where(DeploymentChange.task == task)
        if before is not None:
            query = query.where(DeploymentChange.revision < before)
        with self._ledger.read() as session:
            return [_of(row) for row in session.scalars(query.order_by(DeploymentChange.revision.desc()).limit(limit))]

    def at(self, task: str, moment: datetime) -> Deployment:
        """What served the use case at an aware moment."""
        query = select(DeploymentChange).where(DeploymentChange.task == task, DeploymentChange.at <= moment)
        with self._ledger.read() as session:
            row = session.scalar(query.order_by(DeploymentChange.revision.desc()).limit(1))
        return Deployment(task=task, revision=0, state=State()) if row is None else _of(row)

    def deploy(self, task: str, slot: Slot, *, actor: str, reason: str = "", expected: int | None = None) -> Deployment:
        """Make a version ready: the champion where there is none, else a challenger without traffic in place of the present one."""

        def change(state: State) -> State:
            self._check_new(task, state, slot)
            if state.champion is None:
                return State(champion=slot)
            return _replace(state, challenger=slot, share=0.0, shadow=None if state.shadow == slot else state.shadow)

        return self._change(task, "deploy", slot, change, actor, reason, expected)

    def split(self, task: str, slot: Slot, share: float, *, actor: str, reason: str = "", expected: int | None = None) -> Deployment:
        """Send a share of the traffic, 0 up to below 1, to a challenger."""
        if not 0 <= share < 1:
            raise Conflict(f"share {share:g} must be at least 0 and below 1; promote the version to give it all traffic")

        def change(state: State) -> State:
            if state.challenger != slot:
                self._check_new(task, state, slot)
            return _replace(state, challenger=slot, share=share, shadow=None if state.shadow == slot else state.shadow)

        return self._change(task, "split", slot, change, actor, reason, expected)

    def shadow(self, task: str, slot: Slot | None, *, actor: str, reason: str = "", expected: int | None = None) -> Deployment:
        """Let a version see every request without answering any; None ends it."""

        def change(state: State) -> State:
            if slot is not None:
                self._check_new(task, state, slot)
            drops = slot is not None and state.challenger == slot
            return _replace(state, shadow=slot, challenger=None if drops else state.challenger, share=0.0 if drops else state.share)

        return self._change(task, "shadow", slot, change, actor, reason, expected)

    def promote(
        self, task: str, slot: Slot, *, actor: str, reason: str = "", expected: int | None = None, evidence: Mapping[str, Any] | None = None
    ) -> Deployment:
        """Give all traffic to a version; the champion before it becomes the previous one, and a split or shadow of the new one ends."""

        def change(state: State) -> State:
            if state.champion == slot:
                raise Conflict(f"{slot.entry}:{slot.version} is the champion of {task} already")
            self._check_passed(task, slot)
            stays = state.challenger if state.challenger != slot else None
            return State(
                champion=slot,
                previous=state.champion,
                challenger=stays,
                share=state.share if stays else 0.0,
                shadow=None if state.shadow == slot else state.shadow,
            )

        return self._change(task, "promote", slot, change, actor, reason, expected, evidence)

    def roll_back(self, task: str, *, actor: str, reason: str = "", expected: int | None = None) -> Deployment:
        """Give all traffic back to the previous champion; a split ends, and rolling back again leads forward."""

        def change(state: State) -> State:
            if state.previous is None:
                raise Conflict(f"{task} has no previous champion to roll back to")
            back = state.previous
            return State(champion=back, previous=state.champion, shadow=None if state.shadow == back else state.shadow)

        return self._change(task, "rollback", None, change, actor, reason, expected)

    def withdraw(self, task: str, *, actor: str, reason: str = "", expected: int | None = None) -> Deployment:
        """Serve the use case no longer."""

        def change(state: State) -> State:
            if state.champion is None:
                raise Conflict(f"nothing is deployed for {task}")
            return State()

        return self._change(task, "withdraw", None, change, actor, reason, expected)

    def _check_new(self, task: str, state: State, slot: Slot) -> None:
        if state.champion == slot:
            raise Conflict(f"{slot.entry}:{slot.version} is the champion of {task} already")
        self._check_passed(task, slot)

    def _check_passed(self, task: str, slot: Slot) -> None:
        release = self._ledger.release(task, slot.entry, slot.version)
        if not release.gate_passed:
            raise Conflict(f"{task}-{slot.entry}:{slot.version} did not pass its gate ({release.verdict}); only versions that passed are deployed")

    def _change(
        self,
        task: str,
        action: Action,
        slot: Slot | None,
        change: Callable[[State], State],
        actor: str,
        reason: str,
        expected: int | None,
        evidence: Mapping[str, Any] | None = None,
    ) -> Deployment:
        held = self.now(task)
        if expected is not None and held.revision != expected:
            raise _overtaken(held, expected)
        if held.state.champion is None and action not in {"deploy", "promote"}:
            raise Conflict(f"nothing is deployed for {task}; deploy a version first")
        state = change(held.state)
        row = DeploymentChange(
            task=task,
            revision=held.revision + 1,
            action=action,
            entry=slot.entry if slot else None,
            version=slot.version if slot else None,
            state=state.model_dump(mode="json"),
            evidence=dict(evidence or {}),
            actor=actor,
            reason=reason,
            at=max(self._ledger.clock(), held.at) if held.at else self._ledger.clock(),
        )
        audited = AuditEntry(
            actor=actor,
            action=f"deployment.{action}",
            subject=task,
            before=held.state.model_dump(mode="json"),
            after=row.state,
            reason=reason,
            at=row.at,
        )
        try:
            # One transaction: no change without its row in the audit trail, whoever makes it.
            with self._ledger.write() as session:
                session.add_all([row, audited])
        except IntegrityError as error:
            # The revision was taken between our look and our insert.
            raise _overtaken(self.now(task), held.revision) from error
        return _of(row)


def _newest(session: Session, task: str) -> Deployment:
    row = session.scalar(select(DeploymentChange).where(DeploymentChange.task == task).order_by(DeploymentChange.revision.desc()).limit(1))
    return Deployment(task=task, revision=0, state=State()) if row is None else _of(row)


def _of(row: DeploymentChange) -> Deployment:
    return Deployment(
        task=row.task,
        revision=row.revision,
        state=State.model_validate(row.state),
        action=row.action,
        subject=Slot(entry=row.entry, version=row.version) if row.entry and row.version else None,
        actor=row.actor,
        reason=row.reason,
        evidence=row.evidence,
        at=row.at,
    )


def _overtaken(held: Deployment, expected: int) -> Conflict:
    champion = held.state.champion
    serves = f"{champion.entry}:{champion.version} is champion" if champion else "nothing is deployed"
    return Conflict(f"{held.task} is at revision {held.revision}, not {expected}: {serves}; look at it again and decide anew")


def _replace(state: State, **changes: Any) -> State:
    return State.model_validate(state.model_dump() | changes)
