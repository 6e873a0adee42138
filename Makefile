.PHONY: train test test-all test-home-assistant lint clean

PYTHON ?= python3
BIN := .venv/bin
# A process more than cores, for some tests wait; four at most, for each imports torch.
PYTEST := PYTEST_XDIST_AUTO_NUM_WORKERS=$$(($$(getconf _NPROCESSORS_ONLN) + 1)) $(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal

train: .venv/.installed  ## set up and train the synergy model on the sample
	$(BIN)/python scripts/train_gnn_synergy.py --json-input --force

test: lint  ## set up, check and run the quick tests
	$(PYTEST)

test-all: lint  ## the slow tests too
	$(PYTEST) -m "not home_assistant"

# Home Assistant 2026.11 needs Python 3.14; 2024.3.3 is the last that runs on 3.11.
HOME_ASSISTANT_VENV ?= .venv-home-assistant
test-home-assistant: .venv/.installed  ## set Home Assistant itself up, and read it by folder and over its API
	test -x $(HOME_ASSISTANT_VENV)/bin/hass || \
	if python3.14 -c '' 2>/dev/null; \
	then python3.14 -m venv $(HOME_ASSISTANT_VENV) && \
		$(HOME_ASSISTANT_VENV)/bin/python -m pip install --quiet homeassistant==2026.11.0; \
	else $(PYTHON) -m venv $(HOME_ASSISTANT_VENV) && \
		$(HOME_ASSISTANT_VENV)/bin/python -m pip install --quiet homeassistant==2024.3.3 'josepy<2'; \
	fi
	HOME_ASSISTANT_VENV=$(abspath $(HOME_ASSISTANT_VENV)) $(BIN)/pytest -q -m home_assistant

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
	rm -rf .venv .venv-home-assistant models *.log build *.egg-info
