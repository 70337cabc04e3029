# `make` lists what there is to make.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format bench clean

help:  ## list the targets
	@echo "make TARGET; the environment .venv is made where it is missing or out of date"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/complete  ## train on the embedded corpus for five minutes, print BLEU and translations
	$(BIN)/transformer train experiment=demo run_dir=runs/demo

test: .venv/complete  ## run the tests, but not the slow ones
	$(BIN)/pytest -m "not slow and not gpu"

test-all: .venv/complete  ## run every test that this machine can run
	$(BIN)/pytest

check: .venv/complete  ## check format, lint and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: .venv/complete  ## format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: .venv/complete  ## measure the speed of training beside other systems
	$(BIN)/python scripts/benchmark_training.py

clean:  ## remove the environment and what tools left behind; keeps runs/
	rm -rf .venv build dist .*_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made anew, so that nothing stays in it that the two files do not name.
.venv/complete: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable ".[dev]"
	touch $@
