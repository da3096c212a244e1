# `make help` lists the targets. Each installs what it needs from the package index.

PYTHON ?= python3
TESTS ?= tests/unit tests/integration tests/emulator tests/packaging
PYTEST_ARGS ?=
EXAMPLES ?= 60
BENCH_ARGS ?=
# For `make release-check`: the version to release.
VERSION ?=

NEWEST := .venv/airflow-3.3
LOWEST := .venv/airflow-2.11
FAKER := .venv/faker
OFFICIAL := .venv/official
AUDIT := .venv/audit
COSMOS := .venv/cosmos
# The other releases of Airflow 3, such as .venv/airflow-3.1: `make test-airflow`.
AIRFLOW ?= 3.1
BETWEEN = .venv/airflow-$(AIRFLOW)
BETWEEN_ALL := 3.0 3.1 3.2
# What depends on Airflow's release: its plugins, retries of deferred tasks, and its log beside a command.
ON_EACH_AIRFLOW ?= tests/unit/test_airbyte_page_plugin.py tests/unit/test_webhook_plugin.py \
	tests/integration/test_retries_of_deferred_tasks.py \
	'tests/integration/test_doctor_command.py::test_a_warning_in_the_log_stays_out_of_standard_output[airflow]'

# Many tests wait for real time, so twice as many processes as cores.
PROCESSES := $(shell $(PYTHON) -c 'import os; print(min(8, 2 * len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4))')
ON_EVERY_CORE := --numprocesses=$(PROCESSES) --dist=worksteal

# Without bytecode, each process compiles what it imports, and pytest rewrites each test file again.
unexport PYTHONDONTWRITEBYTECODE

# Where `make constraints` writes, and what it tells uv besides.
CONSTRAINTS := constraints
RESOLVE_ARGS := --upgrade

GENERATED_REQUESTS := tests/emulator/test_generated_requests.py
# It starts each measurement in a process of its own.
BENCHMARKS := tests/integration/test_benchmarks.py
# What these show is the same with each Airflow: faults of Airbyte and the network, and rules without I/O.
SAME_EVERYWHERE := tests/integration/test_fault_matrix.py tests/unit/api/waiting tests/unit/migration tests/unit/provisioning

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The uv of the environment $(1). uv does not read pip's settings, so an index that only pip knows is passed on to it.
uv = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$${UV_INDEX_URL:-$${PIP_INDEX_URL:-$$($(1)/bin/python -m pip config get global.index-url 2>/dev/null)}}}" \
	UV_INDEX="$${UV_INDEX:-$${UV_EXTRA_INDEX_URL:-$$PIP_EXTRA_INDEX_URL}}" \
	UV_INSECURE_HOST="$${UV_INSECURE_HOST:-$$PIP_TRUSTED_HOST}" \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$$PIP_CERT}" \
	$(1)/bin/uv

# Create the environment $(1) if it does not exist, with the first of the interpreters $(3) that is Python 3.11 to 3.$(4),
# and install the uv that constraints/$(2).txt pins.
define make_environment
@test -x $(1)/bin/uv || { \
	for python in $(3) none; do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $(4)))' 2>/dev/null && break; \
	done; \
	if test "$$python" = none; then \
		echo "$(1) needs Python 3.11$(if $(filter 99,$(4)), or newer, to 3.$(4)), and found none among: $(3). Name one: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi; \
	echo "==> $(1): a new environment with $$("$$python" --version)"; \
	"$$python" -m venv $(1) && $(1)/bin/python -m pip install --quiet --constraint constraints/$(2).txt uv; }
endef

# Install $(3) into the environment $(1), with the versions of constraints/$(2).txt, and touch the file that make checks.
define install
@echo "==> $(1): installing what constraints/$(2).txt pins"
@$(call uv,$(1)) pip install --quiet --python $(1) --constraint constraints/$(2).txt --build-constraint constraints/$(2).txt $(3)
@touch $@
endef

.PHONY: help
help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: demo
demo: $(NEWEST)/.installed $(FAKER)/.installed ## Run a sync, a wait and dbt on a real Airflow; KEEP=1 keeps it running
	@$(NEWEST)/bin/python scripts/demo.py

.PHONY: env
env: ## Write .env for docker compose, with new random secrets
	@$(PYTHON) scripts/make_env.py

.PHONY: test
test: test-quick test-examples ## Run the tests; test-system, -upgrade, -soak, -cluster, -short-syncs, -lowest, -data-aware, -migrate, -tutorial, -docs and -ui are apart

