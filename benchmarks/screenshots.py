"""`make screenshots`: every page of the console as a small PNG, of a server that runs (`--url`) or of the state folder alone."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Iterator
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
    """A page as one sees it. `path` may name what is looked up first: `{run}`, the newest training."""

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
    Shot("deployments", "/ui/deployments"),
    Shot("monitoring", "/ui/monitoring"),
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
        run = newest_training(url)
        bad = [shot.name for shot in wanted if not take(started, url, shot, given.out, run)]
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


def newest_training(url: str) -> str | None:
    """The id of the newest training that ended well, where Dagster is there to say."""
    answer = httpx.get(f"{url}/v1/runs", params={"state": "succeeded", "limit": 50}, **up.DIRECT)
    runs = answer.json()["items"] if answer.is_success else []
    return next((run["job_id"] for run in runs if run["kind"] == "training"), None)


def take(browser: Browser, url: str, shot: Shot, out: Path, run: str | None) -> bool:
    """Write one of them; returns whether the page was a good one."""
    if "{run}" in shot.path and run is None:
        print(f"console-{shot.name}: left out, for there is no training that Dagster tells of")
        return True
    width, height = shot.size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=shot.scheme, locale="en-GB", timezone_id="UTC")
    page = context.new_page()
    answer = page.goto(url + shot.path.format(run=run))
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
