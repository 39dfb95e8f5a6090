"""The pool of loaded versions: once each, within its bounds, the warm ones last to go."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bento.gateway.pool import Pool, Version
from bento.gateway.routing import Condition
from finml_models.core.errors import CorruptArtifact, ServiceFailed

A, B, C, D = VERSIONS = [Version("task", "entry", letter * 16) for letter in "abcd"]


@dataclass(frozen=True)
class Loaded:
    version: Version
    size: int = 10


class Shelf:
    """Where versions are loaded from; counts, and fails for those in `broken`."""

    def __init__(self) -> None:
        self.loads: list[Version] = []
        self.broken: set[Version] = set()

    async def __call__(self, version: Version) -> Loaded:
        self.loads.append(version)
        await asyncio.sleep(0.001)
        if version in self.broken:
            raise CorruptArtifact("expected aa, found bb")
        return Loaded(version)


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_who_asks_at_the_same_time_waits_for_the_same_loading() -> None:
    async def scene() -> None:
        shelf = Shelf()
        pool: Pool[Loaded] = Pool(shelf, most=4, most_bytes=100)
        assert pool.condition(A) is Condition.UNKNOWN
        loading = [asyncio.create_task(pool.get(A)) for _ in range(10)]
        await asyncio.sleep(0)
        assert pool.condition(A) is Condition.LOADING
        held = await asyncio.gather(*loading)
        assert all(one is held[0] for one in held)
        assert shelf.loads == [A]
        assert pool.condition(A) is Condition.READY

    play(scene())


def test_one_client_that_gives_up_does_not_end_the_loading_for_the_others() -> None:
    async def scene() -> None:
        pool: Pool[Loaded] = Pool(Shelf(), most=4, most_bytes=100)
        first, second = asyncio.create_task(pool.get(A)), asyncio.create_task(pool.get(A))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).version == A

    play(scene())


def test_a_failure_is_remembered_until_somebody_tries_again() -> None:
    async def scene() -> None:
        shelf = Shelf()
        shelf.broken = {A}
        seen: list[Version] = []
        pool: Pool[Loaded] = Pool(shelf, most=4, most_bytes=100, changed=seen.append)
        for _ in range(3):
            with pytest.raises(ServiceFailed, match="expected aa, found bb"):
                await pool.get(A)
        assert shelf.loads == seen == [A]
        assert pool.condition(A) is Condition.FAILED
        shelf.broken = set()
        trying = pool.start(A)
        # Until it is loaded it has failed: nobody is sent to it.
        assert pool.condition(A) is Condition.FAILED
        await trying
        assert pool.condition(A) is Condition.READY
        assert (await pool.get(A)).version == A

    play(scene())


def test_the_least_recently_used_goes_first_and_comes_back_when_it_is_asked_for() -> None:
    async def scene() -> None:
        shelf = Shelf()
        pool: Pool[Loaded] = Pool(shelf, most=2, most_bytes=100)
        for version in (A, B, A, C):
            await pool.get(version)
        assert (A in pool, B in pool, C in pool) == (True, False, True)
        assert pool.condition(B) is Condition.READY
        assert (await pool.get(B)).version == B
        assert shelf.loads == [A, B, C, B]

    play(scene())


def test_memory_bounds_the_pool_too_and_the_newest_stays_however_large() -> None:
    async def scene() -> None:
        pool: Pool[Loaded] = Pool(Shelf(), most=10, most_bytes=25)
        for version in VERSIONS:
            await pool.get(version)
        assert (len(pool), pool.size) == (2, 20)
        tiny: Pool[Loaded] = Pool(Shelf(), most=10, most_bytes=5)
        assert (await tiny.get(A)).version == A
        assert A in tiny

    play(scene())


@given(asked=st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=30), warm=st.sets(st.sampled_from(VERSIONS)), most=st.integers(1, 4))
def test_no_warm_version_goes_before_another(asked: list[Version], warm: set[Version], most: int) -> None:
    async def scene() -> None:
        pool: Pool[Loaded] = Pool(Shelf(), most=most, most_bytes=1000)
        pool.keep_warm(warm)
        for version in asked:
            before = {held for held in VERSIONS if held in pool}
            assert (await pool.get(version)).version == version
            gone = {held for held in before if held not in pool}
            stayed = {held for held in before if held in pool} - {version}
            assert len(pool) <= most
            if gone & warm:
                assert not stayed - warm

    play(scene())