.PHONY: test-quick
test-quick: $(NEWEST)/.installed ## Run the tests that start no Airflow, on every core; TESTS=tests/unit runs a part
	$(NEWEST)/bin/pytest $(ON_EVERY_CORE) --ignore=$(GENERATED_REQUESTS) --ignore=$(BENCHMARKS) -k "not test_property" $(TESTS) $(PYTEST_ARGS)

.PHONY: test-soak
test-soak: $(NEWEST)/.installed ## Run thousands of generated requests, small benchmarks, and the properties of declared state and waits at length
	$(NEWEST)/bin/pytest $(ON_EVERY_CORE) $(GENERATED_REQUESTS) $(BENCHMARKS) $(PYTEST_ARGS)
	AIRBYTE_EXAMPLES=$(EXAMPLES) $(NEWEST)/bin/pytest $(ON_EVERY_CORE) --timeout=1200 \
		tests/unit/provisioning tests/unit/api/waiting -k property $(PYTEST_ARGS)

# One at a time: each of them starts more processes than there are cores.
.PHONY: test-examples
test-examples: $(NEWEST)/.installed $(FAKER)/.installed ## Run example DAGs and sensors on a whole Airflow, and check docker-compose.yml
	$(NEWEST)/bin/pytest tests/system/test_connector_to_duckdb.py tests/system/test_example_dags.py \
		tests/system/test_sync_gates.py tests/system/test_secrets.py tests/system/test_webhook.py tests/compose --ignore=tests/compose/test_cluster.py $(PYTEST_ARGS)

.PHONY: test-tutorial
test-tutorial: $(NEWEST)/.installed ## Follow docs/tutorial.md
	$(NEWEST)/bin/pytest tests/system/test_tutorial.py $(PYTEST_ARGS)

.PHONY: test-system
test-system: $(NEWEST)/.installed ## Kill the processes of an Airflow cluster during waits, and end its tasks as a user; needs PostgreSQL and Redis
	$(NEWEST)/bin/pytest tests/system/cluster $(PYTEST_ARGS)

.PHONY: test-upgrade
test-upgrade: $(NEWEST)/.installed ## Exchange the package of a whole Airflow while its tasks are deferred; needs the history of the repository
	$(NEWEST)/bin/pytest tests/system/test_package_upgrade.py $(PYTEST_ARGS)

.PHONY: test-cluster
test-cluster: $(NEWEST)/.installed $(FAKER)/.installed ## Run the services of docker-compose.yml as processes; needs PostgreSQL and Redis
	$(NEWEST)/bin/pytest tests/compose/test_cluster.py $(PYTEST_ARGS)

.PHONY: test-short-syncs
test-short-syncs: $(NEWEST)/.installed $(FAKER)/.installed ## Run 30 syncs of 0 to 8 s on an Airflow with default settings; needs PostgreSQL
	$(NEWEST)/bin/pytest tests/system/test_short_syncs.py $(PYTEST_ARGS)

.PHONY: test-lowest
test-lowest: $(LOWEST)/.installed ## Run unit and integration tests on the lowest supported Airflow and dependencies
	$(LOWEST)/bin/pytest $(ON_EVERY_CORE) $(addprefix --ignore=,$(SAME_EVERYWHERE)) tests/unit tests/integration $(PYTEST_ARGS)

.PHONY: test-airflow
test-airflow: .venv/airflow-$(AIRFLOW)/.installed ## Run what depends on Airflow's release on AIRFLOW=3.0, 3.1 or 3.2; ON_EACH_AIRFLOW=tests/unit runs other tests
	$(BETWEEN)/bin/pytest $(ON_EVERY_CORE) $(addprefix --ignore=,$(SAME_EVERYWHERE)) $(ON_EACH_AIRFLOW) $(PYTEST_ARGS)

.PHONY: test-airflows
test-airflows: ## Do so on each release of Airflow 3 before the newest
	@failed=0; for release in $(BETWEEN_ALL); do $(MAKE) test-airflow AIRFLOW=$$release || failed=1; done; exit $$failed

.PHONY: test-data-aware
test-data-aware: $(COSMOS)/.installed $(FAKER)/.installed ## Run what uses assets and lineage: Cosmos, dbt, OpenLineage, on a whole Airflow
	$(COSMOS)/bin/pytest tests/data_aware $(PYTEST_ARGS)

.PHONY: test-ui
test-ui: $(NEWEST)/.installed-ui ## Run the connection form and the page "Airbyte" in a browser; needs Chromium
	$(NEWEST)/bin/pytest tests/ui $(PYTEST_ARGS)

.PHONY: test-migrate
test-migrate: $(OFFICIAL)/.installed ## Rewrite DAGs of the official provider, and compare the syncs that they start before and after
	$(OFFICIAL)/bin/pytest tests/migration $(PYTEST_ARGS)

