"""The basic pictures that others are made of: points, a matrix, lines, images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.plot.style import COLOURS, MARKERS, hide_spines, rotate_labels


def scatter(ax: Any, x: Any, y: Any, group: Any, levels: Sequence[str]) -> Any:
    """Draw points of two columns, with a colour and a marker per level of a third column.

    Args:
        ax: the axes to draw on, which are returned.
        x: the first column, (n,).
        y: the second column, (n,).
        group: the level of each point, (n,).
        levels: the levels to draw, in order; at most 8.
    """
    group = np.asarray(group)
    for level, colour, marker in zip(levels, COLOURS, MARKERS):
        members = group == level
        ax.scatter(
            np.asarray(x)[members],
            np.asarray(y)[members],
            s=14,
            color=colour,
            marker=marker,
            alpha=0.75,
            linewidths=0,
            label=level,
        )
    return hide_spines(ax)


def matrix(ax: Any, values: np.ndarray, names: Sequence[str], unit: str) -> Any:
    """Draw a symmetric matrix with its numbers, without its diagonal.

    Args:
        ax: the axes to draw on, which are returned.
        values: the matrix, (d, d).
        names: the name of each row and column, (d,).
        unit: the label of the colour bar.
    """
    off_diagonal = np.where(np.eye(len(names), dtype=bool), np.nan, values)
    texts = [["" if np.isnan(v) else f"{v:.2f}" for v in row] for row in off_diagonal]
    return heatmap(ax, off_diagonal, texts, names, names, unit)


def heatmap(
    ax: Any,
    values: np.ndarray,
    texts: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    unit: str,
    size: float = 7,
) -> Any:
    """Draw a table of shades, from zero up, with a text in each cell.

    Args:
        ax: the axes to draw on, which are returned.
        values: the table, (rows, columns); cells that are NaN stay white.
        texts: the text of each cell.
        rows: the name of each row.
        columns: the name of each column.
        unit: the label of the colour bar.
        size: the font size of the texts, in points.
    """
    image = ax.imshow(values, cmap="Blues", vmin=0, vmax=_top(values), aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if value > 0.6 * _top(values) else "black"
        ax.text(j, i, texts[i][j], ha="center", va="center", fontsize=size, color=colour)
    ax.set_xticks(range(len(columns)), columns, **rotate_labels(columns))
    ax.set_yticks(range(len(rows)), rows, fontsize=8 if len(rows) <= 16 else 6.5)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return ax


def _top(values: np.ndarray) -> float:
    # A table of values that round to 0.00 should not look as if they were large.
    return max(float(np.nanmax(values)), 0.01) if (values > 0).any() else 1.0


def curves(
    ax: Any, x: Sequence[float], lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> Any:
    """Draw lines with error bars of one standard error and one marker per line.

    Args:
        ax: the axes to draw on, which are returned.
        x: the places of the points, (n,).
        lines: values and standard errors, (n,) each, by the name of the line.
    """
    for (name, (y, error)), colour, marker in zip(lines.items(), COLOURS, MARKERS):
        ax.errorbar(
            x, y, yerr=error, color=colour, marker=marker, capsize=2, markersize=5, label=name
        )
    ax.grid(alpha=0.3)
    return hide_spines(ax)


def image_grid(ax: Any, images: np.ndarray, *, top: float | None = None) -> Any:
    """Draw images side by side, with missing pixels tinted.

    Args:
        ax: the axes to draw on, which are returned.
        images: (rows, columns, height, width); NaN is a missing pixel.
        top: the value drawn in black, by default the largest; 0 is white.
    """
    rows, columns, height, width = images.shape
    pad = 1
    sheet = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 1.0)
    top = float(np.nanmax(images)) if top is None else top
    for i in range(rows):
        for j in range(columns):
            image = images[i, j]
            shade = 1 - np.clip(image / top, 0, 1)
            cell = np.where(np.isnan(image)[..., None], (0.62, 0.76, 0.86), shade[..., None])
            y = pad + i * (height + pad)
            x = pad + j * (width + pad)
            sheet[y : y + height, x : x + width] = cell
    ax.imshow(sheet, interpolation="nearest")
    ax.set_axis_off()
    return ax
