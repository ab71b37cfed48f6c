"""Axes and what all pictures share: colours, marks for eyes that see none, words that fit."""

import textwrap
from collections.abc import Sequence
from typing import Any

# Okabe and Ito (2008): told apart by colour-blind readers, and in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MODEL, DATA, INK = COLOURS[0], "#BFBFBF", "#404040"
"""Colours of what the model says, of what was seen, and of words and rules."""
SHOWN = 8
"""The most lines that one picture tells apart."""
WIDTH = 32
"""The longest word that a picture writes in full."""


def figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (4, 3.4)
) -> tuple[Any, Any]:
    """A figure of small axes that need no display, and the axes, in an array of (rows, columns).

    `size` is that of one axes in inches, width and height.

    >>> drawn, axes = figure(1, 2)
    >>> axes.shape
    (1, 2)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def on(ax: Any, size: tuple[float, float] = (4, 3.4)) -> Any:
    """The axes given, or fresh ones of a size in inches."""
    return figure(size=size)[1][0, 0] if ax is None else ax


def split(ax: Any, where: str, ratio: float) -> Any:
    """New axes on the "right" of others or "below", in a part of their room; the axis is shared.

    Axes that stand in no grid keep their room, and the new ones lie beyond it.
    """
    spec, right = ax.get_subplotspec(), where == "right"
    share = {"sharey": ax} if right else {"sharex": ax}
    if spec is None:
        return ax.inset_axes(
            [1.06, 0, ratio, 1] if right else [0, -0.06 - ratio, 1, ratio], **share
        )
    ratios = {"width_ratios" if right else "height_ratios": (1, ratio)}
    own, other = spec.subgridspec(*((1, 2) if right else (2, 1)), **ratios)
    ax.set_subplotspec(own)
    return ax.figure.add_subplot(other, **share)


def plain(ax: Any) -> Any:
    """The axes without a frame above and on the right."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend(ax: Any, *, above: bool = False, title: str = "", width: int = 52, **more: Any) -> None:
    """A legend without a frame; `above` the axes where the inside is full.

    Its title is broken at `width` characters: the layout gives way to what is wider than the axes.
    """
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2} if above else {}
    ax.legend(
        frameon=False,
        fontsize=8,
        title="\n".join(textwrap.wrap(title, width)) or None,
        title_fontsize=8,
        alignment="left",
        **{**place, **more},
    )


def word(text: object, width: int = WIDTH) -> str:
    """A name or a value as a picture writes it: no longer than it fits, and never a formula.

    >>> word("price in $"), word("_hidden"), word("a" * 40, 8)
    ('price in \\\\$', ' _hidden', 'aaaaaaa…')
    """
    shown = " ".join(str(text).split())
    shown = shown if len(shown) <= width else f"{shown[: width - 1]}…"
    # Matplotlib takes what stands between two dollars for a formula, and hides "_" from legends.
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def tilted(names: Sequence[str]) -> dict[str, Any]:
    """How names stand below an axis: aslant where they are long, upright where they are many."""
    if len(names) > 16:
        return {"rotation": 90, "fontsize": 6.5}
    if max(map(len, names)) * len(names) <= 42:
        return {"fontsize": 8}
    return {"rotation": 40, "ha": "right", "rotation_mode": "anchor", "fontsize": 8}


def words(texts: Sequence[object], width: int = WIDTH) -> list[str]:
    """Several names or values as a picture writes them."""
    return [word(text, width) for text in texts]


def number(value: float) -> str:
    """A number to the digits that a label has room for.

    >>> number(4202.0), number(0.12345), number(3.0)
    ('4202', '0.1235', '3')
    """
    return f"{value:.0f}" if abs(value) >= 1000 and value < 1e6 else f"{value:.4g}"
