# `make` explains the targets; the texts stand behind `##` below.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that the project supports. Override with `make PY=/path/to/python install`.
PY ?= $(shell for p in python3.11 python3.12 python3 python; do \
	if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then echo $$p; break; fi; done)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PORT ?= 3400
# At most four processes: each one loads torch. Stolen tests leave a module's others where its fixtures are already made.
TESTFLAGS ?= -n auto --maxprocesses 4 --dist worksteal
export FINML_HOME ?= $(CURDIR)/.finml
export OMP_NUM_THREADS ?= 1
export BENTOML_DO_NOT_TRACK := True
export DAGSTER_DISABLE_TELEMETRY := yes

.PHONY: help install demo test test-slow lint types check ui screenshots leaderboards bench-training bench-serving bench-environments placebo quality size-and-power clean

help: ## explain the targets
	@echo "finml: make <target>"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  %-16s %s\n' "$$name" "$$text"; done

install: $(STAMP) ## create .venv with everything pinned by constraints.txt (once)

$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PY)" ]; then \
		echo "error: no Python 3.11 or 3.12 on the PATH; install one, or name it: make PY=/path/to/python3.11 install" >&2; exit 1; fi
	@echo "creating $(VENV) with $$($(PY) --version)"
	@$(PY) -m venv $(VENV) || { echo "error: $(PY) cannot create a virtual environment; on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]" \
		|| { echo "error: pip could not install; read its last lines above, then run make install again" >&2; exit 1; }
	@touch $@

demo: $(STAMP) ## raw data -> models -> verdicts -> a served prediction, in one command
	$(BIN)/python -m finml_cli.demo

test: $(STAMP) ## all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow" $(TESTFLAGS)

test-slow: $(STAMP) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP) ## mypy, strict, over the parts that must not be wrong
	$(BIN)/mypy

check: lint types test ## lint, types and test

ui: $(STAMP) ## the web console on 127.0.0.1:3400 in the browser, and all that it works with (PORT=..., ARGS="--port-dagster 0")
	$(BIN)/python -m finml_cli up --open --port-api $(PORT) $(ARGS)

screenshots: $(STAMP) ## docs/images/console-*.png of every page of the console (ARGS="--url http://127.0.0.1:3400" of a running finml up)
	$(BIN)/python -m benchmarks.screenshots $(ARGS)

leaderboards: $(STAMP) ## docs/leaderboards.md from the newest reports of the state folder (after finml run)
	$(BIN)/python -m benchmarks.leaderboards $(ARGS)

bench-training: $(STAMP) ## a training step beside the bare network's, and beside peers (ARGS="--peers PYTHON")
	$(BIN)/python -m benchmarks.training $(ARGS)

bench-serving: $(STAMP) ## a prediction over HTTP beside a bare server and peers (ARGS="--seconds 60 --peer PYTHON")
	$(BIN)/python -m benchmarks.serving $(ARGS)

bench-environments: $(STAMP) ## the environment of orders beside the learning in it
	$(BIN)/python -m benchmarks.environments

placebo: $(STAMP) ## no alpha in a random walk, and a planted signal found (about ten minutes on two cores)
	$(BIN)/python -m benchmarks.placebo

quality: $(STAMP) ## published and reached figures on public data, in docs/quality.md (hours; ARGS="--only graphs --seeds 3")
	$(BIN)/python -m benchmarks.quality --out docs/quality.md $(ARGS)

size-and-power: $(STAMP) ## size and power of every statistical test, by simulation (some six minutes)
	$(BIN)/python -m benchmarks.size_and_power

clean: ## remove .venv, caches and build output; .finml/ (your models and reports) stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
