# Each target does all that it needs, from a fresh clone.
# With another Python: make test PYTHON=python3.12. With the newest versions: make test CONSTRAINTS=

PYTHON ?= python3
CONSTRAINTS ?= -c constraints.txt
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(CONSTRAINTS)
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint style docs site bench clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: .venv/installed ## Install into .venv, with the pinned versions

demo: .venv/installed ## Simulate a world, train on it, translate text to regions; writes demo/
	$(BIN)/genoglot demo -o demo

test: .venv/dev ## Run the tests; coverage below 90 % fails
	$(BIN)/pytest --cov --cov-report=term

test-all: .venv/dev ## Run the tests, the slow ones too
	$(BIN)/pytest --cov --cov-report=term -m "slow or not slow"

lint: .venv/dev ## Check code style, types, layers of imports, docs and words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/mkdocs build --strict
	$(BIN)/python docs/style.py

style: .venv/dev ## Check the spelling and the words of docs/style.md
	$(BIN)/codespell
	$(BIN)/python docs/style.py

docs: .venv/dev ## Serve the docs at http://127.0.0.1:8000 and rebuild them on every change
	$(BIN)/mkdocs serve --strict

site: .venv/dev ## Build the docs into site/
	$(BIN)/mkdocs build --strict

bench: .venv/bench ## Measure speed and memory, beside other tools
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

clean: ## Remove everything that make has written, .venv too
	rm -rf .venv site demo dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
	    .hypothesis .import_linter_cache

.venv/installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "$(PYTHON) can make no virtual environment: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(INSTALL) -e .
	@touch $@

.venv/dev: .venv/installed
	@command -v $${CXX:-g++} >/dev/null || \
	    { echo "MOODS is compiled, and g++ is missing: apt install g++ python3-dev" >&2; exit 1; }
	$(INSTALL) -e ".[dev]"
	@touch $@

.venv/bench: .venv/dev
	$(INSTALL) -e ".[bench]"
	@touch $@
