"""The command line: ``impose``."""

from impose_core.cli.app import main

__all__ = ["main"]
