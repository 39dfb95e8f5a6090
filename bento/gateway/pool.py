"""The versions that are in memory: loaded when they are first needed, once each, and let go of when there are too many."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from bento.problem import Problem
from finml_models.core.errors import FinmlError, ServiceFailed

from .routing import Condition

if TYPE_CHECKING:
    from finml_ledger.deployments import Slot

log = logging.getLogger("finml.gateway")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model or baseline for a use case."""

    task: str
    entry: str
    version: str

    @classmethod
    def of(cls, task: str, slot: Slot) -> Self:
        """The version that holds a slot of a use case."""
        return cls(task, slot.entry, slot.version)

    def __str__(self) -> str:
        return f"{self.task}-{self.entry}:{self.version}"


class Sized(Protocol):
    """Something that takes memory."""

    @property
    def size(self) -> int: ...


Held = TypeVar("Held", bound=Sized)


class Pool(Generic[Held]):
    """Loaded versions, the least recently used first. Belongs to one event loop; only `load` ever runs elsewhere.

    When there are more than `most`, or more than `most_bytes`, the least recently used go, those that `keep_warm` names after
    all others. A version that was let go of is loaded again when it is asked for. The newest one always stays.
    """

    def __init__(
        self, load: Callable[[Version], Awaitable[Held]], *, most: int, most_bytes: float, changed: Callable[[Version], None] = lambda _: None
    ) -> None:
        self._load = load
        self._most = most
        self._most_bytes = most_bytes
        self._changed = changed
        self._held: OrderedDict[Version, Held] = OrderedDict()
        self._warm: frozenset[Version] = frozenset()
        self._loading: dict[Version, asyncio.Task[Held]] = {}
        self._loaded_once: set[Version] = set()
        self._failed: dict[Version, str] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def size(self) -> int:
        """Bytes of all that is loaded."""
        return sum(held.size for held in self._held.values())

    def __contains__(self, version: object) -> bool:
        return version in self._held

    def condition(self, version: Version) -> Condition:
        """How far a version is."""
        if version in self._failed:
            return Condition.FAILED
        if version in self._loaded_once:
            return Condition.READY
        return Condition.LOADING if version in self._loading else Condition.UNKNOWN

    def failure(self, version: Version) -> str | None:
        """Why a version failed to load, if it did."""
        return self._failed.get(version)

    def keep_warm(self, versions: Collection[Version]) -> None:
        """These are let go of last."""
        self._warm = frozenset(versions)

    def here(self, version: Version) -> Held | None:
        """The version if it is in memory."""
        if (held := self._held.get(version)) is not None:
            self._held.move_to_end(version)
        return held

    async def get(self, version: Version) -> Held:
        """The version, loaded if it has to be; who asks at the same time waits for the same loading.

        Raises `ServiceFailed` with the reason, at once where it failed before.
        """
        if (held := self.here(version)) is not None:
            return held
        if (reason := self._failed.get(version)) is not None:
            raise ServiceFailed(reason)
        return await asyncio.shield(self.start(version))

    def start(self, version: Version) -> asyncio.Task[Held]:
        """Begin to load a version, or join whoever did; nobody has to wait for it. One that failed counts as failed until it is loaded."""
        task = self._loading.get(version)
        if task is None:
            task = self._loading[version] = asyncio.create_task(self._loaded(version))
            # Whoever waits gets the error; where nobody does it is logged, and no fault of asyncio's.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def again(self, version: Version) -> Held:
        """As `get`, and tries anew what failed before."""
        if version in self._failed:
            return await asyncio.shield(self.start(version))
        return await self.get(version)

    async def _loaded(self, version: Version) -> Held:
        try:
            held = await self._load(version)
        except Exception as error:  # whatever it is, it must cost this version alone
            self._failed[version] = f"{version} was not loaded: {error}"
            self._loaded_once.discard(version)
            log.error("%s", self._failed[version], exc_info=None if isinstance(error, FinmlError | Problem) else error)  # noqa: TRY400
            raise ServiceFailed(self._failed[version]) from error
        else:
            self._held[version] = held
            self._loaded_once.add(version)
            self._failed.pop(version, None)
            self._make_room(version)
            return held
        finally:
            del self._loading[version]
            self._changed(version)

    def _make_room(self, newest: Version) -> None:
        while len(self._held) > self._most or self.size > self._most_bytes:
            others = [version for version in self._held if version != newest]
            if not others:
                return
            going = next((version for version in others if version not in self._warm), others[0])
            del self._held[going]
            log.info("%s gave up its memory", going)
