# make venv       kubexms in .venv, from the hashed locks: `. .venv/bin/activate` then
# make demo       the tour: plan, apply and drift on throwaway hosts
# make test       everything that runs in minutes; real hosts where this machine allows it
# make test-all   the same and the slow ones: each kind alone, clusters of real Kubernetes (compiled once, seven minutes)
# make e2e-cluster   the long tests of clusters: large ones, kills, power loss, expired certificates, upgrades; three hours
# make bench-cluster   the time of a cluster beside a shell script with kubeadm; six minutes
# make review     programs of others that the tests let read plans; part of make test
# make unit       only what needs no host, no root and no network
# make lint types architecture   the static gates
# make schemas    regenerate schemas/ and docs/reference from the models
# make lock       resolve the dependencies anew
PYTHON ?= python3
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
BENCH := .bench-venv
REVIEW := .review-venv
# In the order of directories: the long files of tests/e2e begin early, so that none is left alone at the end.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
PIP := -m pip --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --upgrade

.PHONY: help venv demo test test-all unit prepare prepare-cluster e2e-cluster lint format types architecture schemas bench bench-cluster review lock clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# make /make /p' Makefile

venv: $(STAMP)

# Hashes are checked, and the project itself is built without isolation: nothing outside the lock is fetched.
$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kubexms needs Python 3.11 or newer")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || \
			{ echo "python3-venv is missing: install it, or run make as root" >&2; exit 1; }; \
		echo "installing python3-venv"; apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python $(PIP) install --require-hashes -r requirements-dev.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

demo: $(STAMP)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

# What the tests on real hosts need from this machine; says so and goes on where it cannot be had.
prepare: $(STAMP)
	@bash tests/e2e/testbed/prepare.sh $(BIN)/python

# The same for clusters: Kubernetes is compiled from the distribution's source package, once.
prepare-cluster: prepare
	@bash tests/e2e/cluster/prepare.sh $(BIN)/python

test: prepare $(REVIEW)/.stamp
	@$(PYTEST) -m "not slow and not cluster"

test-all: prepare prepare-cluster $(REVIEW)/.stamp
	@$(PYTEST) -m "not cluster"

e2e-cluster: prepare-cluster
	@$(BIN)/python -m pytest -n 0 -m cluster --durations=0 tests/e2e/cluster

unit: $(STAMP)
	@$(PYTEST) -m "not e2e and not slow"

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(STAMP)
	@$(BIN)/mypy

architecture: $(STAMP)
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m pytest -q tests/architecture

schemas: $(STAMP)
	@$(BIN)/python -m kubexms.config.schemas
	@$(BIN)/python docs/generate.py

bench: prepare $(BENCH)/.stamp
	@PATH="$(CURDIR)/$(BIN):$(CURDIR)/$(BENCH)/bin:$$PATH" $(BIN)/python -m benchmarks

bench-cluster: prepare-cluster
	@$(BIN)/python -m benchmarks.cluster

# Readers of plans that are not kubexms; without them the tests that need them are skipped.
review: $(REVIEW)/.stamp

$(REVIEW)/.stamp: requirements-review.lock
	@echo "making $(REVIEW)"
	@$(PYTHON) -m venv --clear $(REVIEW)
	@$(REVIEW)/bin/python $(PIP) install --require-hashes -r requirements-review.lock
	@touch $@

$(BENCH)/.stamp: requirements-bench.lock
	@echo "making $(BENCH)"
	@$(PYTHON) -m venv --clear $(BENCH)
	@$(BENCH)/bin/python $(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@

lock: $(STAMP)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --extra dev pyproject.toml -o requirements-dev.lock
	$(COMPILE) --extra bench pyproject.toml -o requirements-bench.lock
	$(COMPILE) --extra review pyproject.toml -o requirements-review.lock

clean:
	rm -rf $(VENV) $(BENCH) $(REVIEW) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