.PHONY: docs
docs: $(NEWEST)/.installed ## Build the documentation as a site into build/docs
	$(NEWEST)/bin/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs
	@echo "build/docs/index.html"

.PHONY: test-docs
test-docs: $(NEWEST)/.installed ## Run or parse each block of code in the documentation, follow its links, and build the site
	$(NEWEST)/bin/pytest $(ON_EVERY_CORE) tests/docs $(PYTEST_ARGS)

.PHONY: screenshots
screenshots: $(NEWEST)/.installed-ui ## Make the pictures of the documentation again, on a real Airflow; needs Chromium
	$(NEWEST)/bin/python scripts/screenshots.py

.PHONY: bench
bench: $(OFFICIAL)/.installed ## Measure waits beside the official provider on an idle machine; BENCH_ARGS=--quick
	@$(OFFICIAL)/bin/python -m benchmarks --parts basics waits further --plot performance.png $(BENCH_ARGS)

.PHONY: bench-triggerer
bench-triggerer: $(OFFICIAL)/.installed ## The same in the triggerer of a real Airflow; needs PostgreSQL
	@$(OFFICIAL)/bin/python -m benchmarks --parts triggerer gates $(BENCH_ARGS)

.PHONY: bench-docs
bench-docs: $(OFFICIAL)/.installed ## Measure both, and write the figures to docs/performance.md
	@$(OFFICIAL)/bin/python -m benchmarks --write docs $(BENCH_ARGS)

.PHONY: coverage
coverage: $(NEWEST)/.installed ## Measure branch coverage: at least 100 % of api/, 95 % of everything
	$(NEWEST)/bin/pytest --cov --cov-report= $(ON_EVERY_CORE) --ignore=$(GENERATED_REQUESTS) --ignore=$(BENCHMARKS) -k "not test_property" \
		tests/unit tests/integration tests/emulator $(PYTEST_ARGS)
	$(NEWEST)/bin/coverage report --fail-under=95
	$(NEWEST)/bin/coverage report --include='airflow_provider_airbyte_sme/api/*' --fail-under=100

.PHONY: mutation
mutation: $(NEWEST)/.installed ## Change the rules of retries, waits and ownership, and check that tests notice; writes docs/mutation.md
	@nice -n 10 $(NEWEST)/bin/python -m scripts.mutation

.PHONY: lint
lint: $(NEWEST)/.installed ## Check style, format, spelling and files, as listed in .pre-commit-config.yaml
	$(NEWEST)/bin/pre-commit run --all-files

.PHONY: format
format: $(NEWEST)/.installed ## Format the code and apply safe fixes
	$(NEWEST)/bin/ruff check --fix
	$(NEWEST)/bin/ruff format

.PHONY: types
types: $(NEWEST)/.installed ## Check types with mypy
	$(NEWEST)/bin/mypy

# The lower bounds that airflow-2.11.txt pins are what the package works with, not what anyone should install.
.PHONY: audit
audit: $(NEWEST)/.installed $(LOWEST)/.installed $(AUDIT)/.installed ## Check that the pins fit together, and for known vulnerabilities
	@$(call uv,$(NEWEST)) pip check --python $(NEWEST)
	@$(call uv,$(LOWEST)) pip check --python $(LOWEST)
	@$(AUDIT)/bin/python scripts/audit.py constraints/airflow-3.3.txt

.PHONY: build
build: $(NEWEST)/.installed ## Build the sdist and the wheel into dist/
	$(NEWEST)/bin/python -m build --no-isolation

