"""From an empty state folder to a version that serves, and back: the whole product, asked as a client asks it, and in a browser."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path

import httpx
import pytest
from walk import DATASET, ENTRY, TASK, Started, everything_up, load, predict_each, predict_each_at_the_gateway, request, train

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pipelines"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from browsing import SMALL, WHOLE, ask, deploy, look_around, named, split_promote_and_roll_back
from browsing import train as train_in_the_browser
from chromium import launched
from small_market import register
from watch import watching

from bento.gateway.loading import load as loaded
from bento.gateway.pool import Version
from bento.gateway.replay import replay
from finml_console.client import Overtaken
from finml_ledger import Ledger, Slot
from finml_ledger.predictions import PredictionLog
from finml_models.core import catalog

SECONDS = 150
"""For one training, on a machine that does other things too; alone it takes some 15."""
KEYS = 2_000
SHARE = 0.1
LOAD_SECONDS = 10.0


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder, and the small dataset registered: an empty one, or a copy of the one that `FINML_STORY_HOME` names."""
    folder = tmp_path_factory.mktemp("story")
    if kept := os.environ.get("FINML_STORY_HOME"):
        shutil.copytree(kept, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(folder / "home"))
        patch.setenv("FINML_DATASETS", str(register(folder / "data")))
        for name in ("DAGSTER_HOME", "FINML_TOKEN", "FINML_LEDGER_URL"):
            patch.delenv(name, raising=False)
        yield folder


@pytest.fixture(scope="module")
def started(market: Path) -> Iterator[Started]:
    """All parts, for both ways through the story."""
    with everything_up(market / "home" / "logs") as parts:
        yield parts


@pytest.mark.skipif("FINML_STORY_HOME" in os.environ, reason="it begins with nothing, and FINML_STORY_HOME names a state folder")
def test_a_model_is_trained_deployed_split_promoted_and_rolled_back_under_load(market: Path, started: Started) -> None:
    story(started, request(market / "data" / "closes.csv"))
    replay_the_log()


def test_the_same_through_pages_alone_whatever_was_done_before(started: Started) -> None:
    plot = WHOLE if "FINML_STORY_HOME" in os.environ else SMALL
    with launched() as browser, watching(browser, started.api) as watch:
        look_around(watch, plot)
        version = train_in_the_browser(watch, plot, plot.values[0], SECONDS)
        if deploy(watch, plot, "the first that passed") == "champion":
            # Nothing served yet: what is split needs two.
            watch.open("/ui/train")
            version = train_in_the_browser(watch, plot, plot.values[1], SECONDS)
            assert deploy(watch, plot, "the second") == "challenger"
        split_promote_and_roll_back(watch, plot, version, 30)
        ask(watch, plot, named(watch.page, "champion"))


def story(started: Started, asked: dict[str, object]) -> None:
    empty = datetime.now(UTC)
    finml = started.client()
    assert {model.id for model in finml.models(use_case=TASK).models} == {pair.entry.id for pair in catalog.pairs(TASK)}
    assert {found.id for found in finml.recommend(TASK).recommendations} >= {pair.entry.id for pair in catalog.pairs(TASK)}
    with pytest.raises(Overtaken, match="is not deployed"):
        finml.predict(ENTRY, asked, use_case=TASK)

    versions = []
    for decay in (0.94, 0.93):
        result = train(finml, SECONDS, decay=decay).result
        assert result is not None
        assert (result.gate_passed, result.bento_tag) == (True, f"{TASK}-{ENTRY}:{result.version}")
        report = finml.report(TASK, ENTRY, result.version)
        assert (report.version, report.data.dataset, report.fingerprint["hyperparameters"]) == (result.version, DATASET, {"decay": decay})
        versions.append(result.version)
    first, second = versions
    assert first != second
    assert {version.version for version in finml.versions(use_case=TASK, gate_passed=True).items} == {first, second}

    assert finml.deploy(TASK, ENTRY, first).deployment.state.champion == Slot(entry=ENTRY, version=first)
    answer = finml.predict(ENTRY, asked)
    assert (answer.version, answer.role, answer.as_of) == (first, "champion", asked["rows"][-1]["time"])
    alone = datetime.now(UTC)

    finml.split(TASK, ENTRY, second, SHARE)
    keys = [f"account-{number}" for number in range(KEYS)]
    answered = predict_each(started, keys[:400], asked) | predict_each_at_the_gateway(started, keys[400:], asked)
    share = sum(version == second for version in answered.values()) / KEYS
    assert set(answered.values()) == {first, second}
    assert abs(share - SHARE) < 3 * sqrt(SHARE * (1 - SHARE) / KEYS), share
    assert predict_each_at_the_gateway(started, keys[:200], asked) == {key: answered[key] for key in keys[:200]}
    assert predict_each(started, keys[-100:], asked) == {key: answered[key] for key in keys[-100:]}

    split = datetime.now(UTC)
    # A version's name, and with it who is sent where, changes with the code that trained it.
    key = next(key for key in keys if answered[key] == first)
    before = probe(started, asked, key)
    assert before[0] == first
    promoted, rolled_back = promote_and_roll_back_under_load(started, asked, first, second)
    assert probe(started, asked, key) == before

    held = {moment: finml.deployed_at(TASK, moment).state for moment in (empty, alone, split, promoted, rolled_back)}
    assert [state.champion and state.champion.version for state in held.values()] == [None, first, first, second, first]
    assert (held[split].challenger, held[split].share) == (Slot(entry=ENTRY, version=second), SHARE)
    assert [change.action for change in finml.history(TASK).items] == ["rollback", "promote", "split", "deploy"]
    finml.close()


def promote_and_roll_back_under_load(started: Started, asked: dict[str, object], first: str, second: str) -> tuple[datetime, datetime]:
    """Each within a second, and no request fails; returns a moment at which each held."""
    pause = LOAD_SECONDS / 3
    with started.client() as finml, load(started, asked) as running:
        time.sleep(pause)
        asking = time.monotonic()
        promotion = finml.promote(TASK, ENTRY, second)
        promoted, moment = time.monotonic(), datetime.now(UTC)
        time.sleep(pause)
        back = time.monotonic()
        finml.roll_back(TASK)
        rolled_back, end = time.monotonic(), datetime.now(UTC)
        time.sleep(pause)
    assert running.failed == []
    assert len(running.answers) > 200
    assert (running.who(promoted, back), running.who(rolled_back)) == ({second}, {first})
    assert max(promoted - asking, rolled_back - back) < 1, (promoted - asking, rolled_back - back)
    # Whoever answers, and however busy: a version's answer to the same request is the same bytes.
    assert len({(version, content) for _, version, content in running.answers if content}) == 2
    drill = promotion.deployment.evidence["drill"]
    assert drill["before"] == drill["after"] != drill["new"]
    return moment, end


def probe(started: Started, asked: dict[str, object], key: str) -> tuple[str, bytes]:
    """The version that answers a client, and its bytes."""
    answer = httpx.post(f"{started.gateway}/predict/{TASK}", json=asked, headers={"x-finml-key": key}, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-finml-version"], answer.content


def replay_the_log() -> None:
    """Everything was logged, and either version gives the answers again that it gave."""
    ledger = Ledger.open()
    log = PredictionLog(ledger)
    counted = {role: log.page(TASK, role=role, limit=100) for role in ("champion", "challenger")}
    assert all(len(rows) == 100 for rows in counted.values())
    for rows in counted.values():
        held = {row.version: loaded(ledger, Version(row.task, row.entry, row.version)) for row in rows}
        assert all(replay(held[row.version], row).same for row in rows[:20])
    ledger.close()
