"""A report as one page of HTML, and as Markdown with its pictures beside."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from html import escape

from impose_core.cli.report_parts import Notes, Part, Picture, Section, Table, text

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #d6d6d6; --soft: #f4f4f4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181b; --line: #3a3f45; --soft: #212428; }
}
body { margin: 2rem auto; max-width: 66rem; padding: 0 1rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem;
  border-bottom: 1px solid var(--line); } h3 { font-size: 1rem; margin-bottom: .3rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
thead th { background: var(--soft); vertical-align: bottom; }
figure { margin: 1.2rem 0; } figcaption { font-size: .88rem; opacity: .85; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
ul { font-size: .88rem; margin-top: .2rem; }
"""


def html(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The page: pictures inside, nothing from elsewhere, no scripts."""
    body = "\n".join(
        line
        for section in sections
        for line in (f"<h2>{escape(section.title)}</h2>", *map(_html_part, section.parts))
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>\n{body}\n</body>\n</html>\n"
    )


def markdown(title: str, lead: str, sections: Sequence[Section], *, folder: str) -> str:
    """The same; pictures are in ``folder`` beside it."""
    blocks = [f"# {_markdown_text(title)}", _markdown_text(lead)]
    for section in sections:
        blocks.append(f"## {_markdown_text(section.title)}")
        blocks += ["\n".join(_markdown_part(part, folder)) for part in section.parts]
    return "\n\n".join(blocks) + "\n"


def _html_part(part: Part) -> str:
    if isinstance(part, Table):
        return _html_table(part)
    if isinstance(part, Picture):
        kind = "png" if part.jpeg is None else "jpeg"
        data = base64.b64encode(part.jpeg or part.png).decode()
        caption = escape(part.caption)
        return (
            f'<figure><img alt="{caption}" src="data:image/{kind};base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    items = "".join(f"<li>{escape(line)}</li>" for line in part.lines)
    return f"<h3>{escape(part.title)}</h3>" + (f"<ul>{items}</ul>" if items else "")


def _html_table(table: Table) -> str:
    heads = "".join(f'<th scope="col">{escape(one)}</th>' for one in (table.title, *table.columns))
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{escape(text(cell))}</td>' for cell in row)}</tr>"
        for row in table.rows
    )
    return (
        f'<div class="wide"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def _markdown_part(part: Part, folder: str) -> Iterator[str]:
    if isinstance(part, Table):
        yield _markdown_row([part.title, *part.columns])
        yield "|---" + "|---:" * len(part.columns) + "|"
        yield from (_markdown_row([text(cell) for cell in row]) for row in part.rows)
    elif isinstance(part, Picture):
        caption = _markdown_text(part.caption)
        yield f"![{caption}](<{folder}/{part.file}>)"
        yield ""
        yield caption
    else:
        yield from _markdown_notes(part)


def _markdown_notes(notes: Notes) -> Iterator[str]:
    yield f"**{_markdown_text(notes.title)}**"
    if notes.lines:
        yield ""
    yield from (f"- {_markdown_text(line)}" for line in notes.lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_markdown_text, cells)) + " |"


def _markdown_text(words: str) -> str:
    """``words`` as themselves: nothing in a name is a mark of Markdown or HTML."""
    flat = " ".join(words.split())
    return re.sub(r"([\\`*_\[\]<>|#~&$])", r"\\\1", flat)
