# Each target sets up what it needs: `make demo` and `make test` are all a fresh machine takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export POFX_CACHE ?= $(CURDIR)/.cache/pofx
# A program from that cache has XLA print the processor's features as an error that is none.
export TF_CPP_MIN_LOG_LEVEL ?= 3

SHORT := --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1

.PHONY: demo test check docs format clean

demo: $(VENV)/.demo
	$(BIN)/pofx demo

# Compilation is most of what these take, so XLA optimises little: not at all for `test`, a little for `check`.
test: export XLA_FLAGS := $(SHORT) --xla_backend_optimization_level=0 $(XLA_FLAGS)
check: export XLA_FLAGS := $(SHORT) --xla_backend_optimization_level=1 $(XLA_FLAGS)
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

docs: $(VENV)/.dev
	$(BIN)/python benchmarks/page.py docs/benchmarks.md
	$(BIN)/mkdocs build --strict

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e ".[demo]"
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) .cache .ruff_cache .hypothesis demo dist
