"""`make screenshots`: every page of the console as a small PNG, of a server that runs (`--url`) or of the state folder alone."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from finml_cli import up
from finml_cli.processes import Part, Processes, free_ports
from finml_models.core.home import home

OUT = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDE, NARROW = (1280, 800), (400, 800)
COLOURS = 256
SETTLED_MILLISECONDS = 1_200
"""In which charts are drawn and the newest events have come."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A page as one sees it. `path` may name what is looked up first: `{run}`, the newest training, and `{deployed}`, a use case that is served."""

    name: str
    path: str
    scheme: str = "light"
    size: tuple[int, int] = WIDE


SHOTS = (
    Shot("models", "/ui/models"),
    Shot("model", "/ui/models/gru"),
    Shot("intelligence", "/ui/intelligence"),
    Shot("train", "/ui/train"),
    Shot("run", "/ui/train/{run}"),
    Shot("compare", "/ui/compare"),
    Shot("comparison", "/ui/compare?use_case=volatility_forecasting"),
    Shot("deployments", "/ui/deployments"),
    Shot("deployment", "/ui/deployments/{deployed}"),
    Shot("monitoring", "/ui/monitoring"),
    Shot("monitored", "/ui/monitoring/{deployed}"),
    Shot("models-dark", "/ui/models", scheme="dark"),
    Shot("models-narrow", "/ui/models", size=NARROW),
)


def main() -> int:
    """Take them; 1 when a page answers with an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a console that runs, such as that of finml up; otherwise one is started over FINML_HOME, without Dagster and gateway")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", nargs="*", choices=[shot.name for shot in SHOTS])
    given = parser.parse_args()
    browser = os.environ.get("FINML_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        parser.error("no chromium on the PATH; install it, or name one in FINML_CHROMIUM")
    given.out.mkdir(parents=True, exist_ok=True)
    wanted = [shot for shot in SHOTS if not given.only or shot.name in given.only]
    with console(given.url) as url, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])])
        found = looked_up(url)
        bad = [shot.name for shot in wanted if not take(started, url, shot, given.out, found)]
    return 1 if bad else 0


@contextmanager
def console(url: str | None) -> Iterator[str]:
    """The address of a server that runs, or of one that runs until the block ends."""
    if url is not None:
        yield url.rstrip("/")
        return
    port = free_ports({"--port": (up.LOOPBACK, 0)})["--port"]
    address = f"http://{up.LOOPBACK}:{port}"
    part = Part(
        name="console",
        command=[sys.executable, "-m", "finml_console"],
        port=port,
        environment={"FINML_PORT": str(port), "FINML_HOME": str(home()), "FINML_HOST": up.LOOPBACK, "FINML_TOKEN": ""},
        ready=lambda _: httpx.get(f"{address}/v1/health", **up.DIRECT).is_success,
    )
    with Processes(home() / "logs") as processes:
        processes.wait_until_ready(processes.start(part))
        yield address


def looked_up(url: str) -> dict[str, str]:
    """What shots may name, as far as it is there: the newest training that ended well needs Dagster to say so."""
    runs = httpx.get(f"{url}/v1/runs", params={"state": "succeeded", "limit": 50}, **up.DIRECT)
    trainings = [run["job_id"] for run in (runs.json()["items"] if runs.is_success else []) if run["kind"] == "training"]
    deployed = [one["use_case"] for one in httpx.get(f"{url}/models/deployed", **up.DIRECT).raise_for_status().json()["deployed"]]
    return {name: values[0] for name, values in (("run", trainings), ("deployed", deployed)) if values}


def take(browser: Browser, url: str, shot: Shot, out: Path, found: Mapping[str, str]) -> bool:
    """Write one of them; returns whether the page was a good one. One that names what there is not is left out."""
    try:
        path = shot.path.format_map(found)
    except KeyError as name:
        print(f"console-{shot.name}: left out, for there is no {name}")
        return True
    width, height = shot.size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=shot.scheme, locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    answer = page.goto(url + path)
    # A picture has no scrollbar that room would have to be kept for.
    page.evaluate("document.documentElement.style.scrollbarGutter = 'auto'")
    page.wait_for_timeout(SETTLED_MILLISECONDS)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    context.close()
    target = out / f"console-{shot.name}.png"
    picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(target, optimize=True)
    status = 0 if answer is None else answer.status
    print(f"{target.name}: {urlsplit(page.url).path} {status}, {target.stat().st_size / 1024:.0f} KB")
    return status == 200


if __name__ == "__main__":
    sys.exit(main())
