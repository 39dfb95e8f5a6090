"""What the console ships to browsers: nothing that is not listed, nothing that was changed, nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest

from finml_console import assets
from finml_console.pages import _render

VENDORED = assets.FOLDER / "vendor"
LISTED = json.loads((VENDORED / "vendored.json").read_text())
PERMISSIVE = {"0BSD", "MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC"}
OWN = sorted(path for folder in (assets.FOLDER, Path(_render.__file__).parents[1] / "templates") for path in folder.rglob("*") if path.is_file())
XML_NAMES = "http://www.w3.org/"
"""Names of vocabularies, which nobody fetches."""


def test_every_vendored_file_is_listed_with_its_hash_and_licence() -> None:
    present = {path.name for path in VENDORED.iterdir()} - {"vendored.json"}
    assert {one["file"] for one in LISTED} | {one["license_file"] for one in LISTED} == present
    for one in LISTED:
        assert hashlib.sha256((VENDORED / one["file"]).read_bytes()).hexdigest() == one["sha256"], one["file"]
        assert one["license"] in PERMISSIVE
        assert re.fullmatch(r"\d+\.\d+\.\d+", one["version"])
        assert len((VENDORED / one["license_file"]).read_text()) > 400


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_template_script_or_stylesheet_names_another_host(path: Path) -> None:
    vendored = path.parent == VENDORED
    # A licence names its author's page, and a library may in a message; neither is fetched, which the browser's tests watch.
    if path.suffix in {".html", ".js", ".css", ".svg"} and not vendored:
        text = path.read_text()
        assert not [found for found in re.findall(r"(?:https?:)?//[\w-]+\.[\w./-]+", text) if not found.startswith(XML_NAMES)]
    if path.suffix in {".css", ".js"}:
        assert not re.search(r"@import|sourceMappingURL|url\(\s*['\"]?(?:https?:)?//", path.read_text())


def test_templates_have_no_inline_script_or_style() -> None:
    for path in OWN:
        if path.suffix == ".html":
            # What the server fills in is no attribute, whatever its variables are called.
            text = re.sub(r"{%.*?%}|{{.*?}}", "", path.read_text(), flags=re.DOTALL)
            assert not re.search(r"<style|<\w[^>]*\s(?:style|on[a-z]+)\s*=", text), path.name
            inline = [tag for tag in re.findall(r"<script[^>]*>", text) if "src=" not in tag and 'type="application/json"' not in tag]
            assert not inline, path.name


def test_static_files_are_kept_by_browsers_under_the_digest_of_all_of_them_alone(api: httpx.Client) -> None:
    kept = api.get(assets.address("finml.css"))
    assert (kept.status_code, kept.headers["cache-control"]) == (200, assets.FOREVER)
    assert api.get("/static/finml.css").headers["cache-control"] == "no-store"
    assert api.get("/static/000000000000/finml.css").status_code == 404
    assert api.get(assets.address("../app.py")).status_code == 404
    assert "default-src 'self'" in kept.headers["content-security-policy"]
