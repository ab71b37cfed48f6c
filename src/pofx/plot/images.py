"""Images drawn from a distribution, and images that it completes."""

from typing import Any

import numpy as np

from pofx.core.errors import PofxError
from pofx.joint.joint import Joint
from pofx.named.model import check_positive_int
from pofx.plot import plot_data
from pofx.plot.primitives import image_grid
from pofx.plot.style import INK_COLOUR, get_axes, short_label


def images(
    p: Joint,
    name: str,
    *,
    by: str | None = None,
    n: int = 10,
    top: float | None = None,
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """Draw random images from p(name), or from p(name | by = level) with one row per level.

    Args:
        p: the distribution.
        name: a variable of images of two dimensions.
        by: a column of levels, or None.
        n: images per row.
        top: the value drawn in black, in the image's units, by default one that 0.5 % of the drawn
            pixels exceed; 0 is white.
        ax: the axes to draw on.
        seed: the seed of the draws.

    Returns:
        The axes.

    Raises:
        PofxError: if `name` holds no images, and if `by` has no levels.
    """
    _image(p, name)
    check_positive_int("n", n)
    if by is None:
        draws = [p.marginal(name).sample(n, seed=seed)[name]]
        labels = [plot_data.label(p.marginal(name), name)]
    else:
        variable = plot_data.plain_variable(p, by)
        if not variable.discrete:
            raise PofxError(f"by: expected a column of levels, and {by!r} is {variable.kind}")
        q = p.marginal(name, by)
        draws = [q.given({by: k}).sample(n, seed=seed)[name] for k in variable.levels]
        labels = [f"{short_label(by)} = {level}" for level in plot_data.level_names(variable)]
    sheet = np.stack(draws).astype(np.float64)
    top = float(np.quantile(sheet, 0.995)) if top is None else top
    ax = get_axes(ax, _size(*sheet.shape))
    image_grid(ax, sheet, top=top)
    height = sheet.shape[2] + 1
    for i, label in enumerate(labels):
        style = {"ha": "right", "va": "center", "fontsize": 8, "color": INK_COLOUR}
        ax.text(-0.5, (i + 0.5) * height, label, **style)
    return ax


def completions(
    p: Joint,
    name: str,
    data: Any,
    holes: Any,
    *,
    draws: int = 4,
    top: float | None = None,
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """Draw images, the same images with holes, and completions of each from p(x_M | x_O).

    Only the image is evidence; the other variables are integrated out. Missing pixels are tinted.

    Args:
        p: the distribution.
        name: a variable of images of two dimensions.
        data: images of shape (n, height, width), or a dict that holds them as `name`.
        holes: true where a pixel is to be missing, (height, width) or (n, height, width).
        draws: completions per image.
        top: the value drawn in black, by default the largest of the data; 0 is white.
        ax: the axes to draw on.
        seed: the seed of the draws.

    Returns:
        The axes.

    Raises:
        PofxError: if `name` or `data` hold no images, and for holes of another shape.
    """
    shape = _image(p, name)
    q = p.marginal(name)
    images = _pixels(data, name, shape)
    holes = np.asarray(holes, bool)
    if holes.shape not in (shape, images.shape):
        raise PofxError(f"holes: expected the shape {shape} or {images.shape}, got {holes.shape}")
    evidence = np.where(holes, np.nan, images)
    completed = [table[name] for table in q.impute({name: evidence}, draws=draws, seed=seed)]
    sheet = np.stack([images, evidence, *completed], axis=1)
    ax = get_axes(ax, _size(*sheet.shape))
    image_grid(ax, sheet, top=float(np.nanmax(images)) if top is None else top)
    width = shape[1] + 1
    title = f"{draws} draws of the rest" if draws > 1 else "a draw"
    style = {"ha": "center", "va": "bottom", "fontsize": 8, "color": INK_COLOUR}
    for place, label in ((0.5, "seen"), (1.5, "given"), (2 + draws / 2, title)):
        ax.text(place * width, -0.6, label, **style)
    return ax


def _image(p: Joint, name: str) -> tuple[int, ...]:
    """The shape of the images of a variable; PofxError unless it holds images of numbers."""
    variable = p.schema.variable(name)
    text = any(isinstance(level, str) for level in variable.levels)
    if len(variable.shape) != 2 or text:
        got = f"of shape {variable.shape}" if variable.shape else "a plain column"
        got += " that holds text" if text else ""
        raise PofxError(f"{name!r}: expected images of numbers, height x width; it is {got}")
    return variable.shape


def _pixels(data: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The images in the data, which may be the images themselves."""
    images = np.asarray(data[name] if isinstance(data, dict) and name in data else data)
    if images.dtype.kind not in "biuf" or images.ndim != 3 or images.shape[1:] != shape:
        raise PofxError(f"data: expected images {name!r} of shape {shape}, got {images.shape}")
    return images.astype(np.float64)


def _size(rows: int, columns: int, height: int, width: int) -> tuple[float, float]:
    """Width and height of the axes for a sheet of images, in inches."""
    unit = min(0.5, 9 / max(rows * height / width, columns))
    return unit * columns + 0.8, unit * rows * height / width + 0.3
