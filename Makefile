# Everything a person needs: `make demo`, `make test`. Everything CI needs: `make check`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CONSTRAINTS := constraints.txt
# llama.cpp's vision parts double the build and are not used.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test torture conformance check format lint types contracts layout bench mcpb clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## install, and play a session: an agent that remembers across restarts
	$(BIN)/python examples/demo.py

test: $(STAMP) ## install, and run all tests
	$(BIN)/python -m pytest -q

torture: $(STAMP) ## hosts write while their owner is killed, 200 come and go, 1,000 calls and turns, no leak
	MNEMON_TORTURE=1 $(BIN)/python -m pytest -q -o faulthandler_timeout=1800 \
		tests/end_to_end/test_many_hosts.py \
		tests/end_to_end/test_hosts_that_come_and_go.py tests/agent/models/test_whole_calls.py \
		tests/agent/models/test_llama_leaks.py tests/end_to_end/test_runs_that_last.py

conformance: export CONFORMANCE_REQUIRED = 1
conformance: $(STAMP) ## the official conformance suite and Inspector, from npm into .node/
	$(BIN)/python -m pytest -q tests/conformance

# The tests have the conformance suite among them; here it may not be skipped.
check: export CONFORMANCE_REQUIRED = 1
check: format lint types contracts layout test ## what CI runs

format: $(STAMP) ## is everything formatted?
	$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; exit 1; }

lint: $(STAMP)
	$(BIN)/ruff check --quiet .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP) ## do the packages depend downwards only?
	$(BIN)/lint-imports

layout: $(STAMP) ## sizes of files and functions, and what a folder may hold
	$(BIN)/python scripts/check_layout.py

bench: $(STAMP) ## all benchmarks, and docs/benchmarks.md; FULL=1: large ones; LOCOMO=PATH: its data
	$(BIN)/python -m benchmarks $(if $(FULL),--full) $(if $(LOCOMO),--locomo "$(LOCOMO)")

mcpb: ## dist/mnemon-VERSION.mcpb, a bundle for Claude Desktop; needs npm
	$(PYTHON) -m scripts.build_mcpb

clean: ## remove what make installed
	rm -rf $(VENV) .node .bench

$(STAMP): pyproject.toml $(CONSTRAINTS) scripts/install.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" CONSTRAINTS="$(CONSTRAINTS)" sh scripts/install.sh
	@touch $@
