PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo check test benchmark clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	mkdir -p demo_output
	$(BIN)/impose propagate docs/demo/clip.mp4 --anchors docs/demo/corrections.json \
	  --out demo_output/poses.json --overlay demo_output/overlay.mp4 \
	  --sheet demo_output/contact_sheet.png --plot demo_output/trajectory.png
	@echo "look at demo_output/: poses.json overlay.mp4 contact_sheet.png trajectory.png"

check: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/pytest

benchmark: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run

clean:
	rm -rf .venv demo_output
