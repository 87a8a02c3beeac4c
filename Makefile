# Every target makes .venv first where it is needed. A Python other than python3: make PYTHON=python3.12 ...
PYTHON ?= python3
VENV := .venv
BUF := $(VENV)/node/node_modules/.bin/buf
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: install demo test check bench soak proto format peers clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# What it takes to run.
$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

# What it takes to test and check, torch too.
$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable '.[dev,train]'
	touch $@

install: $(VENV)/.dev

demo: $(VENV)/.run
	$(VENV)/bin/chromogen demo --out demo-out

test: $(VENV)/.dev peers
	$(VENV)/bin/python -m pytest

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m tests.proto_drift

bench: $(VENV)/.dev
	$(VENV)/bin/python -m tests.benchmarks

soak: $(VENV)/.dev peers
	SOAK=1 $(VENV)/bin/python -m pytest tests/integration tests/e2e

format: $(VENV)/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

proto: $(VENV)/.dev
	$(VENV)/bin/python -m tests.proto_drift --write

# Programs of Debian and npm that tests talk to; where they can't be installed their tests are skipped and say so.
peers:
	@missing=""; for p in dciodvfy:dicom3tools dcmdump:dcmtk; do \
	  command -v $${p%%:*} >/dev/null || missing="$$missing $${p##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "not installed:$$missing; their tests are skipped (sudo apt-get install$$missing)"; fi; fi
	@test -x $(BUF) || { command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix $(VENV)/node @bufbuild/buf@1.75.0; } \
	  || echo "not installed: buf; its tests are skipped (npm)"

clean:
	rm -rf $(VENV) demo-out dist
