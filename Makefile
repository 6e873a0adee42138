.PHONY: train test test-all lint clean

PYTHON ?= python3
BIN := .venv/bin
# A process for each core, four at most: each imports torch.
PYTEST := $(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal

train: .venv/.installed  ## set up and train the synergy model on the sample
	$(BIN)/python scripts/train_gnn_synergy.py --json-input --force

test: lint  ## set up, check and run the quick tests
	$(PYTEST)

test-all: lint  ## the slow tests too
	$(PYTEST) -m "slow or not slow"

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

.venv/.installed: setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv models *.log build *.egg-info
