"""What a command started ends with it, also when it is asked to end rather than interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import subprocess, sys
from finml_cli.serve import termination_interrupts
with termination_interrupts():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        print(child.pid, flush=True)
        child.wait()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        child.terminate()
        child.wait()
"""


def test_a_terminated_command_stops_what_it_started() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True, env=environment)
    child = int(running.stdout.readline())
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=20)
    assert said.strip() == "stopping"
    assert running.returncode == 0
    assert not psutil.pid_exists(child)


BACKGROUND = """
import time
from finml_cli.run import _heed_signals
_heed_signals()
import dagster
from dagster._utils.interrupts import setup_interrupt_handlers
setup_interrupt_handlers()
print("running", flush=True)
time.sleep(60)
"""


def test_a_run_in_the_background_of_a_script_can_be_terminated() -> None:
    ignoring_interrupts = ["sh", "-c", 'trap \'\' INT; exec "$0" -c "$1"', sys.executable, BACKGROUND]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(ignoring_interrupts, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert running.stdout.readline().strip() == "running"
    running.send_signal(signal.SIGTERM)
    try:
        assert running.wait(timeout=20) != 0
    finally:
        running.kill()
