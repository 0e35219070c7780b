"""What the figures were measured with."""

from __future__ import annotations

import platform
import subprocess
import warnings
from importlib import metadata
from pathlib import Path

from benchmarks import cost
from benchmarks.clips import DATA


def about(command: str) -> dict[str, object]:
    """Versions and hardware, in words."""
    names = ("impose", "numpy", "scipy", "opencv-python-headless", "av", "pycocotools")
    versions = {name: metadata.version(name) for name in names}
    return {
        **versions,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, 2 shared cores; {cost.threads()}",
        "command": command,
    }


def commit() -> str:
    """The commit of the code, with a plus if files differ from it; "unknown" without git."""
    command = ["git", "describe", "--always", "--abbrev=7", "--dirty=+"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def need_data() -> None:
    """End the command if the clips are not there."""
    if not DATA.exists():
        raise SystemExit(f"Expected the shared data at {DATA}, found none.")


def quietly() -> None:
    """No warnings of all-NaN rows, which absent persons are."""
    warnings.simplefilter("ignore", RuntimeWarning)
