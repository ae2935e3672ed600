# Everything here sets itself up: no target needs anything installed by hand but Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.learnfleet-installed
BENCH_STAMP := $(VENV)/.learnfleet-bench-installed
# Tools that look at what is installed have an environment of their own, so that they don't change it.
SUPPLY := .venv-supply
SUPPLY_STAMP := $(SUPPLY)/.installed

# Two at a time, in this order: the files that take longest first, so that none of them is what all wait for in the end.
# What servers they have are their own. Those that watch how long something takes have the machine for themselves.
SIDE_BY_SIDE := tests/e2e tests/integration tests/golden tests/unit tests/contract
ALONE := tests/e2e/test_jobs.py

# The demo's picture folder (train/valid folders, or one folder of class folders); default: scanned digits.
DATA ?=
ARCH ?=
EPOCHS ?=
OUT ?= demo-results

export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test test-slow test-faults lint format proto serve bench clean setup deploy-check lock sbom licences audit
.PHONY: image-server image-worker-cpu image-worker-cuda image-user
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(STAMP)  ## create the virtual environment in .venv (done by every other target)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## train, predict, interpret and export on real pictures, through the real service
	@$(BIN)/learnfleet demo --out $(OUT) $(if $(DATA),--data "$(DATA)") $(if $(ARCH),--arch $(ARCH)) $(if $(EPOCHS),--epochs $(EPOCHS))

test: $(STAMP)  ## lint, types and all tests but the slow ones
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder \
		$(SIDE_BY_SIDE) $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest -m "not slow" $(ALONE)

test-slow: $(STAMP)  ## the slow tests, without those of faults
	$(BIN)/python -m pytest -m slow --ignore=tests/faults

# Linux, as root: Ray nodes are PID namespaces, a small disk is a tmpfs. FAULTS_SEED=n plays a run again, FAULTS_ROUNDS=n
# has each fault n times.
test-faults: $(STAMP)  ## processes, nodes and disks that fail under load (an hour or two)
	$(BIN)/python -m pytest -m slow tests/faults

lint: $(STAMP)  ## ruff, mypy --strict and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(STAMP)  ## regenerate the Python code of protos/ and the client's table of what is registered
	$(BIN)/python protos/generate.py
	$(BIN)/python client/generate.py

serve: $(STAMP)  ## a control server on 127.0.0.1:8470, data in .learnfleet
	$(BIN)/learnfleet serve

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

bench: $(BENCH_STAMP)  ## the benchmarks, each a ratio measured side by side (about an hour); writes docs/benchmarks.md
	$(BIN)/python tests/benchmarks/run_all.py

deploy-check: $(STAMP)  ## render and check the Kubernetes overlays and Dockerfiles; needs kubectl or kustomize, no cluster
	PYTHONPATH=deploy $(BIN)/python -m deploycheck

# What an image's build runs, without a container: an environment from the lock with every hash checked, in build/; and in
# build/*-layer what this project adds to it, as a layer of its own.
image-server image-worker-cpu image-worker-cuda: image-%:  ## what the build of that image installs, into build/image-*
	rm -rf build/$@ build/$@-layer
	PYTHON=$(PYTHON) deploy/images/install-packages.sh deploy/locks/$*.txt build/$@
	PYTHON=$(PYTHON) deploy/images/install-project.sh build/$@ build/$@-layer

# Folders are given to another user, which only root may do: for others fakeroot makes as if.
image-user:  ## the user and folders that all images have, in build/image-user; as root or by fakeroot
	rm -rf build/$@
	mkdir -p build/$@/etc
	touch build/$@/etc/passwd build/$@/etc/group
	PATH="$$PATH:/usr/sbin" $(if $(filter 0,$(shell id -u)),,fakeroot) deploy/images/add-user.sh $(CURDIR)/build/$@

$(SUPPLY_STAMP): deploy/locks/supply.txt
	@test -x $(SUPPLY)/bin/python || $(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

lock: $(STAMP) $(SUPPLY_STAMP)  ## write deploy/locks anew: the versions of .venv, with hashes (asks PyPI)
	deploy/supply/lock.sh $(SUPPLY) $(VENV)

sbom: $(SUPPLY_STAMP)  ## what the images hold, as CycloneDX in dist/sbom
	deploy/supply/sbom.sh $(SUPPLY)

licences: $(STAMP) $(SUPPLY_STAMP)  ## the licences of what the images hold; fails for one that is not allowed
	deploy/supply/licences.sh $(SUPPLY) $(VENV)

audit: $(SUPPLY_STAMP)  ## known vulnerabilities of what the images hold (asks PyPI; fails without it)
	deploy/supply/audit.sh $(SUPPLY)

clean:  ## remove the virtual environment and everything made here
	rm -rf $(VENV) $(SUPPLY) build dist demo-results .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
