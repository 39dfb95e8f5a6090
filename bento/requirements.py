"""What a bento has to install: the packages that its own code imports, followed through the sources, at the versions that are here."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ("finml_models", "bento")


def pinned(*modules: str) -> list[str]:
    """`name==version` of every package that these modules of ours import, directly or through others of ours, in functions too.

    A baseline therefore brings no torch, and nobody keeps a list.
    """
    owners = packages_distributions()
    distributions = {owner for name in _outside(modules) for owner in owners.get(name, ())}
    # "2.13.0+cpu" names a build of this machine; the index that a container is built from has 2.13.0.
    return sorted(f"{name}=={version(name).partition('+')[0]}" for name in distributions)


def _outside(modules: tuple[str, ...]) -> set[str]:
    """Top-level packages outside our sources. What a module imports inside functions counts where somebody imports that module
    by name; of a package that is loaded only because something lies inside it, no function is called."""
    waiting = [(name, True) for name in modules]
    seen, outside = set[tuple[str, bool]](), set[str]()
    while waiting:
        name, called = waiting.pop()
        top, parent = name.partition(".")[0], name.rpartition(".")[0]
        if top not in OURS:
            outside.add(top)
        elif (name, called) not in seen:
            seen.add((name, called))
            waiting += [(parent, False)] if parent else []
            if path := _path(name):
                package = name if path.name == "__init__.py" else parent
                waiting += ((found, called) for found in _imports(path, package, in_functions=called))
    return outside - sys.stdlib_module_names


def _imports(path: Path, package: str, *, in_functions: bool) -> Iterator[str]:
    nodes: list[ast.AST] = [ast.parse(path.read_bytes(), filename=str(path))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        if not in_functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            names = [f"{base}.{alias.name}" for alias in node.names]
            inside = [name for name in names if _path(name)]
            yield from inside
            if len(inside) < len(names):
                yield base


def _path(module: str) -> Path | None:
    if module.partition(".")[0] not in OURS:
        return None
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)
