"""Tables and words in plain HTML, for notebooks and pages: no script, no colour of its own."""

from collections.abc import Collection, Sequence
from html import escape

# Said outright, for pages without a doctype do not hand colours down to tables.
TABLE = "border-collapse:collapse;color:inherit;font-size:0.87em"
CELL = "padding:0.15em 0.8em 0.15em 0;text-align:{side};vertical-align:top;white-space:{wrap}"
RULE = "border-bottom:1px solid #8888"
LONG = 40
"""Characters of a cell beyond which its line may break."""


def table(
    head: Sequence[str], lines: Sequence[Sequence[str]], numbers: Collection[int] = ()
) -> str:
    """Lines of cells under their heads, the columns `numbers` flush right; all text is escaped.

    >>> print(table(["a"], [["<b>"]], numbers=[0])[-35:])
    nowrap">&lt;b&gt;</td></tr></table>
    """
    parts = [_line("th", head, numbers, f";{RULE}")]
    parts += [_line("td", line, numbers) for line in lines]
    return f'<table style="{TABLE}">{"".join(parts)}</table>'


def text(words: str) -> str:
    """Words whose spaces and line breaks are kept."""
    return f'<pre style="margin:0.3em 0;white-space:pre-wrap">{escape(words)}</pre>'


def _line(tag: str, cells: Sequence[str], numbers: Collection[int], more: str = "") -> str:
    shown = []
    for i, cell in enumerate(cells):
        wrap = "normal" if len(cell) > LONG else "nowrap"
        style = CELL.format(side="right" if i in numbers else "left", wrap=wrap) + more
        shown.append(f'<{tag} style="{style}">{escape(cell)}</{tag}>')
    return f"<tr>{''.join(shown)}</tr>"
