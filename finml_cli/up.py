"""`finml up`: orchestrator, gateway, REST API and web console with one command, and all of them gone when it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from finml_models.core.errors import ServiceFailed
from finml_models.core.home import home

from . import render
from .processes import Child, Part, Processes, free_ports
from .serve import termination_interrupts

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
SECRETS = "FINML_TOKEN"
API, GATEWAY, DAGSTER = 3400, 3500, 3000
PORTS = {"--port-api": API, "--port-gateway": GATEWAY, "--port-dagster": DAGSTER}
"""Where the parts listen, by the option that takes another."""
DIRECT: dict[str, Any] = {"timeout": 5, "trust_env": False}
"""The environment's proxies are for elsewhere."""
HEARTBEATS = "{ instance { daemonHealth { allDaemonStatuses { required healthy lastHeartbeatTime } } } }"


def up(
    *,
    port_api: Annotated[int, typer.Option("--port-api", min=0, max=65535, help="Console and REST API; 0 takes any free port, here and below.")] = API,
    port_gateway: Annotated[int, typer.Option("--port-gateway", min=0, max=65535, help="Gateway, on the loopback.")] = GATEWAY,
    port_dagster: Annotated[int, typer.Option("--port-dagster", min=0, max=65535, help="Dagster's UI, on the loopback: it has no access control.")] = DAGSTER,
    host: Annotated[str, typer.Option("--host", help="Where console and REST API listen; any host but the loopback wants a token.")] = LOOPBACK,
    token: Annotated[
        str | None, typer.Option("--token", envvar=SECRETS, show_envvar=True, help="Asked of every request that changes something; others see a command line.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the console in a browser, where there is one.")] = False,
) -> None:
    """Start the web console with the REST API, the gateway and Dagster (UI and daemon), and stop all of them on Ctrl-C.

    The console is at http://127.0.0.1:3400/ui; its address is the first line of the output, those of the other parts follow. Nothing is
    started again silently: when a part ends, the others are stopped and its newest words are shown. Logs are in `logs/` of the state folder.

    Example: `finml up --port-api 8080`
    """
    with termination_interrupts():
        try:
            run(host, {"--port-dagster": port_dagster, "--port-gateway": port_gateway, "--port-api": port_api}, token, open_page=open_page)
        except KeyboardInterrupt:
            typer.echo("stopped")


def run(host: str, ports: dict[str, int], token: str | None, *, open_page: bool = False) -> None:
    """Start all parts, show where they are, and watch them. Raises `ServiceFailed` when a part does not come up, or ends."""
    from finml_console.settings import is_loopback, load

    if not token and not is_loopback(host):
        raise ServiceFailed(
            f"--host {host}: others can reach it, so it needs a token. Set {SECRETS} to a secret (openssl rand -hex 32), or leave --host out and put a "
            "proxy with access control before it"
        )
    found = free_ports({option: (host if option == "--port-api" else LOOPBACK, port) for option, port in ports.items()})
    # Its rules for host and token, before anything has started.
    load(host=host, port=found["--port-api"], token=token)
    with Processes(home() / "logs") as processes:
        began = time.monotonic()
        children = [processes.start(part) for part in parts(host, found, token)]
        processes.wait_until_ready(*children, on_ready=lambda child: typer.echo(f"{child.part.name} is ready after {time.monotonic() - began:.1f} s", err=True))
        console = f"http://{_bracketed(_reached(host))}:{found['--port-api']}/ui"
        typer.echo(f"the console is at {console}")
        if open_page and not shown_in_a_browser(console):
            typer.echo("no browser could be started from here; open that address in one", err=True)
        render.table("", ("part", "address", "process"), [(child.part.name, child.part.url or None, child.process.pid) for child in children])
        typer.echo(f"logs are in {home() / 'logs'}\nCtrl-C stops all of them")
        try:
            processes.watch()
        except KeyboardInterrupt:
            typer.echo("stopping; requests in flight may finish")
            raise


def parts(host: str, ports: dict[str, int], token: str | None) -> Iterator[Part]:
    """What belongs together, in the order of starting. Prepares their databases, which they would otherwise make at the same moment."""
    from finml_ledger import Ledger
    from finml_pipelines import instance

    Ledger.open().close()
    dagster_home = instance.prepare()
    workspace = ["-w", str(instance.workspace())]
    urls = {option: f"http://{LOOPBACK}:{port}" for option, port in ports.items()}
    # A token is no business of parts that do not ask for it.
    common = {
        "FINML_HOME": str(home()),
        "DAGSTER_HOME": str(dagster_home),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        SECRETS: "",
    }
    dagster, gateway, api = (ports[option] for option in ("--port-dagster", "--port-gateway", "--port-api"))
    webserver = ["-m", "dagster_webserver", "-h", LOOPBACK, "-p", str(dagster), *workspace]
    yield Part(
        name="webserver", command=[sys.executable, *webserver], url=urls["--port-dagster"], port=dagster, environment=common, ready=_answers("/server_info")
    )
    yield Part(
        name="daemon",
        command=[sys.executable, "-m", "dagster._daemon", "run", *workspace],
        environment=common,
        ready=lambda child: heart_beats(urls["--port-dagster"], child.began),
    )
    yield Part(
        name="gateway",
        command=[sys.executable, "-m", "bento.gateway", "--port", str(gateway)],
        url=urls["--port-gateway"],
        port=gateway,
        environment=common,
        ready=_answers("/readyz"),
    )
    yield Part(
        name="api",
        command=[sys.executable, "-m", "finml_console"],
        url=f"http://{_bracketed(host)}:{api}",
        port=api,
        environment=common
        | {"FINML_HOST": host, "FINML_PORT": str(api), "FINML_GATEWAY_URL": urls["--port-gateway"], "FINML_DAGSTER_URL": urls["--port-dagster"]}
        | ({SECRETS: token} if token else {}),
        ready=_answers("/v1/readiness", _reached(host)),
    )


def heart_beats(webserver: str, since: float) -> bool:
    """Whether every daemon that the instance needs has said so since a moment (seconds since 1970): an older word is of an earlier daemon."""
    import httpx

    answer = httpx.post(f"{webserver}/graphql", json={"query": HEARTBEATS}, **DIRECT).raise_for_status().json()
    statuses = [status for status in answer["data"]["instance"]["daemonHealth"]["allDaemonStatuses"] if status["required"]]
    return bool(statuses) and all(status["healthy"] and (status["lastHeartbeatTime"] or 0) >= since for status in statuses)


def shown_in_a_browser(address: str) -> bool:
    """Open a page in a browser that has windows; false where there is none, or nobody at a terminal who would see it."""
    windows = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    if not (windows and sys.stdout.isatty()):
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    # Some return only when they are closed, and the parts have to be watched meanwhile.
    threading.Thread(target=browser.open, args=(address,), daemon=True).start()
    return True


def _answers(path: str, host: str | None = None) -> Callable[[Child], bool]:
    def ready(child: Child) -> bool:
        import httpx

        url = child.part.url if host is None else f"http://{_bracketed(host)}:{child.part.port}"
        return httpx.get(url + path, **DIRECT).status_code == httpx.codes.OK

    return ready


def _reached(host: str) -> str:
    """Where this machine reaches a server that listens on a host."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - an address to be replaced, not to bind


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
