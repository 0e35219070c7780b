"""``impose doctor``, for people."""

from __future__ import annotations

from typing import Any

import typer


def print_doctor(report: dict[str, Any]) -> None:
    """Print the report of ``doctor_report.examine``."""
    typer.echo(f"impose {report['impose']} ({report['licence']}), Python {report['python']}")
    for package in report["packages"]:
        found = package["version"] or ("MISSING" if package["required"] else "not installed")
        _row(package["name"], found, package["licence"])
    _row("FFmpeg in av", report["ffmpeg"]["libavcodec"], "libavcodec; " + report["ffmpeg_licence"])
    for part in (*report["engines"], *report["weights"], report["video"]):
        works = "works" if part["works"] else "FAILS"
        _row(part["name"], works, f"{part['licence']}; {part['kind']}: {part['found']}")
    for note in report["licence_notes"]:
        typer.echo(f"note: {note}")
    typer.echo("all well" if report["healthy"] else "something required is missing or broken")


def _row(name: str, found: str, remark: str) -> None:
    typer.echo(f"  {name:24s} {found:14s} {remark}")
