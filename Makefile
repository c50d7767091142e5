# Needs make, git, a Python 3 and the package registry. The first target that needs Python packages installs
# them, all pinned by hash, into .venv/; nothing outside this folder changes but uv's download cache.

PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
BENCH_ARGS  ?=
LOCK_ARGS   ?=

UV        := .uv/uv
VENV      := .venv
PY        := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

# Trust the certificates that this system trusts, as pip does; where there are none, uv's own.
ifneq ($(wildcard /etc/ssl/cert.pem /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= 1
endif

.PHONY: help demo test check format verify bench bench-scale notebooks setup lock clean distclean
.DELETE_ON_ERROR:

help:
	@echo "make demo        fit the penguins and show what comes back"
	@echo "make test        check, then the tests        (PYTEST_ARGS=\"$(PYTEST_ARGS)\")"
	@echo "make check       ruff, mypy, import-linter"
	@echo "make format      let ruff format and fix"
	@echo "make verify      long statistical verification"
	@echo "make bench       benchmarks against peers     (BENCH_ARGS=)"
	@echo "make bench-scale 1e5 to 1e7 rows of a file    (BENCH_ARGS=)"
	@echo "make notebooks   execute the notebooks again and save them"
	@echo "make setup       only install into .venv"
	@echo "make lock        resolve requirements.lock again (LOCK_ARGS=--upgrade for newer versions)"
	@echo "make clean       remove caches and out/; make distclean: .venv, .uv and .bench too"

demo: $(INSTALLED)
	@$(VENV)/bin/bayes-softmax demo

test: check
	@echo "== compiling"
	@$(PY) -m tests.warm
	@echo "== pytest $(PYTEST_ARGS)"
	@$(PY) -m pytest $(PYTEST_ARGS)

check: $(INSTALLED)
	@echo "== ruff"
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@echo "== mypy --strict"
	@$(PY) -m mypy
	@echo "== import-linter"
	@$(VENV)/bin/lint-imports --no-logo

format: $(INSTALLED)
	@$(PY) -m ruff check --fix-only
	@$(PY) -m ruff format

verify: $(INSTALLED)
	@$(PY) -m pytest -m verify $(PYTEST_ARGS)

bench: $(INSTALLED) .bench/peers/.installed .bench/stan/.installed
	@$(PY) -m tests.benchmarks $(BENCH_ARGS)

bench-scale: $(INSTALLED) .bench/scale/.installed
	@$(PY) -m tests.benchmarks.scale $(BENCH_ARGS)

notebooks: $(INSTALLED)
	@$(PY) tests/run_notebooks.py

setup: $(INSTALLED)

# Everything but `peers`, which no test needs; hashes of every platform's files, no addresses.
lock: | $(UV)
	@echo "resolving requirements.lock ..."
	@$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.12 --generate-hashes --no-annotate \
	    --extra plots --extra sklearn --extra dask --extra notebooks --extra test --group build \
	    --custom-compile-command "make lock" --output-file requirements.lock $(LOCK_ARGS)

clean:
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist out
	@find . -path ./$(VENV) -prune -o -path ./.uv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV) .uv .bench

# The package itself is editable, so this runs again only when what it depends on has changed.
$(INSTALLED): requirements.lock pyproject.toml $(VENV)/pyvenv.cfg | $(UV)
	@echo "installing $$(grep -c '^[a-z].*==' requirements.lock) pinned packages into $(VENV) ..."
	@$(UV) pip sync --quiet --compile-bytecode --python $(PY) --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@touch $@

# The Python of .python-version, else any that the lock covers, else one that uv fetches. Looked for here and not
# by uv, which stops at a pyenv shim whose version is not installed.
SUITABLE := import sys; v = sys.version_info; print("Python %d.%d.%d at" % v[:3], sys.executable); \
    sys.exit(not ((3, 12) <= v < (3, 15) and getattr(sys, "_is_gil_enabled", lambda: True)()))
$(VENV)/pyvenv.cfg: .python-version | $(UV)
	@rm -rf $(VENV); \
	wanted=$$(cat .python-version); pyenv=$${PYENV_ROOT:-$$(pyenv root 2>/dev/null || echo "$$HOME/.pyenv")}/versions; \
	for python in python$$wanted "$$pyenv/$$wanted".*/bin/python \
	    "$$($(UV) python find --managed-python --no-python-downloads $$wanted 2>/dev/null)" \
	    python3.12 python3.14 python3 /usr/bin/python3 "$$pyenv"/3.1[24].*/bin/python; do \
	    found=$$("$$python" -c '$(SUITABLE)' 2>/dev/null) || continue; \
	    echo "making $(VENV) with $$found ..."; \
	    $(UV) venv --quiet --python "$${found#* at }" $(VENV) && break; \
	done; \
	[ -f $@ ] || { echo "no Python 3.12 to 3.14 here: fetching Python $$wanted ..."; \
	    $(UV) venv --quiet --managed-python --python "$$wanted" $(VENV); } || { \
	    echo "error: this needs Python 3.12, 3.13 or 3.14; install one and run make again" >&2; exit 1; }
	@touch $@

# Environments of the peers in `make bench`. One that cannot be made is left out, with the reason in its log: the
# tables then say so, and the next `make bench` tries again.
.bench/peers/.installed: requirements.lock pyproject.toml $(VENV)/pyvenv.cfg | $(UV)
	@echo "installing Bambi and NumPyro into .bench/peers ..."; mkdir -p .bench; \
	{ $(UV) venv --quiet --clear --python $(PY) .bench/peers && \
	$(UV) pip install --quiet --python .bench/peers/bin/python --constraint requirements.lock \
	    --requirements pyproject.toml --extra peers && touch $@; } >.bench/peers.log 2>&1 || \
	{ rm -rf .bench/peers; echo "not installed, see .bench/peers.log"; }

# Spark needs a Java 17 or later on PATH.
.bench/scale/.installed: | $(UV)
	@echo "installing Spark into .bench/scale ..."; mkdir -p .bench; \
	{ $(UV) venv --quiet --clear --python $(PY) .bench/scale && \
	$(UV) pip install --quiet --python .bench/scale/bin/python pyspark numpy && touch $@; } >.bench/scale.log 2>&1 || \
	{ rm -rf .bench/scale; echo "not installed, see .bench/scale.log"; }

# pystan needs Python 3.12, which uv does not find behind a pyenv shim whose version is not installed.
.bench/stan/.installed: | $(UV)
	@echo "installing Stan into .bench/stan ..."; mkdir -p .bench; \
	pyenv=$${PYENV_ROOT:-$$(pyenv root 2>/dev/null || echo "$$HOME/.pyenv")}/versions; \
	for python in python3.12 "$$pyenv"/3.12.*/bin/python 3.12; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null && break; \
	done; \
	{ $(UV) venv --quiet --clear --python "$$python" .bench/stan && \
	$(UV) pip install --quiet --python .bench/stan/bin/python --only-binary httpstan pystan numpy setuptools && \
	touch $@; } >.bench/stan.log 2>&1 || { rm -rf .bench/stan; echo "not installed, see .bench/stan.log"; }

# The uv on PATH, else one of our own: in a virtual environment, or where `venv` is missing in a bare folder.
$(UV):
	@mkdir -p .uv; \
	if uv --version >/dev/null 2>&1; then ln -sf "$$(command -v uv)" $@; exit 0; fi; \
	echo "no uv here: installing one into .uv/ ..."; \
	for python in python3 python /usr/bin/python3; do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue; \
	    if $$python -m venv --clear .uv/env && .uv/env/bin/python -m pip install --quiet --only-binary uv uv; \
	    then ln -sf env/bin/uv $@; exit 0; fi; \
	    if $$python -m pip install --quiet --only-binary uv --upgrade --target .uv/lib uv; \
	    then ln -sf lib/bin/uv $@; exit 0; fi; \
	done >.uv/log 2>&1; \
	cat .uv/log >&2; \
	echo "error: could not install uv; install it yourself (any way), or a Python 3 with venv or pip" >&2; exit 1
