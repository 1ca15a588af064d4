# One word per task, the same on a laptop and in CI. `make help` lists them.
#
# Nothing has to be prepared: the first task makes a private virtual environment in .venv from
# locks with hashes, and makes it again when a lock changes. Python 3.11 to 3.13, make and git
# are enough; `make PYTHON=python3.12 …` chooses another interpreter.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# A command is started often in the tests: compiled once, as for people, and not every time.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
LAWS ?= tests/plan
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet --no-input

# A stamp says which locks are installed: what runs, or what runs and what checks it.
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev

# The coverage-guided fuzzer stands in a folder of its own: it has no wheels for some systems, where
# only Hypothesis searches, and nothing but a search may import it.
FUZZER := $(VENV)/fuzzer
FUZZ_SECONDS ?= 180

SEED ?= 1
COUNT ?= 2000
ONE_IN ?= 1
CASE ?=

# The tests write and sync thousands of small files: in memory, where there is room, nobody waits.
IN_MEMORY = $(shell [ -w /dev/shm ] && df -Pk /dev/shm \
	| awk 'NR == 2 && $$4 > 2000000 { print "TMPDIR=/dev/shm" }')

COMPILE := $(VENV)/bin/pip-compile --quiet --no-header --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-emit-trusted-host --strip-extras --allow-unsafe

.PHONY: help demo test laws torture model sim sim-long fuzz editor check fix bench schemas lock clean

help: ## list the tasks
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(RUNTIME) ## start the sandbox, declare, plan, apply, change, apply again, verify the log
	@$(PY) tests/demo/run.py

test: $(DEV) ## the tests, six or seven minutes on two cores
	@$(IN_MEMORY) $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q

laws: $(DEV) ## the laws of planning, up to 10,000 examples each; LAWS=tests takes those of all parts
	@STRATCTL_HYPOTHESIS_PROFILE=laws $(PY) -m pytest -n 2 --dist each -q -m hypothesis $(LAWS)

torture: $(DEV) ## kill, starve and race real applies; ONE_IN=20 takes a share, CASE= one again
ifeq ($(CASE)$(filter-out 1,$(ONE_IN)),)
	@STRATCTL_TORTURE=1 $(PY) -m pytest -n 2 -q tests/e2e/test_once.py tests/journal/test_damage.py
endif
	@$(PY) -m tests.torture --seed $(SEED) --one-in $(ONE_IN) $(if $(CASE),--case $(CASE))

model: $(DEV) ## every state of the request ids in large worlds, and the schemes that must fail
	@$(PY) -m tests.model.run

sim: $(DEV) ## simulated schedules of faults, SEED=1 COUNT=2000; COUNT=1 shows one in full
	@$(PY) -m tests.sim --seed $(SEED) --count $(COUNT)

sim-long: $(DEV) ## the same from SEED on, until it is stopped
	@$(PY) -m tests.sim --seed $(SEED) --count 0

fuzz: $(DEV) $(FUZZER) ## search for inputs that the readers get wrong, FUZZ_SECONDS=180 in all
	@PYTHONPATH=$(FUZZER) $(PY) -m tests.fuzz.run $(FUZZ_SECONDS)

editor: ## install the language server that tests/editor drive; needs node and npm
	@npm ci --prefix tests/editor --ignore-scripts --no-audit --no-fund

check: $(DEV) ## format, lint, types, layers, generated files, workflows
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check --no-fix .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
		$(VENV)/bin/stratctl --quiet schema --write "$$fresh" > /dev/null; \
		diff -r --exclude=provider schemas "$$fresh" \
			|| { echo "schemas/ is not what the models say: run 'make schemas'" >&2; exit 1; }
	@$(VENV)/bin/stratctl --quiet fmt --check --diff
	@$(VENV)/bin/zizmor --offline --persona pedantic --quiet .github
	@if command -v actionlint > /dev/null; then actionlint; \
		else echo "actionlint is not on the path: skipped here, ci.yml runs it"; fi

fix: $(DEV) ## format, repair what lint can repair, write the generated files
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/stratctl fmt
	@$(MAKE) --no-print-directory schemas

bench: $(DEV) ## every script in benchmarks/
	@for script in benchmarks/*.py; do echo "== $$script"; $(PY) "$$script"; done

schemas: $(DEV) ## write schemas/ and docs/cli.md from the code
	@$(VENV)/bin/stratctl --quiet schema --write schemas > /dev/null
	@$(PY) -m pytest -q --update-golden tests/house/test_cli_reference.py

# Compiled on the oldest Python, whose dependencies include those of the newer ones. The locks for
# running and building are constrained by the one for everything, so the three always agree.
lock: $(DEV) ## compile the locks again; UPGRADE=--upgrade takes newer versions
	@$(PY) -c 'import sys; sys.version_info[:2] == (3, 11) or sys.exit("make lock needs Python 3.11")'
	@$(COMPILE) $(UPGRADE) --extra dev --output-file requirements/dev.txt pyproject.toml
	@$(COMPILE) --constraint requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml
	@$(COMPILE) --constraint requirements/dev.txt --output-file requirements/build.txt requirements/build.in
	@$(COMPILE) --constraint requirements/dev.txt --output-file requirements/fuzz.txt requirements/fuzz.in

# Leaves .venv, which takes minutes to make, and .stratctl, which may hold somebody's journal.
clean: ## remove caches and built files
	@rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit( \
		"stratctl needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d: " \
		"name another, as in: make PYTHON=python3.12 $(MAKECMDGOALS)" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements/runtime.txt requirements/build.txt pyproject.toml | $(PY)
	@echo "installing what stratctl runs on, into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# Everything includes what runs, so the other stamp is set too.
$(DEV): requirements/dev.txt pyproject.toml | $(PY)
	@echo "installing what stratctl runs on and what checks it, into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(RUNTIME) $@

$(FUZZER): requirements/fuzz.txt | $(DEV)
	@echo "installing the coverage-guided fuzzer, into $(FUZZER)"
	@rm -rf $@
	@$(PIP) install --require-hashes --only-binary :all: --target $@ -r requirements/fuzz.txt \
		|| { rm -rf $@; echo "it cannot be installed here: only Hypothesis searches"; }
