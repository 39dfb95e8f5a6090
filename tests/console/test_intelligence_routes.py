"""Regimes and embeddings over REST: what there is to choose, the current regime, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from console_cases import ADDRESS, http, release
from fastapi import FastAPI
from states_cases import AUTOENCODER, EARLIER, GCN, REGIMES, START, VAE, embedding, keep, keep_vae, states, stretch

from finml_console.client import Client
from finml_ledger import Ledger
from finml_models.core import catalog
from finml_models.evaluation.states import STATES_JSON
from finml_models.evaluation.verdict import Verdict


def ask(api: httpx.Client, pair: str) -> httpx.Response:
    return api.get(f"/v1/intelligence/{pair}")


def test_the_choices_are_every_contender_of_regimes_and_every_representation(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home, verdict=Verdict.INFERIOR, passed=False)
    release(ledger, home, EARLIER, task=REGIMES)
    found = {(one["use_case"], one["model_id"]): one for one in api.get("/v1/intelligence").json()["choices"]}
    assert {key for key, one in found.items() if one["regimes"]} == {(REGIMES, pair.entry.id) for pair in catalog.contenders(REGIMES)}
    assert {model for (_, model), one in found.items() if one["embedding"]} == {"vae", "contrastive", "denoising_autoencoder"}
    assert {"verdict": "inferior", "gate_passed": False, "version": "v1", "kept": True}.items() <= found[REGIMES, "vae"].items()
    assert {"version": "k0", "kept": False}.items() <= found[REGIMES, "kmeans"].items()
    assert {"version": None, "verdict": None, "kept": False}.items() <= found[REGIMES, "gcn"].items()


def test_the_current_regime_is_the_likeliest_of_the_newest_date_and_how_long_it_has_lasted(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    found = ask(api, f"{REGIMES}/vae").json()
    now = found["current"]
    assert (now["as_of"], now["regime"], now["probability"], now["since"], now["sessions"]) == ("2018-01-10", "turbulent", 0.9, "2018-01-08", 3)
    assert not now["began_earlier"]
    assert [(one["regime"], one["probability"]) for one in now["regimes"]] == [("calm", 0.05), ("normal", 0.05), ("turbulent", 0.9)]
    assert found["measurement"]["source"] == {"use_case": REGIMES, "version": "v1", "run_id": "run-v1", "report": f"/v1/versions/{REGIMES}/vae/v1/report"}
    assert [one["fold"] for one in found["states"]["regimes"]] == [0, 1]
    assert found["states"]["embedding"]["seen"] == 15


def test_a_stay_that_the_document_starts_in_may_have_begun_earlier(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep(ledger, home, GCN, states(REGIMES, GCN, (stretch(0, 0, [1] * 4), stretch(1, 4, [2, 2], number=3)), None))
    now = ask(api, f"{REGIMES}/gcn").json()["current"]
    assert (now["since"], now["sessions"], now["began_earlier"]) == (START.isoformat(), 6, True)


def test_what_embeds_and_finds_no_regimes_has_no_current_one(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep(ledger, home, AUTOENCODER, states("anomaly_detection", AUTOENCODER, (), embedding(0, 5, 9, entities=7)))
    found = ask(api, "anomaly_detection/denoising_autoencoder").json()
    assert found["current"] is None
    assert found["states"]["embedding"]["entities"] == 7


@pytest.mark.parametrize(("pair", "near"), [("regime_detektion/vae", "regime_detection"), (f"{REGIMES}/vea", "vae"), ("volatility_forecasting/gru", None)])
def test_what_says_nothing_of_the_markets_state_is_not_found(pair: str, near: str | None, api: httpx.Client) -> None:
    answer = ask(api, pair)
    assert answer.status_code == 404
    assert near in answer.json()["near"] if near else "regimes or an embedding" in answer.json()["detail"]


def test_a_version_that_was_judged_before_is_a_conflict_with_the_remedy(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    remedy = f"finml run --use-case {REGIMES} --model kmeans"
    never = ask(api, f"{REGIMES}/kmeans")
    assert (never.status_code, remedy in never.json()["detail"]) == (409, True)
    release(ledger, home, EARLIER, task=REGIMES)
    before = ask(api, f"{REGIMES}/kmeans")
    assert (before.status_code, remedy in before.json()["detail"]) == (409, True)
    assert "kmeans:k0" in before.json()["detail"]


def test_a_broken_document_is_told_apart_from_a_missing_one(api: httpx.Client, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    (home / "reports" / REGIMES / "vae" / "v1" / STATES_JSON).write_text('{"format": 2}')
    answer = ask(api, f"{REGIMES}/vae")
    assert answer.status_code == 503
    assert "cannot be read" in answer.json()["detail"]


def test_the_client_reads_the_same(app: FastAPI, ledger: Ledger, home: Path) -> None:
    keep_vae(ledger, home)
    with Client(ADDRESS, http=http(app)) as finml:
        assert finml.insight(REGIMES, VAE.entry).current.regime == "turbulent"
        assert sum(choice.kept for choice in finml.insights().choices) == 1
