# Skyloom: what people and CI start. `make` lists it; every recipe is short because tools/ holds the work.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# A run's settings: make demo CORES=4, make test WORKERS=1 COVERAGE_MINIMUM=90 TESTS=tests/unit
CORES ?= 2
WORKERS ?= 2
COVERAGE_MINIMUM ?= 95
TESTS ?=

DEMO := .venv/bin
TEST := .venv-test/bin
SITE := .venv-site/bin

.PHONY: help demo test cluster-test envs-test site lint format bars soak docs figures lock environment environment-test environment-site clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: ## .venv, from requirements/demo.txt
	@tools/environment.sh .venv requirements/demo.txt

environment-test: ## .venv-test, from requirements/test.txt
	@tools/environment.sh .venv-test requirements/test.txt

environment-site: ## .venv-site, from requirements/site.txt
	@tools/environment.sh .venv-site requirements/site.txt

demo: ## simulate the demo survey, process it, show what came out
	@tools/environment.sh .venv requirements/demo.txt tools/demo_resources.py --cores $(CORES)
	@$(DEMO)/python tools/demo.py --cores $(CORES)

test: environment-test ## the whole test suite with coverage
	@PATH="$(CURDIR)/$(TEST):$$PATH" tools/test.sh $(WORKERS) $(COVERAGE_MINIMUM) $(TESTS)

cluster-test: environment-test ## a survey on a Slurm of this machine that loses a job, a node and its head
	@PATH="$(CURDIR)/$(TEST):$$PATH" SKYLOOM_REQUIRE=cluster pytest -m cluster tests/cluster

envs-test: environment-test ## each rule in an environment made from its envs/*.yaml alone (about 4 minutes)
	@PATH="$(CURDIR)/$(TEST):$$PATH" pytest -m environments tests/environments

site: environment-site ## the documentation as a site in build/site, its notebooks run on the demo's products
	@$(MAKE) demo
	@$(SITE)/python tools/build_site.py

lint: environment-test ## every check of style and structure
	@PATH="$(CURDIR)/$(TEST):$$PATH" tools/lint.sh

format: environment-test ## rewrite Python and Snakemake files in the project's format
	@$(TEST)/ruff check --fix --quiet .
	@$(TEST)/ruff format .
	@$(TEST)/snakefmt Snakefile rules

# The bars need the real frames: told before anything is installed or run.
FRAMES_ARE_THERE = $(shell [ -d "$(SKYLOOM_REALDATA)/hatp32-raw-frames" ] && echo yes)
bars: $(if $(FRAMES_ARE_THERE),environment environment-test) ## the full-size bars: value, bar, pass
	$(if $(FRAMES_ARE_THERE),,$(error set SKYLOOM_REALDATA to the folder that holds hatp32-raw-frames/ \
	    (it is "$(SKYLOOM_REALDATA)"), see CONTRIBUTING.md))
	@PATH="$(CURDIR)/$(TEST):$$PATH" tools/bars.sh $(CURDIR)/$(DEMO)/python

soak: environment-test ## the long soaks: 100 kills, 2,000 damaged frames, the suite three times
	@PATH="$(CURDIR)/$(TEST):$$PATH" pytest -m soak -rA
	@for run in 1 2 3; do $(MAKE) test; done

docs: environment ## the pages of docs/ that are made from schema and code
	@$(DEMO)/python tools/make_documentation.py

figures: demo ## the pictures of docs/, from the demo's products (of real frames where SKYLOOM_REALDATA is set)
	@$(DEMO)/python tools/documentation_figures.py

lock: environment-test ## all locks anew, after a change of pyproject.toml or requirements/*.in
	@PATH="$(CURDIR)/$(TEST):$$PATH" tools/lock.sh

clean: ## the demo's results (the environments stay)
	rm -rf results .snakemake