.PHONY: check-constraints
check-constraints: ## Check that constraints/*.txt are what their sources resolve to, without upgrades
	@rm -rf build/constraints && mkdir -p build/constraints && cp constraints/*.txt build/constraints
	@$(MAKE) constraints CONSTRAINTS=build/constraints RESOLVE_ARGS=
	@diff --unified constraints build/constraints --exclude='*.in' || { \
		echo "constraints/*.txt do not fit pyproject.toml and constraints/*.in: run make constraints" >&2; exit 1; }

.PHONY: release-check
release-check: $(NEWEST)/.installed ## Check what a release needs; VERSION=0.2.0 checks that it can be released now
	@failed=0; $(NEWEST)/bin/python -m scripts.release_check --version="$(VERSION)" || failed=$$?; \
	test $$failed -le 1 || exit $$failed; \
	$(MAKE) --keep-going test-docs check-constraints test-upgrade || failed=1; exit $$failed

# Releases of Airflow before the newest get what there was soon after them, as Airflow's own constraints do.
.PHONY: constraints
constraints: ## Resolve and rewrite constraints/*.txt
	$(call make_environment,$(NEWEST),airflow-3.3,$(PYTHON),99)
	@resolve() { \
		output="$(CONSTRAINTS)/$$1.txt"; shift; echo "==> $$output"; \
		UV_CUSTOM_COMPILE_COMMAND="make constraints" $(call uv,$(NEWEST)) pip compile --quiet --universal \
			--python-version 3.11 $(RESOLVE_ARGS) --output-file "$$output" "$$@"; \
	}; \
	resolve airflow-3.3 constraints/airflow-3.3.in pyproject.toml --group dev --group ui && \
	resolve airflow-2.11 constraints/airflow-2.11.in pyproject.toml --group test && \
	resolve airflow-3.0 constraints/airflow-3.0.in pyproject.toml --group test --exclude-newer 2025-09-15 \
		--exclude-newer-package apache-airflow-providers-common-compat=2026-01-20 --exclude-newer-package pytest=2026-01-20 && \
	resolve airflow-3.1 constraints/airflow-3.1.in pyproject.toml --group test --exclude-newer 2026-04-01 && \
	resolve airflow-3.2 constraints/airflow-3.2.in pyproject.toml --group test --exclude-newer 2026-06-25 && \
	resolve audit constraints/audit.in && \
	resolve cosmos constraints/cosmos.in pyproject.toml --group test --group demo && \
	resolve official constraints/official.in pyproject.toml --group bench --group test && \
	resolve faker constraints/faker.in --override constraints/faker-overrides.txt

.PHONY: environments
environments: $(NEWEST)/.installed $(NEWEST)/.installed-ui $(LOWEST)/.installed $(FAKER)/.installed $(AUDIT)/.installed $(COSMOS)/.installed $(OFFICIAL)/.installed ## Create all environments

.PHONY: clean
clean: ## Remove environments, builds, caches and files that runs left behind
	rm -rf .venv .demo build dist htmlcov .coverage .coverage.* mutants .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(NEWEST)/.installed: pyproject.toml constraints/airflow-3.3.txt
	$(call make_environment,$(NEWEST),airflow-3.3,$(PYTHON),99)
	$(call install,$(NEWEST),airflow-3.3,--group dev --editable .)

$(NEWEST)/.installed-ui: $(NEWEST)/.installed
	$(call install,$(NEWEST),airflow-3.3,--group ui)

# Airflow 2.11 supports Python up to 3.12.
$(LOWEST)/.installed: pyproject.toml constraints/airflow-2.11.txt
	$(call make_environment,$(LOWEST),airflow-2.11,$(PYTHON) python3.11 python3.12,12)
	$(call install,$(LOWEST),airflow-2.11,--group test --editable .)

# Airflow 3.0 supports Python up to 3.12.
$(BETWEEN_ALL:%=.venv/airflow-%/.installed): .venv/airflow-%/.installed: pyproject.toml constraints/airflow-%.txt
	$(call make_environment,.venv/airflow-$*,airflow-$*,$(PYTHON) python3.11 python3.12,12)
	$(call install,.venv/airflow-$*,airflow-$*,--group test --editable .)

# Only here, because the plugins of Cosmos and OpenLineage are loaded into each Airflow process.
$(COSMOS)/.installed: pyproject.toml constraints/cosmos.txt
	$(call make_environment,$(COSMOS),cosmos,$(PYTHON),99)
	$(call install,$(COSMOS),cosmos,--group test --group demo --editable . astronomer-cosmos apache-airflow-providers-openlineage \
		asyncpg psycopg2-binary)

# Only here, because two providers of one service in one environment would share its connections and its tests.
$(OFFICIAL)/.installed: pyproject.toml constraints/official.txt
	$(call make_environment,$(OFFICIAL),official,$(PYTHON),99)
	$(call install,$(OFFICIAL),official,--group bench --group test --editable . apache-airflow-providers-airbyte)

# The connector's pins conflict with those of every Airflow, hence its own environment. faker-overrides.txt overrides one.
$(FAKER)/.installed: constraints/faker.txt constraints/faker-overrides.txt
	$(call make_environment,$(FAKER),faker,$(PYTHON),99)
	$(call install,$(FAKER),faker,--override constraints/faker-overrides.txt airbyte-source-faker)

# Apart from what it audits, so that neither decides the versions of the other.
$(AUDIT)/.installed: constraints/audit.txt
	$(call make_environment,$(AUDIT),audit,$(PYTHON),99)
	$(call install,$(AUDIT),audit,pip-audit)
