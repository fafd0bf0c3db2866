# Every verb of the project. A bare `make` lists them.
# Needs make, Python >= 3.11 with venv, and the package registries; all else goes into the project's own folders.

PYTHON ?= python3
UV     := .tools/bin/uv
BIN    := .venv/bin
READY  := .venv/.ready
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test properties faults bench check mutation format seeds lock wheel clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## an accelerated market through every stage, checked against its own truth
	@$(BIN)/ticklake --home .demo demo

test: $(READY) ## the tests, with branch coverage
	@$(BIN)/pytest -n 2 --dist worksteal --cov -m "not deep" --ignore tests/faults

properties: $(READY) ## four times the examples of the properties, a million live trades, the tape sent twice
	@TICKLAKE_TEST_DEPTH=4 $(BIN)/pytest -n 2 --dist worksteal -m "prop or deep" --ignore tests/faults

faults: $(READY) ## kill and stall every stage, fill its disk: at each fault point and at random moments
	@$(BIN)/pytest -n 2 tests/faults --deselect tests/faults/test_collector_kills.py
	@$(BIN)/pytest tests/faults/test_collector_kills.py

bench: $(READY) ## how fast each stage is, beside a peer: writes bench/RESULTS.md (eight minutes, on a machine that rests)
	@$(BIN)/python -m bench --write

check: $(READY) ## what CI checks: format, lint, types, layers, SQL, names of the house
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint transform
	$(BIN)/python -m tests.house

mutation: $(READY) ## change the auditor's code and the seeds bit by bit, and see that a test notices
	@$(BIN)/python -m tests.mutation

format: $(READY) ## let the formatters write
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/sqlfluff fix transform

seeds: $(READY) ## write the calendar seed again from exchange_calendars
	$(BIN)/python -m tests.calendar_seed

lock: $(UV) ## resolve the dependencies again into requirements/
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --upgrade --group dev pyproject.toml -o requirements/dev.txt

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

clean: ## remove what the verbs made, the environment included
	rm -rf .venv .tools .demo .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage*

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ticklake needs Python >= 3.11, this is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

$(READY): $(UV) requirements/dev.txt pyproject.toml
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync -q --require-hashes --compile-bytecode --python $(BIN)/python requirements/dev.txt
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(READY)
