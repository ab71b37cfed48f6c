"""What all pictures share: colours, markers, line styles, axes, legends and short labels."""

import textwrap
from collections.abc import Sequence
from typing import Any

# Okabe and Ito (2008): colour-blind readers can distinguish them, also when printed in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MODEL_COLOUR, DATA_COLOUR, INK_COLOUR = COLOURS[0], "#BFBFBF", "#404040"
"""Colours of what the model says, of the data, and of text and rules."""
MAX_LINES = 8
"""The most lines in different styles that one picture shows."""
MAX_LABEL_LENGTH = 32
"""Characters of the longest label that a picture shows in full."""


def figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (4, 3.4)
) -> tuple[Any, Any]:
    """Return a figure of small axes that needs no display, and its axes.

    Args:
        rows: rows of axes.
        columns: columns of axes.
        size: width and height of one axes, in inches.

    Returns:
        The figure, and an array of axes of shape (rows, columns).

    >>> canvas, axes = figure(1, 2)
    >>> axes.shape
    (1, 2)
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, canvas.subplots(rows, columns, squeeze=False)


def get_axes(ax: Any, size: tuple[float, float] = (4, 3.4)) -> Any:
    """Return `ax`, or new axes of `size` inches if it is None."""
    return figure(size=size)[1][0, 0] if ax is None else ax


def split(ax: Any, where: str, ratio: float) -> Any:
    """Return new axes next to `ax`, taken out of its room, that share one of its axes.

    Axes that are in no grid keep their room, and the new axes lie outside of it.

    Args:
        ax: the axes to split.
        where: "right" (the y axis is shared) or "below" (the x axis is shared).
        ratio: the size of the new axes, as a multiple of what `ax` keeps.
    """
    spec = ax.get_subplotspec()
    right = where == "right"
    share = {"sharey": ax} if right else {"sharex": ax}
    if spec is None:
        return ax.inset_axes(
            [1.06, 0, ratio, 1] if right else [0, -0.06 - ratio, 1, ratio], **share
        )
    ratios = {"width_ratios" if right else "height_ratios": (1, ratio)}
    main, side = spec.subgridspec(*((1, 2) if right else (2, 1)), **ratios)
    ax.set_subplotspec(main)
    return ax.figure.add_subplot(side, **share)


def hide_spines(ax: Any) -> Any:
    """Hide the frame of the axes above and on the right, and return the axes."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend(
    ax: Any, *, above: bool = False, title: str = "", width: int = 52, **options: Any
) -> None:
    """Add a legend without a frame.

    Args:
        ax: the axes that get it.
        above: whether it is above the axes rather than inside.
        title: its title, which may be long.
        width: characters after which a line of the title is broken, because the layout shrinks
            axes that are narrower than their title.
        options: further arguments of `ax.legend`.
    """
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2} if above else {}
    ax.legend(
        frameon=False,
        fontsize=8,
        title="\n".join(textwrap.wrap(title, width)) or None,
        title_fontsize=8,
        alignment="left",
        **{**place, **options},
    )


def short_label(text: object, width: int = MAX_LABEL_LENGTH) -> str:
    """A name or a value as a label of at most `width` characters that is no formula.

    >>> short_label("price in $"), short_label("_hidden"), short_label("a" * 40, 8)
    ('price in \\\\$', ' _hidden', 'aaaaaaa…')
    """
    label = " ".join(str(text).split())
    label = label if len(label) <= width else f"{label[: width - 1]}…"
    # Matplotlib reads text between two dollars as a formula, and hides "_..." from legends.
    label = label.replace("$", r"\$")
    return f" {label}" if label.startswith("_") else label


def short_labels(texts: Sequence[object], width: int = MAX_LABEL_LENGTH) -> list[str]:
    """Several names or values as short labels."""
    return [short_label(text, width) for text in texts]


def rotate_labels(names: Sequence[str]) -> dict[str, Any]:
    """Text properties of labels below an axis: aslant if they are long, upright if many."""
    if len(names) > 16:
        return {"rotation": 90, "fontsize": 6.5}
    if max(map(len, names)) * len(names) <= 42:
        return {"fontsize": 8}
    return {"rotation": 40, "ha": "right", "rotation_mode": "anchor", "fontsize": 8}


def format_number(value: float) -> str:
    """A number with as many digits as a label has room for.

    >>> format_number(4202.0), format_number(0.12345), format_number(3.0)
    ('4202', '0.1235', '3')
    """
    return f"{value:.0f}" if abs(value) >= 1000 and value < 1e6 else f"{value:.4g}"
