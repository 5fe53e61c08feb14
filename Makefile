# Every target sets up what it needs, from nothing: Python 3.11 or later and make are enough.

# The first interpreter on the path that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
# Test processes at a time.
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_BENCH := $(VENV)/.ready-bench
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help tour test test-slow lint format types docs pictures bench clean

help:
	@echo "make tour       a few minutes from a fresh clone: the lesson, a fit, a million parameters (writes tour/)"
	@echo "make test       style, types and tests"
	@echo "make test-slow  the tests that take longer"
	@echo "make docs       the documentation as a site in docs/_build/html"
	@echo "make bench      the tables under benchmarks/results, peers included"
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

test: lint types
	@$(BIN)/python -m pytest --quiet --numprocesses $(WORKERS)

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
