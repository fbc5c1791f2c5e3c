# Presagio. `make help` lists what there is to make.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DATA := ../shared/data
TRAIN = $(DATA)
OUT := results.json
# what is tested with the oldest dependencies; the tests of documents and releases need tools that it has not
MINIMUM = tests/unit tests/contract $(addprefix --ignore=tests/unit/,test_release.py test_packaging.py test_docs_site.py test_docs_commands.py)
# what is checked beside the package; empty until it has modules
MODULES := $(foreach folder,demo deploy benchmarks docs helm tests,$(if $(shell find $(folder) -name '*.py' 2>/dev/null),$(folder)))

ifndef PYTHON
PYTHON := $(shell for each in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$each; break; }; done)
endif

# the one place that it stands in
VERSION = $(shell awk '$$1 == "version" { print $$3 }' setup.cfg)

heading = @printf '\n== %s\n' '$(1)'

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check lint types layers rules chart image-lint image docs dist sbom changelog test-minimum bench-exporter bench-warm-start bench-detection bench-prediction bench-faults bench-recommender bench-webhook record-faults dashboards dashboard-pictures servers servers-if-possible where clean

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

check: servers-if-possible lint types layers rules chart image-lint docs ## all but the tests: ruff, mypy, import-linter, promtool, helm, hadolint, docker-compose, the site

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

chart: $(INSTALLED) ## helm: lint and render the chart with each of its ci/ values
	$(call heading,chart)
	@$(BIN)/python demo/check_chart.py

image-lint: $(INSTALLED) ## hadolint and docker-compose: check Dockerfile and docker-compose.yml; no engine is needed
	$(call heading,image)
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/docker-compose --env-file .env.example config --quiet
	@$(BIN)/docker-compose --env-file .env.example -f docker-compose.yml -f docker-compose.dev.yml config --quiet && echo clean

image: ## build the container image, labelled with its version: presagio:VERSION and presagio:local
	docker build --tag presagio:$(VERSION) --tag presagio:local \
		--label org.opencontainers.image.version=$(VERSION) --label org.opencontainers.image.revision=$$(git rev-parse HEAD) .

docs: $(INSTALLED) ## the documentation as a site in build/site; a warning or a dead link is an error
	$(call heading,docs)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@$(BIN)/python docs/check_links.py build/site

dist: $(INSTALLED) ## wheel and sdist into dist/
	@rm -rf dist build/bdist.* build/lib
	@$(BIN)/python -m build --no-isolation --quiet >/dev/null
	@ls dist

sbom: $(INSTALLED) build/runtime/.installed ## build/sbom.json: all that an installed presagio consists of, in CycloneDX 1.6
	@$(BIN)/python demo/sbom.py build/runtime/bin/python build/sbom.json

changelog: $(INSTALLED) ## show what changelog.d/ adds to CHANGELOG.md; WRITE=1: write it, as the version of setup.cfg
	@$(BIN)/towncrier build --version $$(sed -n 's/^version = //p' setup.cfg) $(if $(WRITE),--yes,--draft)

test-minimum: $(INSTALLED) ## unit and contract tests with the oldest dependencies that setup.cfg allows
	@$(BIN)/python demo/minimum.py build/minimum
	@build/minimum/bin/pytest $(or $(ARGS),$(MINIMUM)) --numprocesses 2 --dist loadfile -p no:cacheprovider

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

servers: $(INSTALLED) ## get the servers of both generations into build/servers, helm into build/helm
	@$(PYTHON) demo/packages.py install system forky databases victoria
	@$(BIN)/python demo/helm_tools.py install

servers-if-possible: $(INSTALLED)
	$(call heading,servers)
	@$(PYTHON) demo/packages.py install system forky databases victoria || test "$$CI" != true
	@$(BIN)/python demo/helm_tools.py install || test "$$CI" != true
	@$(PYTHON) demo/packages.py where

where: ## show which servers are used, from where, and their versions
	@$(PYTHON) demo/packages.py where
	@$(PYTHON) demo/helm_tools.py where

clean: ## remove all that was made: virtual environment, servers, caches
	rm -rf $(VENV) build dist presagio.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(INSTALLED): setup.cfg pyproject.toml
	@test -n '$(PYTHON)' || { echo 'no Python 3.11 or newer on PATH; install one, or name it: make PYTHON=/usr/bin/python3' >&2; exit 1; }
	$(call heading,virtual environment)
	@$(PYTHON) demo/bootstrap.py $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs,release]' 'setuptools>=70.1'
	@touch $@
	@echo "ready in $(VENV), with $$($(BIN)/python --version)"

# what a user's environment holds after pip install: nothing that developers have beside it
build/runtime/.installed: setup.cfg pyproject.toml
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/runtime
	@$(BIN)/uv pip install --quiet --python build/runtime/bin/python .
	@touch $@

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
