# Two commands: `make demo` and `make test`. Each sets itself up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-crash check lock bench clean

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Countenance needs Python 3.11 or newer; say `make PYTHON=python3.12 …`")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/countenance models --prepare
	@touch $@

demo: $(READY)
	@$(BIN)/python -m countenance.demo $(if $(PHOTOS),--photos "$(PHOTOS)")

test: $(READY)
	$(BIN)/pytest

# Every fault point in every way, many more power cuts, every mutant.
test-crash: $(READY)
	COUNTENANCE_CRASH=all $(BIN)/pytest tests/crash

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 pyproject.toml --all-extras --group dev -o requirements/dev.txt

clean:
	rm -rf $(VENV)
