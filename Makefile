# PYTHON chooses the interpreter of the environment: make setup PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO := demo_output

.PHONY: setup demo check test benchmark ablation clean

setup: .venv/ready

# what impose needs to run, plots included
.venv/running: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) --editable '.[plots]'
	touch $@

# and what its developers need
.venv/ready: .venv/running
	$(PIP) --editable '.[dev]'
	touch $@

demo: .venv/running
	mkdir -p $(DEMO)
	$(BIN)/impose propagate docs/demo/clip.mp4 --anchors docs/demo/corrections.json \
	  --out $(DEMO)/poses.json --overlay $(DEMO)/overlay.mp4 \
	  --sheet $(DEMO)/contact_sheet.png --plot $(DEMO)/trajectory.png
	@echo "look at $(DEMO)/: poses.json overlay.mp4 contact_sheet.png trajectory.png"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/pytest

benchmark: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run

ablation: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.ablation

clean:
	rm -rf .venv $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
