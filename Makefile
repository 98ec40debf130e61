# acanet: every target makes .venv by itself and changes nothing outside this folder.
#
#   PYTHON=python3.12        the interpreter that makes .venv (3.11 or later)
#   PIP_EXTRA_INDEX_URL=...  pip reads all of its PIP_* variables: on Linux without a GPU, name PyTorch's index
#                            of CPU wheels here, and the same torch comes without gigabytes of CUDA

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes of one thread each, so that they do not fight for the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test slow soak check results

help: ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile

demo: $(VENV)/.installed ## synthetic voices: prepare, train, evaluate and verify, in minutes
	@$(BIN)/acanet demo

test: $(VENV)/.installed ## the tests, without the slow ones
	@echo "tests: all but the slow ones"
	@$(PYTEST) -m "not slow and not soak"

slow: $(VENV)/.installed ## the tests that take minutes
	@echo "tests: the slow ones"
	@$(PYTEST) -m slow

soak: $(VENV)/.installed ## damaged recordings by the thousand, and kills at random moments; prints its figures
	@echo "tests: those that soak"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m soak tests/soak

check: $(VENV)/.installed ## lint, format, types and import rules
	@echo "check: lint"
	@$(BIN)/ruff check .
	@echo "check: format"
	@$(BIN)/ruff format --check .
	@echo "check: types"
	@$(BIN)/mypy
	@echo "check: import rules"
	@$(BIN)/python -m pytest tests/project/test_imports.py

results: $(VENV)/.installed ## docs/results.md and its pictures, from the committed run cards
	@$(BIN)/acanet results docs/results/cards --speed docs/results/speed.json \
	  --reference ecapa-512 --reference ecapa-1024 --reference acanet2-attentive --reference acanet2-large-attentive \
	  --reference pointwise-attentive --reference ecapa-attentive -o docs/results.md

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "venv: installing acanet with the versions of constraints.txt (the first time takes minutes)"
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "acanet needs Python 3.11 or later, and '$(PYTHON)' is not that; try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "venv: making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
