"""Tables and texts in plain HTML for notebooks and pages, without scripts and colours."""

from collections.abc import Collection, Sequence
from html import escape

# The colour is set explicitly, because tables do not inherit it in pages without a doctype.
TABLE_STYLE = "border-collapse:collapse;color:inherit;font-size:0.87em"
CELL_STYLE = "padding:0.15em 0.8em 0.15em 0;text-align:{side};vertical-align:top;white-space:{wrap}"
RULE_STYLE = "border-bottom:1px solid #8888"
MAX_UNBROKEN_CHARS = 40
"""The number of characters above which the text of a cell may break."""


def table(
    head: Sequence[str], lines: Sequence[Sequence[str]], numbers: Collection[int] = ()
) -> str:
    """A table of cells under their heads; all text is escaped.

    Args:
        head: the heads of the columns.
        lines: the cells, line by line.
        numbers: the columns that are aligned to the right.

    >>> print(table(["a"], [["<b>"]], numbers=[0])[-35:])
    nowrap">&lt;b&gt;</td></tr></table>
    """
    parts = [_line("th", head, numbers, f";{RULE_STYLE}")]
    parts += [_line("td", line, numbers) for line in lines]
    return f'<table style="{TABLE_STYLE}">{"".join(parts)}</table>'


def text(content: str) -> str:
    """A text that keeps its spaces and line breaks."""
    return f'<pre style="margin:0.3em 0;white-space:pre-wrap">{escape(content)}</pre>'


def _line(tag: str, cells: Sequence[str], numbers: Collection[int], extra_style: str = "") -> str:
    parts = []
    for i, cell in enumerate(cells):
        wrap = "normal" if len(cell) > MAX_UNBROKEN_CHARS else "nowrap"
        style = CELL_STYLE.format(side="right" if i in numbers else "left", wrap=wrap) + extra_style
        parts.append(f'<{tag} style="{style}">{escape(cell)}</{tag}>')
    return f"<tr>{''.join(parts)}</tr>"
