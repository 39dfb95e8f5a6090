"""Promotions that meet or die: one wins, the history is a line, and what holds is the old state or the new one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import httpx
import pytest
from console_cases import GRU_1, GRU_2, HAR, TASK, FakeGateway, http, release
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine, text

from finml_console.services.gateway import Gateway
from finml_console.services.releases import By, Releases
from finml_ledger import Deployment, Deployments, Ledger, Slot
from finml_models.core.errors import FinmlError

PATH = f"/v1/deployments/{TASK}"
STEPS = ("look", "drill: champion before", "drill: new version", "drill: champion after", "write", "refresh")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, home: Path) -> Iterator[Ledger]:
    """A ledger of either kind, with what the other tests' ledger holds."""
    address = os.environ.get("FINML_TEST_POSTGRES") if request.param == "postgres" else f"sqlite:///{home / 'ledger.sqlite'}"
    if address is None:
        pytest.skip("set FINML_TEST_POSTGRES to the URL of an empty Postgres database")
    if request.param == "postgres":
        with create_engine(address).begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    home.mkdir(exist_ok=True)
    opened = Ledger.open(address)
    for slot in (HAR, GRU_1, GRU_2):
        release(opened, home, slot)
    yield opened
    opened.close()


def test_of_promotions_at_once_one_wins_and_the_others_learn_what_holds(app: FastAPI, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    together = Barrier(8)

    def promote(number: int) -> httpx.Response:
        slot = (GRU_1, GRU_2)[number % 2]
        together.wait(10)
        return http(app).post(f"{PATH}/promote", json={"model_id": slot.entry, "version": slot.version}, headers={"If-Match": '"1"'})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(promote, range(8)))
    won = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code == 409]
    assert (len(won), len(lost)) == (1, 7)
    champion = won[0].json()["deployment"]["state"]["champion"]
    for answer in lost:
        assert answer.headers["etag"] == '"2"'
        assert answer.json()["deployment"]["state"]["champion"] == champion
    assert is_a_line(deployments.history(TASK))


def test_promoting_against_rolling_back_leaves_a_line(app: FastAPI, deployments: Deployments) -> None:
    deployments.deploy(TASK, HAR, actor="t")
    deployments.promote(TASK, GRU_1, actor="t")
    for _ in range(5):
        before = deployments.now(TASK)
        headers = {"If-Match": f'"{before.revision}"'}
        together = Barrier(2)

        def ask(action: str, sent: dict[str, str], headers: dict[str, str] = headers, together: Barrier = together) -> int:
            together.wait(10)
            return http(app).post(f"{PATH}/{action}", json=sent, headers=headers).status_code

        with ThreadPoolExecutor(2) as pool:
            promoted = pool.submit(ask, "promote", {"model_id": "gru", "version": "g2"})
            rolled = pool.submit(ask, "rollback", {})
            assert sorted((promoted.result(), rolled.result())) == [200, 409]
        now = deployments.now(TASK)
        assert now.revision == before.revision + 1
        assert now.state.champion == (GRU_2 if promoted.result() == 200 else before.state.previous)
        if now.state.champion != GRU_1:
            deployments.promote(TASK, GRU_1, actor="t")
    assert is_a_line(deployments.history(TASK))


def test_a_promotion_that_something_overtook_in_its_drill_changes_nothing(ledger: Ledger, deployments: Deployments, gateway: FakeGateway) -> None:
    deployments.deploy(TASK, HAR, actor="t")

    def overtake(step: str) -> None:
        if step == "drill: champion after":
            deployments.split(TASK, GRU_2, 0.1, actor="somebody else")

    releases = Releases(ledger, deployments, Gateway("http://gateway", transport=httpx.ASGITransport(app=gateway)), overtake)
    with pytest.raises(FinmlError, match="revision 2, not 1"):
        asyncio.run(releases.promote(TASK, GRU_1, By("t")))
    assert deployments.now(TASK).state.champion == HAR


