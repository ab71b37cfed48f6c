"""Pictures: functions that draw on axes and return them, so that they compose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Okabe and Ito (2008): told apart by colour-blind readers, and in grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")


def figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (4, 3.4)
) -> tuple[Any, Any]:
    """A figure of small axes that need no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(drawn)
    return drawn, drawn.subplots(rows, columns, squeeze=False)


def scatter(ax: Any, x: Any, y: Any, group: Any, levels: Sequence[str]) -> Any:
    """Points of two columns, a colour and a marker for each level of a third."""
    group = np.asarray(group)
    for level, colour, marker in zip(levels, COLOURS, MARKERS):
        own = group == level
        ax.scatter(
            np.asarray(x)[own],
            np.asarray(y)[own],
            s=14,
            color=colour,
            marker=marker,
            alpha=0.75,
            linewidths=0,
            label=level,
        )
    return _plain(ax)


def matrix(ax: Any, values: np.ndarray, names: Sequence[str], unit: str) -> Any:
    """A symmetric matrix with its numbers in it, the diagonal left out."""
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, values)
    image = ax.imshow(shown, cmap="Blues", vmin=0)
    for i in range(len(names)):
        for j in range(len(names)):
            if i != j:
                dark = shown[i, j] > 0.6 * np.nanmax(shown)
                ax.text(
                    j,
                    i,
                    f"{shown[i, j]:.2f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else "black",
                )
    ax.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label=unit)
    return ax


def curves(
    ax: Any, x: Sequence[float], lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> Any:
    """Lines with bars of one standard error, a marker each."""
    for (name, (y, error)), colour, marker in zip(lines.items(), COLOURS, MARKERS):
        ax.errorbar(
            x, y, yerr=error, color=colour, marker=marker, capsize=2, markersize=5, label=name
        )
    ax.grid(alpha=0.3)
    return _plain(ax)


def image_grid(ax: Any, images: np.ndarray, *, top: float | None = None) -> Any:
    """Images of shape (rows, columns, height, width) side by side; a missing pixel is tinted."""
    rows, columns, height, width = images.shape
    pad = 1
    sheet = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 1.0)
    top = float(np.nanmax(images)) if top is None else top
    for i in range(rows):
        for j in range(columns):
            one = images[i, j]
            shade = 1 - np.clip(one / top, 0, 1)
            cell = np.where(np.isnan(one)[..., None], (0.62, 0.76, 0.86), shade[..., None])
            y, x = pad + i * (height + pad), pad + j * (width + pad)
            sheet[y : y + height, x : x + width] = cell
    ax.imshow(sheet, interpolation="nearest")
    ax.set_axis_off()
    return ax


def _plain(ax: Any) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    return ax
