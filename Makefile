# Everything is run from .venv, which each target makes if it is not there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Of `make chaos` and `make receipts`: the same seed gives the same run; POLICY is hold, resend or both
SEED     ?= 1
MESSAGES ?= 20000
SECONDS  ?= 240
POLICY   ?= both
# Of `make bench`: further arguments, such as --quick
BENCH    ?=

.DEFAULT_GOAL := help
.PHONY: help demo test chaos receipts bench lint format clean

help:  ## show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sendline needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@echo 'Installing into $(VENV), which takes a minute or two'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed  ## send 1,001 messages through the whole of Sendline on this machine
	@$(BIN)/sendline demo

# Three at a time, for many tests wait; and what hundreds of processes import is compiled once
test: $(VENV)/.installed  ## run the whole suite: units, properties, real processes
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

chaos: $(VENV)/.installed  ## send 20,000 messages under random faults, twice; SEED= MESSAGES= SECONDS= POLICY=
	@PYTHONPATH=tests $(BIN)/python -m chaos --seed $(SEED) --messages $(MESSAGES) --seconds $(SECONDS) --policy $(POLICY)

receipts: $(VENV)/.installed  ## send 20,000 messages whose receipts come late, twice, astray, forged; SEED= MESSAGES=
	@PYTHONPATH=tests $(BIN)/python -m reported --seed $(SEED) --messages $(MESSAGES)

bench: $(VENV)/.installed  ## compare with a plain Celery program and a bare client, 12 to 18 minutes; BENCH="--quick --json"
	@PYTHONPATH=benchmarks $(BIN)/python -m comparison $(BENCH)

lint: $(VENV)/.installed  ## ruff, mypy, pyright and the import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.installed  ## let ruff format the code and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove .venv and what the tools cached
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
