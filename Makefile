# Every target makes .venv first where it is needed, by the first Python that fits; another one: make PYTHON=python3.12 ...
FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(FITS)' 2>/dev/null && echo $$p && break; done)
VENV := .venv
SIDE_BY_SIDE := 2
BUF := $(VENV)/node/node_modules/.bin/buf
NODE_PEERS := @bufbuild/buf@1.75.0 axe-core@4.14.1 oidc-provider@9.13.3 dicom-microscopy-viewer@0.48.24
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
HASHED := $(VENV)/bin/uv pip compile --quiet --constraint constraints.txt --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-emit-index-url --custom-compile-command "make requirements"

.PHONY: install demo test check bench soak golden proto requirements pictures format peers clean

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "chromogen needs Python 3.11, 3.12 or 3.13 with venv: install one of them," \
	  "or name it: make PYTHON=/usr/local/bin/python3.13"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What it takes to run.
$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[formats]'
	touch $@

# What it takes to test and check, torch too.
$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable '.[dev,train,formats]'
	touch $@

install: $(VENV)/.dev

demo: $(VENV)/.run
	$(VENV)/bin/chromogen demo --out demo-out

# A file's tests run one after another, two files side by side.
test: $(VENV)/.dev peers
	$(VENV)/bin/python -m pytest -n $(SIDE_BY_SIDE) --dist loadfile

check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/python -m tests.proto_drift

bench: $(VENV)/.dev
	$(VENV)/bin/python -m tests.benchmarks

soak: $(VENV)/.dev peers
	SOAK=1 $(VENV)/bin/python -m pytest tests/integration tests/e2e tests/fuzz

# What changes a golden answer on purpose writes them anew, and says why in its commit.
golden: $(VENV)/.dev
	$(VENV)/bin/python -m tests.golden.make

# Needs Graphviz.
pictures: $(VENV)/.dev
	$(VENV)/bin/python -m tests.architecture_picture

format: $(VENV)/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

proto: $(VENV)/.dev
	$(VENV)/bin/python -m tests.proto_drift --write

# The digests of what the container image installs, after constraints.txt has changed.
requirements: $(VENV)/.dev
	$(PIP) uv==0.13.9
	$(HASHED) pyproject.toml --extra formats --output-file deploy/requirements.txt
	echo hatchling | $(HASHED) - --output-file deploy/requirements-build.txt

# Programs of Debian and npm that tests talk to; where they can't be installed their tests are skipped and say so.
peers:
	@missing=""; for p in dciodvfy:dicom3tools dcmdump:dcmtk chromium:chromium Orthanc:orthanc \
	    /usr/share/orthanc/plugins/libOrthancDicomWeb.so:orthanc-dicomweb; do \
	  command -v $${p%%:*} >/dev/null || missing="$$missing $${p##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else echo "not installed:$$missing; their tests are skipped (sudo apt-get install$$missing)"; fi; fi
	@test -x $(BUF) -a -d $(VENV)/node/node_modules/oidc-provider -a -d $(VENV)/node/node_modules/dicom-microscopy-viewer || { command -v npm >/dev/null \
	  && npm install --silent --no-audit --no-fund --prefix $(VENV)/node $(NODE_PEERS); } \
	  || echo "not installed: buf, axe-core, oidc-provider, dicom-microscopy-viewer; their tests are skipped (npm)"

clean:
	rm -rf $(VENV) demo-out dist
