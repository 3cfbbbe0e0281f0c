# Needs make (3.81 or newer) and Python 3.11 or newer; every target installs the rest into .venv by itself.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run up test lint chaos fuzz bench deploy-check openapi constraints clean
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
RUNTIME := $(VENV)/.with-runtime
DEV := $(VENV)/.with-dev
PEERS := build/peers

help: ## this text
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "make run   takes DIR=folder, CONFIG=cfg-PARSE_FAST (or a JSON file of parameters), OUT=folder"
	@echo "make up    takes PORT=8000"
	@echo "make test  takes ARGS='-k name', PROCESSES=3 (0: one, and in this process)"
	@echo "make chaos takes SEEDS='1 2 3'"
	@echo "make fuzz  takes SEEDS='1 2 3', EXAMPLES=50 (requests an operation, about)"
	@echo "make bench takes BENCH='a b' (figures; default: all but long), QUICK=1 (five minutes instead of forty)"
	@echo "all take PYTHON=/path/to/python for the first install; more commands: $(BIN)/batchmill --help"

run: $(RUNTIME) ## process every file of DIR (default: the samples) and save the results in OUT
	@exec $(BIN)/batchmill run $${CONFIG:+--config "$$CONFIG"} $${OUT:+--out "$$OUT"} $${DIR:+-- "$$DIR"}

up: $(RUNTIME) ## run the whole stack in the foreground until Ctrl-C
	@exec $(BIN)/batchmill up $${PORT:+--port "$$PORT"}

test: $(DEV) ## run the whole test suite
	@exec $(BIN)/pytest --numprocesses $${PROCESSES:-3} --dist loadfile $(ARGS)

lint: $(DEV) ## check format, style, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(DEV) ## let faults strike a live stack, as SEEDS draw them; the report is build/chaos.json
	@SEEDS="$${SEEDS:-1 2 3}" $(BIN)/python -m tests.chaos

fuzz: $(DEV) ## ask a live stack what its OpenAPI document allows and forbids; the report is build/fuzz.json
	@SEEDS="$${SEEDS:-1}" $(BIN)/python -m tests.fuzz

bench: $(DEV) $(PEERS)/.made ## measure this project beside its peers; build/bench.json, docs/benchmarks.md
	@exec $(BIN)/python -m tests.bench $${QUICK:+--quick} --write-docs $${BENCH}

deploy-check: $(DEV) ## do what the Dockerfiles and compose.yaml say in scratch folders, without Docker
	$(BIN)/python -m tests.deploy.images $${IMAGE_PYTHON:+--python "$$IMAGE_PYTHON"}

openapi: $(DEV) ## write docs/openapi.json, what the API says of itself
	@exec $(BIN)/python -m services.api.write_openapi docs/openapi.json

constraints: $(VENV)/.made ## pin the newest versions that pyproject.toml allows in constraints.txt
	@echo "resolving in build/constraints"
	@rm -rf build/constraints && mkdir -p build
	@$(BIN)/python -m venv build/constraints
	@build/constraints/bin/python -m pip --disable-pip-version-check -qq install '.[dev]'
	@grep '^#' constraints.txt > build/constraints.txt
	@build/constraints/bin/python -m pip --disable-pip-version-check freeze --exclude batchmill \
		>> build/constraints.txt
	@mv build/constraints.txt constraints.txt
	@rm -rf build/constraints
	@git --no-pager diff --stat -- constraints.txt 2>/dev/null || true

clean: ## remove .venv, caches and build output; data (.batchmill) and results (out) stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	rm -rf tests/sdk/ts/node_modules tests/sdk/ts/build
	find services shared tests alembic deploy -name __pycache__ -type d -prune -exec rm -rf {} +

# What people would use instead has an environment of its own.
$(PEERS)/.made: $(VENV)/.made tests/bench/peers/requirements.txt tests/bench/peers/constraints.txt
	@echo "installing the peers into $(PEERS)"
	@mkdir -p build
	@test -x $(PEERS)/bin/python || $(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check -qq install \
		-r tests/bench/peers/requirements.txt -c tests/bench/peers/constraints.txt
	@touch $@

$(VENV)/.made:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "making $(VENV) with $$python"; \
			"$$python" -m venv $(VENV) && touch $@; exit; \
		fi; \
		if [ -n "$(PYTHON)" ]; then \
			echo "PYTHON=$(PYTHON) is not Python 3.11 or newer." >&2; exit 1; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed, and none was found. Install one, or name it: make PYTHON=/path" >&2; \
	exit 1

$(RUNTIME): $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing into $(VENV); the first time takes a minute or two"
	@$(PIP) install -e '.[api,worker,local]' -c constraints.txt
	@touch $@

$(DEV): $(VENV)/.made pyproject.toml constraints.txt
	@echo "installing into $(VENV), with the tools for development"
	@$(PIP) install -e '.[dev]' -c constraints.txt
	@touch $(RUNTIME) $@
