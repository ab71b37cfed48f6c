"""Images drawn from a distribution, and completed by it."""

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
    """n draws of an image from p(name), or n a row from p(name | by = level) for each level.

    White is zero, black is `top` in the image's units: by default what 0.5 % of the drawn pixels
    exceed. Raises PofxError for what is no image of two dimensions, and for `by` without levels.
    """
    _image(p, name)
    check_positive_int("n", n)
    if by is None:
        drawn = [p.marginal(name).sample(n, seed=seed)[name]]
        labels = [plot_data.label(p.marginal(name), name)]
    else:
        variable = plot_data.plain_variable(p, by)
        if not variable.discrete:
            raise PofxError(f"by: expected a column of levels, and {by!r} is {variable.kind}")
        q = p.marginal(name, by)
        drawn = [q.given({by: k}).sample(n, seed=seed)[name] for k in variable.levels]
        labels = [f"{short_label(by)} = {level}" for level in plot_data.level_names(variable)]
    sheet = np.stack(drawn).astype(np.float64)
    top = float(np.quantile(sheet, 0.995)) if top is None else top
    ax = get_axes(ax, _size(*sheet.shape))
    image_grid(ax, sheet, top=top)
    height = sheet.shape[2] + 1
    for i, label in enumerate(labels):
        ax.text(-0.5, (i + 0.5) * height, label, ha="right", va="center", fontsize=8, color=INK_COLOUR)
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
    """Images, the same with holes, and `draws` completions of each from p(x_M | x_O).

    `holes` is true where a pixel shall be missing, for one image or for each; missing pixels are
    tinted. White is zero, black the largest pixel of the data, or `top`. Only the image is told,
    the other variables are integrated out. Raises PofxError for what is no image, and for holes of
    another shape.
    """
    shape = _image(p, name)
    q = p.marginal(name)
    whole = _pixels(data, name, shape)
    holes = np.asarray(holes, bool)
    if holes.shape not in (shape, whole.shape):
        raise PofxError(f"holes: expected the shape {shape} or {whole.shape}, got {holes.shape}")
    given = np.where(holes, np.nan, whole)
    filled = [table[name] for table in q.impute({name: given}, draws=draws, seed=seed)]
    sheet = np.stack([whole, given, *filled], axis=1)
    ax = get_axes(ax, _size(*sheet.shape))
    image_grid(ax, sheet, top=float(np.nanmax(whole)) if top is None else top)
    width = shape[1] + 1
    many = f"{draws} draws of the rest" if draws > 1 else "a draw"
    for place, label in ((0.5, "seen"), (1.5, "given"), (2 + draws / 2, many)):
        ax.text(place * width, -0.6, label, ha="center", va="bottom", fontsize=8, color=INK_COLOUR)
    return ax


def _image(p: Joint, name: str) -> tuple[int, ...]:
    variable = p.schema.variable(name)
    text = any(isinstance(level, str) for level in variable.levels)
    if len(variable.shape) != 2 or text:
        told = f"of shape {variable.shape}" if variable.shape else "a plain column"
        told += " that holds text" if text else ""
        raise PofxError(f"{name!r}: expected images of numbers, height x width; it is {told}")
    return variable.shape


def _pixels(data: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The images in data, or data that are images themselves."""
    found = np.asarray(data[name] if isinstance(data, dict) and name in data else data)
    if found.dtype.kind not in "biuf" or found.ndim != 3 or found.shape[1:] != shape:
        raise PofxError(f"data: expected images {name!r} of shape {shape}, got {found.shape}")
    return found.astype(np.float64)


def _size(rows: int, columns: int, height: int, width: int) -> tuple[float, float]:
    """The size of axes for a sheet of images, in inches."""
    unit = min(0.5, 9 / max(rows * height / width, columns))
    return unit * columns + 0.8, unit * rows * height / width + 0.3
