# Every target sets itself up: a virtual environment in .venv, installed from pyproject.toml.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test soak e2e check format proto bench clean

$(STAMP): pyproject.toml
	@echo "setting up $(VENV) (once; a minute or two)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP) ## three services stuck on each other, and what peeps says about them
	@$(BIN)/python examples/demo/run.py

# Most tests wait for real processes, so two files run at a time. On a shared machine those are late
# now and then: what fails must fail three times. Each rerun is named in the summary.
test: $(STAMP) ## everything but the soaks
	@$(BIN)/python -m pytest -m 'not soak' --reruns 2 -n 2 --dist loadfile

e2e: $(STAMP)
	@$(BIN)/python -m pytest tests/e2e -m 'not soak'

soak: $(STAMP) ## minutes of load and random kills
	@$(BIN)/python -m pytest -m soak

check: $(STAMP) ## lint, format, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

proto: $(STAMP) ## regenerate the observer feed's messages
	@$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=daemon/peepsd/feed/pb --pyi_out=daemon/peepsd/feed/pb proto/introspection.proto

bench: $(STAMP)
	@for b in bench/bench_*.py; do $(BIN)/python $$b || exit 1; done

clean:
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo
