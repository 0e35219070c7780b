# PYTHON chooses the interpreter of the environment: make setup PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO := demo_output

.PHONY: setup demo check test test-xanylabeling benchmark ablation parity clean

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

# nobody clicked; then twelve clicks; and how near both are to the labels
demo: .venv/running
	mkdir -p $(DEMO)
	@echo "--- found without a click"
	$(BIN)/impose detect docs/demo/clip.mp4 --out $(DEMO)/found.json
	@echo "--- after a few corrections"
	$(BIN)/impose propagate docs/demo/clip.mp4 --anchors $(DEMO)/found.json \
	  --corrections docs/demo/corrections.json \
	  --out $(DEMO)/poses.json --overlay $(DEMO)/overlay.mp4 \
	  --sheet $(DEMO)/contact_sheet.png --plot $(DEMO)/trajectory.png
	@echo "--- against the labels of the clip"
	$(BIN)/python docs/demo/score.py found=$(DEMO)/found.json corrected=$(DEMO)/poses.json
	@echo "look at $(DEMO)/: found.json poses.json overlay.mp4 contact_sheet.png trajectory.png"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# a process for each core, each on one thread; a file's tests share what they set up
test: setup
	$(BIN)/pytest -n auto --dist loadfile

# X-AnyLabeling itself, in an environment of its own (1.4 GB); offscreen
XANY := .venv-xanylabeling
$(XANY)/ready: pyproject.toml xanylabeling_plugin/pyproject.toml
	$(PYTHON) -m venv $(XANY)
	$(XANY)/bin/python -m pip install --quiet --disable-pip-version-check \
	  'x-anylabeling-cvhub[cpu]==4.2.1' 'pytest>=8' hypothesis --editable '.[serve]' --editable ./xanylabeling_plugin
	touch $@

# the app itself warns of this and that, so warnings are no errors here
test-xanylabeling: $(XANY)/ready
	QT_QPA_PLATFORM=offscreen $(XANY)/bin/python -m pytest -m slow -s -W default -p no:cacheprovider tests/xanylabeling

benchmark: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run

ablation: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.ablation

# our networks against the official ones; needs their golden arrays
parity: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.parity

clean:
	rm -rf .venv $(XANY) $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
