# make demo and make test need nothing but Python 3.11 to 3.13, pip and make; the rest they fetch themselves.

VENV ?= .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := scripts/display.sh $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test lint types oracles packages proof zoo bench docs venv format clean

help:
	@echo "make demo        the fundus photograph, segmented, in a napari window (without a display: files in demo/)"
	@echo "make test        lint, types, import contracts, all tests on PyQt5, on PyQt6 what bindings do differently"
	@echo "make lint types docs           the checks one by one"
	@echo "make oracles proof bench       golden numbers from other tools; the long lists; timings"
	@echo "make zoo         every file of the real data beside this checkout, against other people's readers"

# Two stamps: what a user needs, and what a developer needs on top. A change of either file installs again.
$(VENV)/.installed: pyproject.toml constraints.txt scripts/venv.sh
	@scripts/venv.sh $(VENV)
	@echo "Installing napari-medcnn with napari, PyQt5, Keras and TensorFlow (a few minutes, once)"
	@$(PIP_INSTALL) -e ".[all]"
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need"
	@$(PIP_INSTALL) -e ".[all,pyqt6,test]"
	@touch $@

venv: $(VENV)/.installed-test

demo: $(VENV)/.installed
	@scripts/system.sh
	@scripts/demo.sh $(BIN)/medcnn

# TensorFlow and a window never share a process, in tests neither: the engine's own tests run first, apart. What opens
# no window runs two at a time; windows one at a time on each display: they share the keyboard.
test: venv lint types
	@scripts/system.sh
	$(PY) -m pytest tests/engine
	QT_API=pyqt5 $(PYTEST) -m "not gui and not proof" -n 2
	scripts/windows.sh $(PY)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: venv
	$(BIN)/mypy

format: venv
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: venv
	$(PY) scripts/reliability.py
	$(PY) -m pytest tests/house/test_docs.py

proof: venv
	@scripts/system.sh
	$(PY) -m pytest tests/engine -m proof --timeout=3600 || [ $$? = 5 ]
	$(PYTEST) -m proof --timeout=3600 || [ $$? = 5 ]
	QT_API=pyqt6 $(PYTEST) -m "gui and not proof"

# One row a file and a folder; fails if a row is not explained, and writes the counts to docs/zoo.md.
zoo: venv
	$(PY) scripts/zoo.py --docs

bench: venv
	@scripts/system.sh
	@mkdir -p bench-results
	@for file in benchmarks/*.py; do [ -e "$$file" ] || continue; echo "== $$file"; scripts/display.sh $(PY) $$file || exit 1; done

oracles: venv
	@scripts/oracles.sh

# The shipped packages, by other people's validator, oldest and newest release, network blocked.
packages: venv
	@MEDCNN_PACKAGES_ONLY=1 scripts/oracles.sh

clean:
	rm -rf build dist demo bench-results .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