def test_a_server_that_dies_at_a_step_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    ledgers: dict[str, Ledger] = {}
    for number, step in enumerate(STEPS):
        ledgers[step] = Ledger.open(address(tmp_path, number))
        release(ledgers[step], tmp_path, HAR)
        release(ledgers[step], tmp_path, GRU_1)
        Deployments(ledgers[step]).deploy(TASK, HAR, actor="t")
    assert promoting([f"{step}={address(tmp_path, number)}" for number, step in enumerate(STEPS)]) == [9] * len(STEPS)
    for step, ledger in ledgers.items():
        now = Deployments(ledger).now(TASK)
        assert (now.revision, now.state.champion) == ((2, GRU_1) if step == "refresh" else (1, HAR)), step
        assert audited(ledger) == now.revision
    # Trying again is safe: what did not happen happens, and what did is refused as done.
    again = promoting([f"never={address(tmp_path, number)}" for number in range(len(STEPS))])
    assert again[:-1] == [0] * (len(STEPS) - 1)
    assert again[-1] == 1
    for ledger in ledgers.values():
        assert (Deployments(ledger).now(TASK).revision, audited(ledger)) == (2, 2)
        assert Deployments(ledger).now(TASK).state.champion == GRU_1
        ledger.close()


def address(folder: Path, number: int) -> str:
    return f"sqlite:///{folder / f'{number}.sqlite'}"


def promoting(arguments: list[str]) -> list[int]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent)))}
    script = str(Path(__file__).with_name("promoting.py"))
    done = subprocess.run([sys.executable, script, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return [int(line) for line in done.stdout.split()]


class Died(BaseException):
    """The server ends here."""


class Promotions(RuleBasedStateMachine):
    """Any order of changes, each of which may die at any step."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.ledger = Ledger.open(f"sqlite:///{self.folder.name}/ledger.sqlite")
        for slot in (HAR, GRU_1, GRU_2):
            release(self.ledger, Path(self.folder.name), slot)
        self.deployments = Deployments(self.ledger)
        self.gateway = FakeGateway(self.ledger)
        self.held = self.deployments.now(TASK)

    def attempt(self, action: str, slot: Slot | None, dies: str | None, *, stale: bool) -> None:
        """Take a change as far as it goes. It holds exactly when the ledger was written, whatever came after."""
        wrote = False

        def reached(step: str) -> None:
            nonlocal wrote
            wrote = wrote or step == "refresh"
            if step == dies:
                raise Died

        gateway = Gateway("http://gateway", transport=httpx.ASGITransport(app=self.gateway))
        releases = Releases(self.ledger, self.deployments, gateway, reached)
        by = By("t", expected=self.held.revision - 1 if stale else None)
        change = {
            "deploy": lambda: releases.deploy(TASK, slot or HAR, by),
            "split": lambda: releases.split(TASK, slot or HAR, 0.25, by),
            "promote": lambda: releases.promote(TASK, slot or HAR, by),
            "rollback": lambda: releases.roll_back(TASK, by),
            "withdraw": lambda: releases.withdraw(TASK, by),
        }[action]
        with suppress(Died, FinmlError):
            asyncio.run(change())
        now = self.deployments.now(TASK)
        assert now.revision == self.held.revision + wrote
        assert wrote or now == self.held
        assert not (stale and wrote)
        if wrote and action == "promote":
            assert now.state.champion == slot
        if wrote and action == "rollback":
            assert (now.state.champion, now.state.previous) == (self.held.state.previous, self.held.state.champion)
        self.held = now

    @rule(
        action=st.sampled_from(["deploy", "split", "promote", "promote", "rollback", "withdraw"]),
        slot=st.sampled_from([HAR, GRU_1, GRU_2]),
        dies=st.sampled_from([None, None, *STEPS, "prepare"]),
    )
    def change(self, action: str, slot: Slot, dies: str | None) -> None:
        self.attempt(action, slot, dies, stale=False)

    @precondition(lambda self: self.held.revision > 0)
    @rule(action=st.sampled_from(["deploy", "promote", "rollback"]), slot=st.sampled_from([HAR, GRU_1, GRU_2]))
    def change_too_late(self, action: str, slot: Slot) -> None:
        self.attempt(action, slot, None, stale=True)

    @rule(slot=st.sampled_from([HAR, GRU_1, GRU_2]), refused=st.booleans())
    def damage_or_mend(self, slot: Slot, *, refused: bool) -> None:
        (self.gateway.refuses.add if refused else self.gateway.refuses.discard)(slot)

    @invariant()
    def history_is_a_line_and_audited(self) -> None:
        history = self.deployments.history(TASK)
        assert is_a_line(history)
        assert audited(self.ledger) == len(history)

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


TestPromotions = Promotions.TestCase
TestPromotions.settings = settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))


def is_a_line(history: list[Deployment]) -> bool:
    return [held.revision for held in history] == list(range(len(history), 0, -1))


def audited(ledger: Ledger) -> int:
    with ledger.read() as session:
        return session.connection().exec_driver_sql("SELECT count(*) FROM audit").scalar() or 0
