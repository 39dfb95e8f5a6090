"""The servers that are compared, each a process of its own on a free port of the loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from bento.gateway.serve import serve_gateway
from bento.package import build
from bento.process import free_port
from bento.requirements import ROOT
from bento.serve import serve

from .load import Question, answer
from .subject import TASK, Subject

READY_SECONDS = 90.0
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "BENTOML_DO_NOT_TRACK": "True"}
"""One thread for all: BentoML's and MLflow's own servers gain from it too."""


@contextmanager
def gateway(subject: Subject) -> Iterator[Question]:
    """Ours: raw bars in, the deployed version's forecast out, logged."""
    with serve_gateway() as running:
        yield asked(Question(running.process.pid, port_of(running.url), f"/predict/{TASK}", subject.bars))


@contextmanager
def service(subject: Subject, home: Path) -> Iterator[Question]:
    """Ours: one version as a bento, without routing and log."""
    with serve(build(subject.folder, home).tag, home=home) as running:
        yield asked(Question(running.process.pid, port_of(running.url), "/predict", subject.bars))


@contextmanager
def raw(subject: Subject) -> Iterator[Question]:
    """The floor."""
    port = free_port("127.0.0.1", 0)
    with child([sys.executable, "-m", "benchmarks.serving.raw", str(subject.network), str(port)]) as pid:
        yield asked(Question(pid, port, "/predict", subject.window))


@contextmanager
def default(subject: Subject, folder: Path) -> Iterator[Question]:
    """BentoML's default."""
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.serving.default:Default", "--host", "127.0.0.1", "--port", str(port)]
    with child(command, FINML_BENCHMARK_ARTIFACT=str(subject.folder), BENTOML_HOME=str(folder)) as pid:
        yield asked(Question(pid, port, "/predict", subject.window))


@contextmanager
def mlflow(subject: Subject, folder: Path, interpreter: str) -> Iterator[Question]:
    """MLflow's, by an interpreter that has it."""
    port = free_port("127.0.0.1", 0)
    script = Path(__file__).with_name("mlflow_server.py")
    # Its child is started by name from the interpreter's own folder.
    path = f"{Path(interpreter).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with child([interpreter, str(script), str(subject.network), str(folder), str(port)], PATH=path) as pid:
        yield asked(Question(pid, port, "/invocations", subject.window.replace(b'{"window": ', b'{"instances": [')[:-1] + b"]}"))


@contextmanager
def catalogue() -> Iterator[Question | None]:
    """The REST API's list of models; None where it is not installed."""
    if find_spec("finml_console") is None or find_spec("finml_console.app") is None:
        yield None
        return
    port = free_port("127.0.0.1", 0)
    with child([sys.executable, "-m", "finml_console"], FINML_PORT=str(port)) as pid:
        yield asked(Question(pid, port, "/models/list"))


@contextmanager
def constant() -> Iterator[Question]:
    """A FastAPI route that answers one constant of a few bytes."""
    port = free_port("127.0.0.1", 0)
    with child([sys.executable, "-m", "benchmarks.serving.constant", str(port)]) as pid:
        yield asked(Question(pid, port, "/constant"))


@contextmanager
def child(command: list[str], **environment: str) -> Iterator[int]:
    """A process that ends with the block, and everything that it started."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def asked(question: Question) -> Question:
    """The question, once it has an answer. Raises `RuntimeError` for one that does not come."""
    until, problem = time.monotonic() + READY_SECONDS, "nobody listens"
    while time.monotonic() < until:
        try:
            answer(question)
        except (OSError, EOFError, RuntimeError) as error:
            problem = str(error)
            time.sleep(0.2)
        else:
            return question
    raise RuntimeError(f"{question.path} on port {question.port} did not answer within {READY_SECONDS:g} s: {problem}")


def port_of(url: str) -> int:
    """The port of an address."""
    return int(url.rsplit(":", 1)[1])
