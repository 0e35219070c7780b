"""The files of raw figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
ABLATION = HERE / "ablation.json"


def write(path: Path, figures: dict[str, Any]) -> None:
    """Figures as a file."""
    path.write_text(json.dumps(figures, indent=1) + "\n")


def read(path: Path) -> dict[str, Any]:
    """Figures of a file; none if it is not there."""
    if not path.exists():
        return {}
    figures: dict[str, Any] = json.loads(path.read_text())
    return figures
