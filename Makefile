# Everything runs in .venv, which make builds on demand: python3 and make are all that has to be there first.
#   make demo                        set up, then fit the example table
#   make test ARGS="-k lambda -x"    pass arguments on to pytest
#   make PYTHON=python3.13 test      name the Python to use

PYTHON ?= python3
ARGS ?=
UPGRADE ?=
COUNT ?= 100000

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/uv pip install --quiet --python $(BIN)/python
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header $(UPGRADE)

# One thread per test worker: idle BLAS threads spin, and cost more than they bring on small matrices.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 VECLIB_MAXIMUM_THREADS=1
# Kernels that can be forced anywhere, beside the processor's own: SkylakeX, the fourth, is that wherever there is AVX-512.
# Forcing Haswell or Zen on a newer Zen crashes OpenBLAS.
KERNELS := Nehalem Sandybridge Prescott
OF := numerics and not slow
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -n auto --no-loadscope-reorder
TESTS := $(PYTEST) -p no:nbmake

# Of all but the libraries' own tests, and libraries of which little or nothing is imported; some hold files that are no
# Python.
BYTE_CODE := $(BIN)/python -m compileall -qq -j 0 -x '/site-packages/(jax|jaxlib|keras|sqlalchemy|pip|playwright|debugpy|mypy|mypyc|fontTools|wcwidth|optax|jedi|.*/tests)/' $(VENV)/lib bayesridge models data || true

# Without byte-code every start of Python compiles its libraries again; an empty value means "do write it".
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-fast test-kernels study fuzz test-notebooks lint format types bench bench-scale bench-mcmc bench-mixed docs pictures notebooks wheel data requirements clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## fit the diabetes table from the command line
	$(BIN)/bayesridge fit data/diabetes.csv --target progression

test: $(VENV)/.dev ## run the tests (all but those marked slow)
	$(TESTS) $(ARGS)

test-fast: $(VENV)/.dev ## run the numerics, under a minute: what one runs while working
	$(TESTS) -m "numerics and not slow" $(ARGS)

test-kernels: $(KERNELS:%=on-%) ## run them under the BLAS kernels of other processors (-j: at once); OF="not slow": all tests

on-%: $(VENV)/.dev
	@mkdir -p build
	@OPENBLAS_CORETYPE=$* $(ONE_THREAD) $(BIN)/python -m pytest -p no:nbmake -q -m "$(OF)" $(ARGS) > build/on-$*.log 2>&1 \
	  || { cat build/on-$*.log; exit 1; }
	@echo "$*: $$(tail -n 1 build/on-$*.log)"

study: $(VENV)/.dev ## run the long studies (marked slow) and record what took how long in build/study.xml
	mkdir -p build
	$(TESTS) -m slow --durations=0 --junit-xml=build/study.xml $(ARGS)
	$(ONE_THREAD) $(BIN)/python -m benchmarks.inverse > build/inverse.md
	$(ONE_THREAD) $(BIN)/python -m benchmarks.runge > build/runge.md

fuzz: $(VENV)/.dev ## fuzz 100,000 inputs, or COUNT of them; ARGS="--seed 2 --only 17" repeats one
	$(ONE_THREAD) $(BIN)/python -m tests.fuzz.run --count $(COUNT) $(ARGS)

test-notebooks: $(VENV)/.dev ## run the notebooks from top to bottom; each ends in assertions
	$(PYTEST) --nbmake --nbmake-timeout=600 notebooks $(ARGS)

lint: $(VENV)/.dev ## check style and format with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## apply ruff's safe fixes and its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## check types with mypy --strict
	$(BIN)/mypy

bench: $(VENV)/.dev ## measure speed
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-scale: $(VENV)/.dev ## measure files, sparse and wide tables, many targets: time, memory, slopes
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-mcmc: $(VENV)/.dev ## measure effective draws per second: exact, NUTS, collapsed NUTS (some minutes)
	$(BIN)/python -m benchmarks.mcmc $(ARGS)

bench-mixed: $(VENV)/.dev ## measure level effects beside GPBoost, statsmodels and PyMC (fetches the first two)
	test -x build/peers/bin/python || { $(BIN)/uv venv --quiet build/peers && \
	  $(BIN)/uv pip install --quiet --python build/peers gpboost==1.8.0 statsmodels==0.15.0; }
	$(ONE_THREAD) $(BIN)/python -m benchmarks.mixed_speed --peers build/peers/bin/python $(ARGS)

docs: $(VENV)/.dev ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html

pictures: $(VENV)/.dev ## draw the documentation's pictures again (the report's need chromium)
	PYTHONPATH=. $(BIN)/python docs/make_start_picture.py
	PYTHONPATH=. $(BIN)/python docs/make_gallery.py
	PYTHONPATH=. $(BIN)/python docs/make_report_pictures.py

notebooks: $(VENV)/.dev ## run the notebooks and write them with their outputs
	$(BIN)/python notebooks/run.py $(ARGS)

wheel: $(VENV)/.dev ## build sdist and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

data: $(VENV)/.dev ## write the example tables again
	$(BIN)/python -m bayesridge.data.make_tables
	$(BIN)/python -m bayesridge.data.make_sensor

requirements: $(VENV)/.bootstrap ## compile the pins again (UPGRADE=--upgrade for newer versions)
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt

clean: ## remove .venv, builds and caches
	rm -rf $(VENV) dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up -------------------------------------------------------------------------------------------------------
# Each stamp is written last, so that a set-up that was cut short is done again.

$(VENV)/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || { \
	  echo "bayesridge needs Python 3.12 or newer, but '$(PYTHON)' is:" \
	       "$$($(PYTHON) --version 2>&1 | head -n 1). Install a newer one, or name it: make PYTHON=python3.13 TARGET" >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/.bootstrap requirements/runtime.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/runtime.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(BYTE_CODE)
	@touch $@

$(VENV)/.dev: $(VENV)/.bootstrap requirements/dev.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(BYTE_CODE)
	@touch $@ $(VENV)/.runtime
