"""The rules of the layout, read from the sources: who may import whom, what stays light, what never appears."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("finml_models", "finml_ledger", "finml_pipelines", "bento", "finml_console", "finml_cli")
FAMILIES = ("time_series", "representation", "graph", "reinforcement", "nlp", "tabular")
HEAVY = ("torch", "lightning", "sklearn", "transformers")
PICKLES = ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")

FORBIDDEN = [
    ("finml_models/core", [r"finml_models\.(?!core(?:\.|$))\w+"], "core imports nothing of ours outside core"),
    ("finml_models/tasks", [rf"finml_models\.({'|'.join(FAMILIES)}|baselines|training)"], "tasks never import models"),
    *[(f"finml_models/{family}", [r"finml_models\.(tasks|baselines|evaluation)"], "models never import tasks") for family in FAMILIES],
    ("finml_models/baselines", [r"finml_models\.(tasks|evaluation)"], "baselines never import tasks"),
    ("finml_models", ["finml_(ledger|pipelines|cli|console)", "bento"], "the library stands alone"),
    ("finml_models", ["dagster", "bentoml", "fastapi", "starlette", "uvicorn", "alembic"], "no orchestrator, server or migrations in the library"),
    ("finml_ledger", ["finml_(pipelines|cli|console)", "bento", "dagster"], "the ledger knows the library only"),
    ("finml_pipelines", ["bento", "finml_(cli|console)"], "the pipeline starts packaging as a process"),
    ("bento", ["finml_(pipelines|cli|console)", "dagster"], "services know nothing of the pipeline"),
    ("finml_console", ["finml_(pipelines|cli)", "bento", "dagster", "bentoml"], "the console asks Dagster and the gateway over HTTP"),
    ("finml_console/schemas", ["fastapi", "starlette", "uvicorn"], "what server and client share needs no server"),
]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sources(package)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(path: Path, *, at_load: bool = False) -> Iterator[str]:
    """Absolute names that a file imports; `at_load` leaves out what stands in functions and under TYPE_CHECKING."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    waiting: list[ast.AST] = [tree(path)]
    while waiting:
        node = waiting.pop()
        if at_load and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node)):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def offenders(paths: list[Path], patterns: list[str], *, at_load: bool = False) -> list[str]:
    rule = re.compile(rf"(?:{'|'.join(patterns)})(?:\.|$)")
    return [f"{relative(path)} imports {name}" for path in paths for name in imported(path, at_load=at_load) if rule.match(name)]


def test_imports_are_read_whether_relative_or_absolute() -> None:
    batches = ROOT / "finml_models" / "core" / "batches.py"
    assert {"finml_models.core.spec.Kind", "numpy"} <= set(imported(batches))
    artifact = ROOT / "finml_models" / "core" / "artifact.py"
    inside_a_function = "safetensors.numpy.save"
    assert inside_a_function in set(imported(artifact))
    assert inside_a_function not in set(imported(artifact, at_load=True))


@pytest.mark.parametrize(("folder", "patterns", "why"), FORBIDDEN, ids=[f"{folder}: {why}" for folder, _, why in FORBIDDEN])
def test_nobody_imports_what_is_not_theirs(folder: str, patterns: list[str], why: str) -> None:
    assert not offenders(sources(folder), patterns), why


def test_nobody_imports_the_command_line() -> None:
    others = [path for package in PACKAGES if package != "finml_cli" for path in sources(package)]
    assert not offenders(others, ["finml_cli"])


def test_models_do_not_import_each_other() -> None:
    for family in FAMILIES:
        for folder in (path.parent for path in sources(f"finml_models/{family}") if path.name == "card.py"):
            others = rf"finml_models\.(?:{'|'.join(FAMILIES)})\.(?!{folder.name}(?:\.|$))[a-z]\w*\.(?:card|model)"
            assert not offenders(sources(relative(folder)), [others])


def test_catalogue_modules_load_nothing_heavy() -> None:
    cards = [path for path in modules() if path.name == "card.py"]
    light = [*cards, *sources("finml_models/tasks")]
    assert cards
    assert not offenders([*light, *sources("finml_models/core")], [*HEAVY, "pandas", "pyarrow", "dagster", "bentoml"], at_load=True)
    assert not offenders(light, ["numpy"], at_load=True)


def test_no_file_reads_or_writes_pickles() -> None:
    assert not offenders(modules(), list(PICKLES))
    calls = [
        f"{relative(path)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (ast.unparse(node.func) in {"torch.load", "torch.save", "pd.read_pickle"} or "allow_pickle" in {word.arg for word in node.keywords})
    ]
    assert not calls


def test_files_are_short() -> None:
    lengths = {relative(path): len(path.read_bytes().splitlines()) for path in [*modules(), *sources("tests"), *sources("benchmarks")]}
    assert not {name: lines for name, lines in lengths.items() if lines > 400}
    assert statistics.median(lines for name, lines in lengths.items() if lines > 1) < 150


def test_no_file_is_named_after_nothing() -> None:
    assert not [relative(path) for path in modules() if path.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_every_public_function_is_annotated() -> None:
    bare = []
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
                a = node.args
                named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
                missing = [arg.arg for arg in named if arg.annotation is None and arg.arg not in {"self", "cls"}]
                if missing or node.returns is None:
                    bare.append(f"{relative(path)}:{node.lineno} {node.name}({', '.join(missing)})")
    assert not bare


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = [line for extra in project["optional-dependencies"].values() for line in extra]
    # pydantic requires exactly one version of its core, so that declaring one declares both.
    declared = {"pydantic-core"} | {re.split(r"[\[<>=!~; ]", line)[0].lower().replace("_", "-") for line in [*project["dependencies"], *optional]}
    distributions = packages_distributions()
    undeclared = {}
    for path in modules():
        for top in {name.partition(".")[0] for name in imported(path)} - {*sys.stdlib_module_names, *PACKAGES}:
            owners = {name.lower().replace("_", "-") for name in distributions.get(top, [top])}
            if not owners & declared:
                undeclared[f"{relative(path)}: {top}"] = owners
    assert not undeclared


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement in a fresh interpreter."""
    code = f"import sys\n{statement}\nprint('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_catalogue_loads_no_numeric_library() -> None:
    loaded = loaded_by("from finml_models.core import catalog\ncatalog.models(), catalog.tasks(), catalog.pairs()")
    assert not loaded & {*HEAVY, "pandas", "dagster", "bentoml", "numpy"}


def test_the_client_and_the_server_load_without_the_training_stack() -> None:
    assert not loaded_by("import finml_console.client") & {*HEAVY, "pandas", "dagster", "bentoml", "fastapi", "uvicorn"}
    every_router = "from finml_console import pages, routes\nfrom finml_console.app import routers\nrouters(routes), routers(pages)"
    assert not loaded_by(every_router) & {*HEAVY, "pandas", "dagster", "bentoml"}


def test_the_definitions_load_without_the_training_stack() -> None:
    if not (ROOT / "finml_pipelines" / "definitions.py").exists() or find_spec("finml_pipelines") is None:
        pytest.skip("finml_pipelines.definitions is not built yet")
    assert not loaded_by("import finml_pipelines.definitions") & set(HEAVY)
