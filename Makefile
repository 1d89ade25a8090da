# The two commands that matter are `make run` and `make test`; `make help` lists the rest.
#
# A machine needs Python 3.11 or newer, make and pip. Everything else is put into .venv, in the exact
# versions (and with the exact contents) that requirements.txt and requirements-dev.txt name.

VENV ?= .venv
PORT ?= 5000
BIN  := $(VENV)/bin
PY   := $(BIN)/python

# The first of these that is new enough. Empty where there is none, which setup then says.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

# Nothing here may stop to ask: a build machine has nobody at the keyboard.
export PIP_NO_INPUT = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
# A path or a setting of the person's own shell must not reach into the tests.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

PIP  = $(PY) -m pip install --quiet --require-hashes --no-deps
SAY  = @printf '── %s\n'
APP  = $(BIN)/flask --app wsgi

.DEFAULT_GOAL := help
.PHONY: help setup run test sure quick several benchmark format check-format lint types contracts lock migration seed \
	pictures clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.tools ## Make .venv with everything that running and testing need

run: $(VENV)/.product ## Run it all here: wizard, sandbox, worker, mailbox (PORT=5000, BRAND=brand.toml)
	@PORT=$(PORT) $(if $(BRAND),BRAND_FILE="$(BRAND)") exec $(PY) -m wizard.run

test: $(VENV)/.tools ## Run every check and every test
	$(SAY) "a browser"
	@$(PY) -m tests.support.chromium
	@$(MAKE) --no-print-directory lint types contracts
	$(SAY) "tests: unit, integration on SQLite and PostgreSQL, browser"
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

sure: check-format test ## Before you commit: the formatting too, then all of `make test`

quick: $(VENV)/.tools ## While you work: unit and integration tests on SQLite only
	@$(PY) -m pytest --quiet --engine sqlite -m "not browser"

several: $(VENV)/.tools ## Try it as on several machines: nginx, two web processes, two workers (CUSTOMERS=500 AT_ONCE=100)
	@$(PY) -m tests.several --customers $(or $(CUSTOMERS),500) --at-once $(or $(AT_ONCE),100)

benchmark: $(VENV)/.tools ## Measure: known and unknown addresses side by side, landing, pages (SAMPLES=60)
	@$(PY) -m tests.benchmarks --samples $(or $(SAMPLES),60)

format: $(VENV)/.tools ## Put code into its one format
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format .

check-format: $(VENV)/.tools
	$(SAY) "format (make format puts it right)"
	@$(BIN)/ruff format --check --quiet .

lint: $(VENV)/.tools ## Look for mistakes in Python and in templates
	$(SAY) "lint: Python, templates"
	@$(BIN)/ruff check --quiet .
	@said=$$($(BIN)/djlint templates --lint --quiet 2>&1) || { echo "$$said"; exit 1; }

types: $(VENV)/.tools ## Check the types
	$(SAY) "types"
	@$(BIN)/mypy --no-error-summary

contracts: $(VENV)/.tools ## Check that rooms import only the rooms below them
	$(SAY) "import contracts"
	@said=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }

lock: $(VENV)/.tools ## Choose versions anew from requirements*.in (UPGRADE=1 takes the newest)
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(if $(UPGRADE),--upgrade) \
			--custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; done

migration: $(VENV)/.tools ## Write a migration for what changed in the models (M="add the phone number")
	@test -n "$(M)" || { echo 'Say what changes: make migration M="add the phone number"'; exit 1; }
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && export SANDBOX=1 INSTANCE_PATH="$$scratch" \
		DATABASE_URL="sqlite:///$$scratch/migration.db" && $(APP) db upgrade && $(APP) db migrate -m "$(M)"

seed: $(VENV)/.tools ## Fill a demo with made-up customers, and say who can sign in (PORT=5000)
	@SANDBOX=$${SANDBOX-1} PORT=$(PORT) $(PY) -m tests.support.seed

pictures: $(VENV)/.tools ## Take the pictures of README.md and docs/ anew, in Chromium
	@$(PY) -m tests.support.pictures

clean: ## Remove what was made here; your data in instance/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis test-artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ── the virtual environment ─────────────────────────────────────────────────────────────────────────────
# Debian ships a python3 without ensurepip: there the pip of the machine installs the pip of .venv.

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed and none was found; PYTHON=/path/to/python3 names one.'; exit 1; }
	$(SAY) "$(VENV), with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 \
		|| { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(PY) install --quiet pip; } \
		|| { rm -rf $(VENV); echo '$(PYTHON) can make no virtual environment: install its venv module (Debian and Ubuntu: apt install python3-venv).'; exit 1; }
	@touch $@

$(VENV)/.product: $(VENV)/.made requirements.txt
	$(SAY) "what the product runs on (requirements.txt); a minute the first time"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.tools: $(VENV)/.product requirements-dev.txt
	$(SAY) "what its tests run on (requirements-dev.txt); a minute the first time"
	@$(PIP) -r requirements-dev.txt
	@touch $@
