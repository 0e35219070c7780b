"""``impose doctor``, for people."""

from __future__ import annotations

from typing import Any

import typer


def print_doctor(report: dict[str, Any]) -> None:
    """Print the report of ``doctor_report.examine``."""
    typer.echo(f"impose {report['impose']} ({report['licence']}), Python {report['python']}")
    for package in report["packages"]:
        found = package["version"] or ("MISSING" if package["required"] else "not installed")
        typer.echo(f"  {package['name']:24s} {found:14s} {package['licence']}")
    for engine in report["engines"]:
        works = "works" if engine["works"] else "FAILS"
        typer.echo(
            f"  {engine['name']:24s} {works:14s} {engine['licence']}; {engine['kind']}, off by "
            f"{engine['error_px']} px on a texture that moves by 3.6 px"
        )
    encoders = ", ".join(name for name, there in report["encoders"].items() if there)
    typer.echo(f"  video encoders           {encoders or 'NONE'}")
    typer.echo("all well" if report["healthy"] else "something required is missing or broken")
