# Each target does all that it needs, from a fresh clone. Another Python: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint docs bench clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: .venv/installed ## Simulate a world, train on it, translate text to regions; writes demo/
	$(BIN)/genoglot demo -o demo

test: .venv/installed ## Run the tests; coverage below 90 % fails
	$(BIN)/pytest --cov --cov-report=term

test-all: .venv/installed ## Run the tests, the slow ones too
	$(BIN)/pytest --cov --cov-report=term -m "slow or not slow"

lint: .venv/installed ## Check style, types, the floors and the docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/mkdocs build --strict --quiet

docs: .venv/installed ## Show the docs at http://127.0.0.1:8000, renewed as they are edited
	$(BIN)/mkdocs serve --strict

bench: .venv/bench ## Measure speed and memory beside peers
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean: ## Remove what make made, the virtual environment too
	rm -rf .venv site demo .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
	    .hypothesis .import_linter_cache

.venv/installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) can make no virtual environment: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(INSTALL) -e ".[dev]"
	@touch $@

.venv/bench: .venv/installed
	$(INSTALL) -e ".[bench]"
	@touch $@
