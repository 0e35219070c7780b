"""``impose report``: a page of all that was evaluated and simulated."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from impose_core.atomic import write_bytes
from impose_core.cli.files import check_folder, check_outputs
from impose_core.cli.report_content import ROUNDED, sections
from impose_core.cli.report_documents import collect
from impose_core.cli.report_page import html, markdown
from impose_core.cli.report_parts import Picture
from impose_core.cli.report_plots import need_matplotlib
from impose_core.errors import UsageError

TITLE = "Report"


def report_folder(folder: Path, *, out: Path | None, as_json: bool) -> None:
    """Run the command."""
    need_matplotlib()
    found = collect(folder)
    page = out or folder / "report.html"
    if page.suffix.lower() != ".html":
        raise UsageError(f"Expected '--out' to end in .html, got {page}.")
    plain, pictures = page.with_suffix(".md"), page.with_name(f"{page.stem}_files")
    check_outputs({"--out": page, "the Markdown beside it": plain}, inputs=[])
    check_folder("the folder of pictures", pictures, inputs=[folder])
    made = sections(found)
    for section in made:
        for part in section.parts:
            if isinstance(part, Picture):
                write_bytes(pictures / part.file, part.png)
    write_bytes(plain, markdown(TITLE, ROUNDED, made, folder=pictures.name).encode())
    write_bytes(page, html(TITLE, ROUNDED, made).encode())
    read = [one.file for one in found.evaluations] + [one.file for one in found.simulations]
    if as_json:
        said = {"page": str(page), "markdown": str(plain), "read": read, "unread": found.unread}
        typer.echo(json.dumps(said))
        return
    typer.echo(f"{page}, {plain}: {', '.join(read)}")
    for name, reason in found.unread.items():
        typer.echo(f"not read: {name}: {reason}")
