"""`finml explain`: which version answers, what the table says, and errors that name the way on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from finml_cli import releases
from finml_cli.explain import TOLD
from finml_cli.main import app
from finml_ledger import Ledger
from finml_models import datasets
from finml_models.core import artifact, catalog, serving
from finml_models.core.errors import NotExplained
from finml_models.core.home import artifacts

PAIR = "credit_risk-scorecard"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with one version of the scorecard."""
    home = tmp_path_factory.mktemp("home")
    pair = catalog.pair(PAIR)
    task = pair.task()
    raw = datasets.load(datasets.default_of(task.source())).frame.head(4_000)
    batch = task.view(pair.kind, task.features(raw), task.target(raw))
    estimator = pair.entry.estimator()(pair.entry.card.hyperparameters(), task.signature(batch)).fit(batch, batch.take(list(range(100))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINML_HOME", str(home))
        artifact.save(
            artifacts("credit_risk", "scorecard"), estimator, task="credit_risk", entry="scorecard", fingerprint={}, reference=serving.training_range(batch)
        )
    return home


@pytest.fixture
def version(made: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FINML_HOME", str(made))
    (folder,) = artifacts("credit_risk", "scorecard").glob("*")
    return folder.name


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["explain", *arguments])


def test_the_table_names_method_meaning_inputs_and_shares(version: str) -> None:
    result = explain(f"{PAIR}:{version}", "--rows", "2")
    assert result.exit_code == 0, result.output
    first, method, meaning, *lines = result.stdout.splitlines()
    assert first == f"{PAIR} {version}, not released"
    assert method.startswith("method: replacement of each input")
    assert meaning == "features: what the input adds to the log odds of 'default', over its typical value"
    tables = [line for line in lines if line.split()[:1] == ["features"]]
    assert len(tables) == 2
    assert all(line.split() == ["features", "contribution", "share"] for line in tables)
    shares = [line.split()[-1] for line in lines if line.rstrip().endswith("%")]
    assert len(shares) == 2 * (TOLD + 1), "ten inputs and the others"
    assert sum(float(share.rstrip("%")) for share in shares) == pytest.approx(200, abs=1.5)
    assert "left unexplained" in result.stdout
    assert "not what would happen if the input changed" in result.stdout


def test_the_json_is_the_document_of_the_service(version: str) -> None:
    from finml_models.core.explained import ExplainResponse

    told = ExplainResponse.model_validate_json(explain(f"{PAIR}:{version}", "--rows", "4", "--json").stdout)
    assert (told.version, len(told.rows)) == (version, 4)
    times = [row.time for row in told.rows]
    newest = datasets.load(datasets.default_of("loans")).frame["time"].max()
    assert max(times) == newest.to_pydatetime()


def test_an_entity_is_explained_by_name_also_when_it_is_not_among_the_newest(version: str) -> None:
    frame = datasets.load(datasets.default_of("loans")).frame
    old = str(frame["entity"].iloc[10])
    told = json.loads(explain(f"{PAIR}:{version}", "--entity", old, "--json").stdout)
    assert [row["entity"] for row in told["rows"]] == [old]
    unknown = explain(f"{PAIR}:{version}", "--entity", "nobody")
    assert unknown.exit_code == 2
    assert "unknown entity 'nobody'" in unknown.stderr


def test_where_nothing_or_something_else_was_trained_the_error_says_so(version: str) -> None:
    assert "known: " + version in explain(f"{PAIR}:0123").stderr
    never = explain("credit_risk-class_prior")
    assert never.exit_code == 2
    assert "finml run --use-case credit_risk --model class_prior" in never.stderr
    assert "did you mean" in explain("credit_risk-scorcard").stderr


def test_a_model_that_does_not_explain_names_others_that_do(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: Any, batch: Any) -> None:
        raise NotExplained("Scorecard: no")

    monkeypatch.setattr(catalog.entry("scorecard").estimator(), "explain", silent)
    result = explain(f"{PAIR}:{version}")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "tabnet (high)" in result.stderr


def test_without_a_version_the_newest_packaged_release_answers(version: str, home: Path, made: Path) -> None:
    folder = artifacts("credit_risk", "scorecard")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(made / folder.relative_to(home))
    ledger = Ledger.open()
    facts: dict[str, Any] = {"artifact": "a", "verdict": "best", "headline": {}, "fingerprint": {}}
    for name, tag in ((version, f"{PAIR}:{version}"), ("f" * 16, None)):
        ledger.record_release(task="credit_risk", entry="scorecard", version=name, gate_passed=tag is not None, bento_tag=tag, **facts)
    ledger.close()
    assert releases.named_artifact(PAIR) == (True, folder / version)
    assert explain(PAIR, "--rows", "1").stdout.startswith(f"{PAIR} {version}\n")
