# Presagio. `make help` lists what there is to make.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DATA := ../shared/data
TRAIN = $(DATA)
OUT := results.json
# what is checked beside the package; empty until it has modules
MODULES := $(foreach folder,demo benchmarks docs tests,$(if $(shell find $(folder) -name '*.py' 2>/dev/null),$(folder)))

ifndef PYTHON
PYTHON := $(shell for each in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)
endif

heading = @printf '\n== %s\n' '$(1)'

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check lint types layers rules bench-exporter bench-warm-start bench-detection bench-prediction bench-faults bench-recommender bench-webhook record-faults dashboards dashboard-pictures servers servers-if-possible where clean

help: ## list what there is to make
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## show the whole loop on real servers, until interrupted; ONCE=1: end by itself, in three minutes
	$(call heading,servers)
	@$(BIN)/python demo/packages.py install system
	$(call heading,demo)
	@exec $(BIN)/python demo/run.py $(if $(filter-out 0,$(ONCE)),--once)

test: check ## everything: check, then all tests, with real servers of both generations
	$(call heading,pytest)
	@$(BIN)/pytest --numprocesses 2 --dist loadfile

check: servers-if-possible lint types layers rules ## all but the tests: ruff, mypy, import-linter, promtool

lint: $(INSTALLED) ## ruff: lint and format
	$(call heading,ruff)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet && echo clean

types: $(INSTALLED) build/types/presagio ## mypy, strict
	$(call heading,mypy)
	@$(BIN)/mypy --package presagio
	@$(BIN)/mypy $(MODULES)

layers: $(INSTALLED) ## import-linter: who may import whom
	$(call heading,import-linter)
	@$(BIN)/lint-imports --no-logo

rules: ## promtool and amtool of both generations: check and test the rules
	$(call heading,rules)
	@$(PYTHON) demo/check_rules.py

bench-exporter: $(INSTALLED) ## measure what scoring costs: share of a core by stage; ARGS="--series 20000"
	@$(PYTHON) demo/packages.py install system
	@$(BIN)/python benchmarks/exporter.py $(ARGS)

bench-warm-start: $(INSTALLED) ## measure how long two weeks of history take; ARGS="--series 500 --signals 4"
	@$(PYTHON) demo/packages.py install forky
	@$(BIN)/python benchmarks/warm_start.py $(ARGS)

bench-detection: build/bench/.installed ## how well anomalies are found: DATA=folder OUT=results.json ARGS="--sets nab"
	@PYTHONPATH=benchmarks build/bench/bin/python -P -m detection --data $(DATA) --out $(OUT) $(ARGS)

bench-prediction: build/bench/.installed ## how well failures are predicted: TRAIN=folder DATA=folder OUT=results.json ARGS="--sets cmapss"
	@PYTHONPATH=benchmarks build/bench/bin/python -P -m prediction --train $(TRAIN) --data $(DATA) --out $(OUT) $(ARGS)

bench-faults: $(INSTALLED) ## how early recorded faults are predicted: DATA=folder OUT=results.json
	@PYTHONPATH=benchmarks $(BIN)/python -P -m faults.score $(DATA) --out $(OUT)

bench-recommender: $(INSTALLED) ## how well actions are chosen, on a fleet with known truth: OUT=results.json ARGS="--fleets 8"
	@PYTHONPATH=benchmarks $(BIN)/python -P -m recommender --out $(OUT) $(ARGS)

bench-webhook: $(INSTALLED) ## what durability costs and how soon alerts are acted upon: OUT=results.json ARGS="--alerts 1000 --database sqlite"
	@$(PYTHON) demo/packages.py install system databases
	@PYTHONPATH=benchmarks $(BIN)/python -P -m storm --out $(OUT) $(ARGS)

record-faults: $(INSTALLED) ## record real processes that fail: OUT=folder ARGS="--minutes 40"; as root, who may mount
	@$(PYTHON) demo/packages.py install system databases
	@PYTHONPATH=benchmarks:demo $(BIN)/python -P -m faults --out $(OUT) $(ARGS)

dashboards: $(INSTALLED) ## write grafana/dashboards from demo/dashboards
	@PYTHONPATH=demo $(BIN)/python -P -m dashboards

dashboard-pictures: $(INSTALLED) ## draw the dashboards from real answers to their queries: docs/images/dashboards, in ten minutes
	@$(PYTHON) demo/packages.py install system
	@PYTHONPATH=demo $(BIN)/python -P -m dashboards.pictures docs/images/dashboards

servers: ## get the servers of both generations into build/servers
	@$(PYTHON) demo/packages.py install system forky databases

servers-if-possible: $(INSTALLED)
	$(call heading,servers)
	@$(PYTHON) demo/packages.py install system forky databases || test "$$CI" != true
	@$(PYTHON) demo/packages.py where

where: ## show which servers are used, from where, and their versions
	@$(PYTHON) demo/packages.py where

clean: ## remove all that was made: virtual environment, servers, caches
	rm -rf $(VENV) build dist presagio.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(INSTALLED): setup.cfg pyproject.toml
	@test -n '$(PYTHON)' || { echo 'no Python 3.11 or newer on PATH; install one, or name it: make PYTHON=/usr/bin/python3' >&2; exit 1; }
	$(call heading,virtual environment)
	@$(PYTHON) demo/bootstrap.py $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' 'setuptools>=70.1'
	@touch $@
	@echo "ready in $(VENV), with $$($(BIN)/python --version)"

# vus declares tensorflow and more for detectors of its own; its measures need none of it
build/bench/.installed: setup.cfg pyproject.toml
	$(call heading,virtual environment of the benchmark)
	@$(PYTHON) demo/bootstrap.py build/bench
	@build/bench/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@build/bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps 'vus>=0.0.6'
	@touch $@

# mypy finds the package `presagio` here: its root is the root of this repository
build/types/presagio:
	@mkdir -p build/types
	@ln -sfn ../.. $@
