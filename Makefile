# The two commands of the README: `make demo` and `make test`. Each sets up all that it needs. While working:
# `make quick`, and with another interpreter `make pure PYTHON=python3.13 VENV=.venv-3.13`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# one more than there are processors: much of what the tests do is to wait for processes and lines
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PURE := tests/telemetry tests/metering tests/anomaly
NODE_READY := tests/timescale/node_modules/.ready tests/browser/node_modules/.ready

.PHONY: demo test quick pure check setup screenshot screenshots lock clean

demo: $(READY)
	@$(BIN)/hesper demo

test: check $(NODE_READY)
	@scripts/doctor test
	@$(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(PYTEST_ARGS)

quick: check pure

pure: $(READY)
	@$(BIN)/pytest -q -n auto --dist worksteal $(PURE) $(PYTEST_ARGS)

check: $(READY)
	@echo "== ruff, mypy, import-linter, names"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/python scripts/names

setup: $(READY) $(NODE_READY)

screenshot: $(READY)
	@$(BIN)/python scripts/screenshot

screenshots: $(READY)
	@$(BIN)/python scripts/screenshot --all

lock:
	@scripts/lock

$(READY): requirements.lock pyproject.toml
	@PYTHON=$(PYTHON) scripts/doctor python
	@echo "== setting up $(VENV) from requirements.lock (about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e . $(if $(wildcard client/pyproject.toml),-e client)
	@touch $@

%/node_modules/.ready: %/package-lock.json
	@scripts/doctor node
	@echo "== installing the node packages of $*"
	@cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

clean:
	rm -rf $(VENV) tests/timescale/node_modules tests/browser/node_modules .mypy_cache .ruff_cache .pytest_cache
