# make run   predict when networks grok, train eight that the landscape has not seen, compare
# make test  run the tests
# make coverage  the same, with the lines that no test runs
# make docs  build the site of the documentation into site/
# Each makes its own virtual environment in .venv; both need torch, for which constraints.txt names a version.

PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: run test coverage lint docs clean

# The landscape holds seeds 0 to 7: the networks of seeds 100 to 103 are new to it.
run: .venv/train
	@mkdir -p out
	@echo "1. Predict, from a landscape that ships, before anything is trained"
	$(BIN)/groktime predict teacher-student --gamma 0.1 --eta-d 3e-4 --alpha 3 \
		-o out/prediction.png --overwrite
	@echo; echo "2. Forecast eight networks that the landscape has not seen (half a minute)"
	$(BIN)/groktime forecast teacher-student --gamma 0.1 0.3 --eta-d 3e-4 --alpha 3 --seeds 100 101 102 103 \
		-o out/forecast.nc --overwrite
	@echo; echo "3. Train them in full: two weight decays, four seeds (about a minute)"
	$(BIN)/groktime train teacher-student --gamma 0.1 0.3 --eta-d 3e-4 --alpha 3 --seeds 100 101 102 103 \
		--steps 30000 --stop-at 0.95 -o out/runs.nc --overwrite
	@echo; echo "4. Compare"
	$(BIN)/groktime compare teacher-student out/runs.nc --path teacher-student-path out/forecast.nc \
		-o out/report --overwrite
	@echo; echo "See out/report/report.html, and its figures beside it"

test: .venv/test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

coverage: .venv/test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks/house.py

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

.venv/train: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

.venv/test: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ .venv/train

.venv/docs: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@ .venv/train

clean:
	rm -rf .venv out site
