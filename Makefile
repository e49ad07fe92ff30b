# Qianshao: `make demo` and `make test` need Python 3.11 or 3.12 and nothing else. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Name an interpreter yourself with `make demo PYTHON=/path/to/python3.12`.
PYTHON ?=
OUT ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help demo test check pytest test-slow bench bench-detect kafka schemas dashboards wheel lock clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/.runtime ## the recorded smart-lock world through everything, then a live page (OUT=DIR keeps the files)
	@$(BIN)/qianshao demo $(if $(OUT),--out "$(OUT)")

test: check pytest ## everything that must hold before a change goes in

check: $(VENV)/.dev ## format, lint, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Three on two cores: some tests wait for a broker, a browser or a process that starts. Neighbours share what they stand
# on, and whoever is done takes from the others.
pytest: $(VENV)/.dev
	$(BIN)/pytest -n 3 --dist worksteal -m "not slow"

test-slow: $(VENV)/.dev ## the proofs that take longer than a minute
	$(BIN)/pytest -m slow

bench: $(VENV)/.runtime ## the project's own benchmark on fixed, seeded work
	$(BIN)/qianshao bench pipeline

bench-detect: $(VENV)/.runtime ## the detector bank beside EARS, Farrington and river on the same counts (DATA=FILE.npz: on other runs)
	@$(BIN)/python -m qianshao.app.bench_detect $(if $(DATA),--data "$(DATA)")

kafka: $(VENV)/.runtime ## a real broker by hand, from Maven artifacts, on 127.0.0.1:9092 (Java 17 and mvn; Ctrl-C stops it)
	@$(BIN)/python tests/broker/local_broker.py --port 9092 --topics

schemas: $(VENV)/.runtime ## write the JSON Schemas of every topic into docs/schemas again
	@$(BIN)/python -m qianshao.app.schemas

dashboards: $(VENV)/.runtime ## make dashboards/ again from the code
	$(BIN)/python -m sinks.dashboards

wheel: $(VENV)/.dev ## build dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation --outdir dist

# The three locks are one resolution: the runtime first, then the rest constrained by it.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

lock: $(VENV)/.dev ## resolve pyproject.toml again into the three lock files (UPGRADE=1 takes newer versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --output-file requirements.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --group pyproject.toml:build --constraint requirements.lock --output-file requirements-build.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev pyproject.toml --constraint requirements.lock --constraint requirements-build.lock --output-file requirements-dev.lock

clean: ## remove what make made
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment -------------------------------------------------------------------------------------------
# A stamp per stage: a second call costs nothing, a changed lock installs again. Every file is checked against its hash;
# the build tools come first, so that nothing unlocked is fetched behind the lock's back.

$(VENV)/bin/python:
	@set -e; found=; half=; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3 python); do \
	  "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1 || continue; \
	  if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$candidate; break; else half=$$candidate; fi; \
	done; \
	if [ -z "$$found" ] && [ -n "$$half" ]; then \
	  version=$$("$$half" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "make: $$half is Python $$version, but its 'venv' module is missing." >&2; \
	  echo "      Debian and Ubuntu: apt-get install python$$version-venv, then run make again." >&2; exit 1; \
	fi; \
	if [ -z "$$found" ]; then \
	  echo "make: Python 3.11 or 3.12 is needed; $(if $(PYTHON),$(PYTHON) is neither,neither python3.11 nor python3.12 nor a python3 of these versions is on the PATH)." >&2; \
	  echo "      Debian 12: apt-get install python3.11 python3.11-venv · Ubuntu 24.04: apt-get install python3.12 python3.12-venv" >&2; \
	  echo "      macOS: brew install python@3.12 · any: pyenv install 3.12, or give one with make PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	echo "[1/3] virtual environment in $(VENV) with $$("$$found" --version)"; \
	rm -rf $(VENV); "$$found" -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python requirements-build.lock requirements.lock pyproject.toml
	@echo "[2/3] packages of requirements.lock, each checked against its hash (380 MB and about a minute the first time)"
	@$(PIP) --require-hashes -r requirements-build.lock
	@$(PIP) --no-build-isolation --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "[3/3] packages of requirements-dev.lock for the tests"
	@$(PIP) --no-build-isolation --require-hashes -r requirements-dev.lock
	@touch $@
