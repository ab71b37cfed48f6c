"""The plain pictures that others are made of: points, a matrix, lines, images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.plot.style import COLOURS, MARKERS, plain, tilted


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
    return plain(ax)


def matrix(ax: Any, values: np.ndarray, names: Sequence[str], unit: str) -> Any:
    """A symmetric matrix with its numbers in it, the diagonal left out."""
    shown = np.where(np.eye(len(names), dtype=bool), np.nan, values)
    texts = [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in shown]
    return heat(ax, shown, texts, names, names, unit)


def heat(
    ax: Any,
    values: np.ndarray,
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    unit: str,
    size: float = 7,
) -> Any:
    """A table of shades from zero up, a text in each cell; NaN is left white."""
    image = ax.imshow(values, cmap="Blues", vmin=0, vmax=_top(values), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if value > 0.6 * _top(values) else "black"
        ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=colour)
    ax.set_xticks(range(len(columns)), columns, **tilted(columns))
    ax.set_yticks(range(len(rows)), rows, fontsize=8 if len(rows) <= 16 else 6.5)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return ax


def _top(values: np.ndarray) -> float:
    # What is below a cell's two decimals is not shown as if it were much.
    return max(float(np.nanmax(values)), 0.01) if (values > 0).any() else 1.0


def curves(
    ax: Any, x: Sequence[float], lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> Any:
    """Lines with bars of one standard error, a marker each."""
    for (name, (y, error)), colour, marker in zip(lines.items(), COLOURS, MARKERS):
        ax.errorbar(
            x, y, yerr=error, color=colour, marker=marker, capsize=2, markersize=5, label=name
        )
    ax.grid(alpha=0.3)
    return plain(ax)


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
