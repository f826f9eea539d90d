# make run   predict from a shipped landscape: report and figure (needs no torch)
# make test  run the tests
# Each makes its own virtual environment in .venv.

PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: run test lint clean

run: .venv/core
	@mkdir -p out
	$(BIN)/groktime predict addition --gamma 1e-3 --eta-d 1e-2 --eta-r 1e-2 --alpha 3.9 --m 0.08 \
		-o out/prediction.png --overwrite

test: .venv/test
	$(BIN)/python -m pytest

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/test: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ .venv/core

clean:
	rm -rf .venv out
