"""The command line: ``impose``."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Run ``impose``. A part that does not load is an error like any other, not a traceback."""
    try:
        from impose_core.cli.app import app  # here, so that a broken part can be reported
    except ImportError as error:
        message = f"Expected all required parts to load, got: {error}."
        hint = "Reinstall the package named there."
        if "--json" in sys.argv[1:]:
            said = {"code": "broken_install", "message": message, "hint": hint}
            sys.stdout.write(json.dumps({"error": said}) + "\n")
        else:
            sys.stderr.write(f"error: {message}\nhint: {hint}\n")
        raise SystemExit(5) from None
    app()
