# Every target sets up what it needs, from nothing: Python 3.11 or later and make are enough.

# The first interpreter on the path that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
# Test processes at a time.
WORKERS ?= 2

# Tests start some hundred Python processes: each would compile the library's sources anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_BENCH := $(VENV)/.ready-bench
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help explorer chromium tour test test-processes test-slow lint format types docs pictures bench clean

help:
	@echo "make tour       a few minutes from a fresh clone: the lesson, a fit, a million parameters (writes tour/)"
	@echo "make test       style, types and tests"
	@echo "make test-slow  the tests that take longer"
	@echo "make test-processes  training in 2 and 4 processes: the same run, and every way of going wrong"
	@echo "make docs       the documentation as a site in docs/_build/html"
	@echo "make bench      the tables under benchmarks/results, peers included"
	@echo "make explorer   the explorer's page, built from web/ (Node 20 or later)"
	@echo "make lint, types, format, pictures, clean"

# Runs once, and again when the dependencies change.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "steepest needs Python 3.11 or later on the path" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; a few minutes where the packages must be downloaded)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt --editable ".[dev]"
	@touch $@

$(READY_BENCH): $(READY)
	@$(PIP) install --constraint constraints.txt --editable ".[bench]"
	@touch $@

tour: $(READY)
	@$(BIN)/steepest tour --out tour

# Debian's browser, for the tests of the explorer; without one they are skipped, and say so.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && { apt-get update -qq; \
		apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || \
		echo "no Chromium, and it cannot be installed: the explorer is NOT tested in a browser" >&2; }

# Exact versions stand in web/package.json; no lock file, since that would name the registry it was made with.
explorer: $(READY)
	@command -v npm >/dev/null || { echo "building the page needs Node 20 or later" >&2; exit 1; }
	@$(BIN)/python web/generate.py
	@cd web && npm install --no-package-lock --no-audit --no-fund --loglevel=error && npm run --silent build -- --logLevel error

# Neighbours stay in one process as long as both have work: servers, browsers and compiled functions are made once.
test: lint types chromium
	@$(BIN)/python -m pytest --quiet --numprocesses $(WORKERS) --dist worksteal

test-processes: $(READY)
	@$(BIN)/python -m pytest --quiet -m "slow or not slow" tests/training/test_processes.py

test-slow: $(READY)
	@$(BIN)/python -m pytest --quiet -m slow

lint: $(READY)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet

format: $(READY)
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

types: $(READY)
	@$(BIN)/mypy --no-error-summary

docs: $(READY)
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

pictures: $(READY)
	@$(BIN)/python docs/pictures.py

bench: $(READY_BENCH)
	@for name in $$($(BIN)/python -m benchmarks --list); do $(BIN)/python -m benchmarks $$name --peers || exit 1; done

clean:
	@rm -rf $(VENV) build dist tour docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
