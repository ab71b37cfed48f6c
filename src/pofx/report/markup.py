"""The parts of an HTML page: its head, sections, paragraphs, tables and pictures."""

import base64
import io
from collections.abc import Callable
from html import escape
from typing import Any

from pofx.core.errors import PofxError

PICTURE_DPI = 144
PIXELS_PER_INCH = 84
"""A little less than the 96 of a browser, so that words of 8 points appear with 12 pixels."""

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<link rel="icon" href="data:,"><title>{title}</title><style>
:root {{ color-scheme: light }}
body {{ font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff;
  max-width: 68rem; margin: 2rem auto; padding: 0 1.2rem; overflow-wrap: anywhere }}
h1 {{ font-size: 1.5rem; font-weight: 600; margin-bottom: 0.2rem }}
h2 {{ font-size: 1.1rem; margin: 2.2rem 0 0.4rem; border-top: 1px solid #ccc; padding-top: 0.9rem }}
p {{ max-width: 46rem; color: #444 }}
table {{ font-variant-numeric: tabular-nums; overflow-wrap: normal }}
pre {{ font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace }}
.wide {{ overflow-x: auto }}
.pictures {{ display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start }}
img {{ max-width: 100%; height: auto }}
@media print {{ section, img {{ break-inside: avoid }} }}
</style></head><body>
"""


def page_head(title: str) -> str:
    """The beginning of a page, up to its body."""
    return HEAD.format(title=escape(title))


def section(title: str, *parts: str) -> str:
    """A section of HTML parts under a heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>\n"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def scrollable(table: str) -> str:
    """An HTML table that scrolls if it is wider than the page."""
    return f'<div class="wide">{table}</div>'


def picture_row(*pictures: str) -> str:
    """HTML pictures next to each other."""
    return f'<div class="pictures">{"".join(pictures)}</div>'


def picture(label: str, draw: Callable[[], Any]) -> str:
    """The axes that `draw` returns as an image; a paragraph with the reason if it fails."""
    try:
        figure = draw().figure
    except PofxError as error:
        return paragraph(f"{label}: not drawn; {error}")
    file = io.BytesIO()
    width, _ = figure.get_size_inches()
    figure.savefig(file, format="png", dpi=PICTURE_DPI, metadata={"Software": None})
    content = base64.b64encode(file.getvalue()).decode()
    return (
        f'<img width="{round(width * PIXELS_PER_INCH)}" alt="{escape(label)}" '
        f'src="data:image/png;base64,{content}">'
    )
