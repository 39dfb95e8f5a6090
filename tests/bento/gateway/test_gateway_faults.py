"""Versions that cannot be loaded, slow or broken ones, and a ledger that goes away."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gateway_cases import Running, drive, folder_of
from service_cases import ENTRY, TASK

from bento.gateway.held import Local, on
from bento.problem import MEDIA_TYPE
from finml_ledger import Ledger
from finml_ledger.deployments import Deployments, Slot
from finml_models.core import artifact
from finml_models.core.errors import LedgerUnavailable

WEIGHTS = "weights.safetensors"


def flip(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(data)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a flipped bit": flip,
    "a file cut short": lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1]),
    "a missing file": lambda folder: (folder / "model.json").unlink(),
    "a missing manifest": lambda folder: (folder / "manifest.json").unlink(),
    "a file too many": lambda folder: (folder / "extra.bin").write_bytes(b"x"),
}


async def prepare(it: Running, slot: Slot) -> Any:
    return await it.client.post("/versions/prepare", json={"task": TASK, "entry": slot.entry, "version": slot.version})


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_is_503_for_itself_alone(damage: str, ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    DAMAGES[damage](folder_of(slots[1]))

    async def scene(it: Running) -> None:
        refused = await prepare(it, slots[1])
        assert (refused.status_code, refused.headers["content-type"]) == (503, MEDIA_TYPE)
        assert slots[1].version in refused.json()["detail"]
        assert (await it.predict()).status_code == 200
        it.deployments.split(TASK, slots[1], 0.5, actor="test")
        await it.refresh()
        roles = {(await it.predict(f"client-{number}")).headers["x-finml-version"] for number in range(20)}
        assert roles == {slots[0].version}
        assert (await it.client.get("/readyz")).status_code == 200
        told = (await it.client.get("/deployed")).json()["versions"]
        assert [(version["role"], version["condition"], version["answers"]) for version in told] == [
            ("champion", "ready", True),
            ("challenger", "failed", False),
        ]
        assert slots[1].version in told[1]["failure"]

    drive(ledger, scene)


def test_expected_and_actual_sha256_of_a_damaged_file_are_logged(ledger: Ledger, slots: list[Slot], caplog: pytest.LogCaptureFixture) -> None:
    expected = artifact.verify(folder_of(slots[0])).files[WEIGHTS].sha256
    flip(folder_of(slots[0]))
    actual = hashlib.sha256((folder_of(slots[0]) / WEIGHTS).read_bytes()).hexdigest()
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        answer = await it.predict()
        assert (answer.status_code, answer.headers["content-type"]) == (503, MEDIA_TYPE)
        assert (await it.client.get("/livez")).status_code == 200
        (row,) = it.logged()
        assert (row.status, row.answer) == (503, None)

    drive(ledger, scene)
    assert expected in caplog.text
    assert actual in caplog.text


def test_a_damaged_version_that_was_restored_is_loaded_when_it_is_prepared_again(ledger: Ledger, slots: list[Slot]) -> None:
    whole = (folder_of(slots[0]) / WEIGHTS).read_bytes()
    flip(folder_of(slots[0]))
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        assert (await it.predict()).status_code == 503
        (folder_of(slots[0]) / WEIGHTS).write_bytes(whole)
        assert (await prepare(it, slots[0])).status_code == 200
        assert (await it.predict()).status_code == 200

    drive(ledger, scene)


def test_an_artifact_of_another_model_under_the_right_name_is_refused(ledger: Ledger, slots: list[Slot]) -> None:
    ledger.record_release(
        task=TASK,
        entry="ewma",
        version=slots[0].version,
        artifact=f"artifacts/{TASK}/{ENTRY}/{slots[0].version}",
        verdict="released",
        gate_passed=True,
        headline={},
        fingerprint={},
    )

    async def scene(it: Running) -> None:
        refused = await prepare(it, Slot(entry="ewma", version=slots[0].version))
        assert refused.status_code == 503
        assert f"holds {TASK}-{ENTRY}" in refused.json()["detail"]

    drive(ledger, scene)


def test_a_new_champion_that_is_still_loading_gets_no_traffic_and_the_old_one_answers(
    ledger: Ledger, slots: list[Slot], monkeypatch: pytest.MonkeyPatch
) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    load = artifact.load

    def slowly(folder: Path) -> artifact.Artifact:
        if folder.name == slots[1].version:
            time.sleep(0.6)
        return load(folder)

    monkeypatch.setattr(artifact, "load", slowly)

    async def scene(it: Running) -> None:
        it.deployments.promote(TASK, slots[1], actor="test")
        await it.client.post("/deployments/refresh")
        answers = []
        while it.gateway.pool._loading:
            answers.append(await it.predict())
        assert len(answers) > 3
        assert {answer.status_code for answer in answers} == {200}
        assert answers[0].headers["x-finml-version"] == slots[0].version
        after = await it.predict()
        assert (after.headers["x-finml-version"], after.headers["x-finml-role"]) == (slots[1].version, "champion")
        assert {(row.version, row.revision) for row in it.logged()} == {(slots[0].version, 1), (slots[1].version, 2)}

    drive(ledger, scene)


def test_the_stable_version_stays_loaded_until_the_new_one_is_promoted(ledger: Ledger, slots: list[Slot]) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    async def scene(it: Running) -> None:
        for slot in slots[1:]:
            assert (await prepare(it, slot)).status_code == 200
        # With room for two, the version that nobody deployed went first.
        assert {version.version for version in it.gateway.pool._held} == {slots[0].version, slots[2].version}
        it.deployments.promote(TASK, slots[2], actor="test")
        await it.refresh()
        assert (await it.predict()).headers["x-finml-version"] == slots[2].version
        it.deployments.roll_back(TASK, actor="test")
        began = time.perf_counter()
        await it.refresh()
        assert (await it.predict()).headers["x-finml-version"] == slots[0].version
        assert time.perf_counter() - began < 1

    drive(ledger, scene, versions=2)


def test_a_request_in_flight_keeps_its_version_when_another_is_promoted(ledger: Ledger, slots: list[Slot], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bento.gateway.loading.QUICK_MILLISECONDS", 0.0)
    Deployments(ledger).deploy(TASK, slots[0], actor="test")
    answer = Local.now

    def slowly(self: Local, *asked: Any) -> bytes:
        time.sleep(0.2)
        return answer(self, *asked)

    async def scene(it: Running) -> None:
        assert (await prepare(it, slots[1])).status_code == 200
        monkeypatch.setattr(Local, "now", slowly)
        flying = asyncio.create_task(it.predict())
        while not it.gateway.desk.waiting:
            await asyncio.sleep(0.01)
        it.deployments.promote(TASK, slots[1], actor="test")
        await it.client.post("/deployments/refresh")
        assert (await it.predict()).headers["x-finml-version"] == slots[1].version
        first = await flying
        assert (first.status_code, first.headers["x-finml-version"]) == (200, slots[0].version)

    drive(ledger, scene)


def test_a_version_that_takes_too_long_is_504_and_one_that_breaks_is_500_and_both_are_logged(
    ledger: Ledger, slots: list[Slot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bento.gateway.loading.QUICK_MILLISECONDS", 0.0)
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    def breaks(self: Local, *asked: Any) -> bytes:
        raise RuntimeError("a secret of the inside")

    async def scene(it: Running) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Local, "now", lambda self, *asked: time.sleep(1.5) or b"{}")
            assert (await it.predict()).status_code == 504
            # The thread is busy until it is done: who comes now would wait for it.
            await on(it.gateway.desk._threads["predict"], lambda: None)
        with monkeypatch.context() as patch:
            patch.setattr(Local, "now", breaks)
            broken = await it.predict()
            assert (broken.status_code, broken.headers["content-type"]) == (500, MEDIA_TYPE)
            assert "secret" not in broken.text
        assert [row.status for row in it.logged()] == [500, 504]
        assert (await it.predict()).status_code == 200

    drive(ledger, scene, seconds=1.0)


def test_while_the_ledger_is_away_the_gateway_answers_and_the_log_waits(ledger: Ledger, slots: list[Slot], monkeypatch: pytest.MonkeyPatch) -> None:
    Deployments(ledger).deploy(TASK, slots[0], actor="test")

    def away(*_: Any, **__: Any) -> Any:
        raise LedgerUnavailable("the disk is full")

    async def scene(it: Running) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(it.gateway.ledger, "write", away)
            patch.setattr(it.gateway.ledger, "read", away)
            assert (await it.predict()).status_code == 200
            it.gateway.writer.flush()
            assert len(it.gateway.writer) == 1
            refused = await it.client.post("/deployments/refresh")
            assert (refused.status_code, refused.json()["detail"]) == (503, "the disk is full")
            await asyncio.sleep(0.1)
            assert (await it.predict()).status_code == 200
        assert len(it.logged()) == 2

    drive(ledger, scene, poll_seconds=0.02)


def test_the_gateway_follows_the_ledger_by_itself(ledger: Ledger, slots: list[Slot]) -> None:
    async def scene(it: Running) -> None:
        assert (await it.predict()).status_code == 409
        it.deployments.deploy(TASK, slots[0], actor="test")
        deadline = time.monotonic() + 5
        while (answer := await it.predict()).status_code == 409:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert answer.status_code == 200
        it.deployments.withdraw(TASK, actor="test")
        while (await it.predict()).status_code == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    drive(ledger, scene, poll_seconds=0.2)


def test_a_logged_request_answered_again_by_its_version_gives_the_same_answer(ledger: Ledger, slots: list[Slot]) -> None:
    from bento.gateway.loading import load
    from bento.gateway.pool import Version
    from bento.gateway.replay import replay

    book = Deployments(ledger)
    book.deploy(TASK, slots[0], actor="test")
    book.split(TASK, slots[1], 0.5, actor="test")

    async def scene(it: Running) -> None:
        for number in range(6):
            await it.predict(f"client-{number}")
        await it.predict(body=json.dumps({"rows": json.loads(json.dumps(it.logged()[0].request))["rows"][:20]}))
        rows = it.logged()
        assert {row.version for row in rows} == {slot.version for slot in slots[:2]}
        assert [row.status for row in rows] == [422, *[200] * 6]
        for row in rows:
            again = replay(load(ledger, Version(row.task, row.entry, row.version)), row)
            assert again.same, (again.then, again.now)
        other = next(slot for slot in slots[:2] if slot.version != rows[1].version)
        assert not replay(load(ledger, Version.of(TASK, other)), rows[1]).same

    drive(ledger, scene)
