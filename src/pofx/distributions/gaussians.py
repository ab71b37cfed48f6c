"""Written Gaussians over named columns or blocks of them, and linear-Gaussian conditionals."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from pofx.core import closed_forms
from pofx.core.errors import PofxError
from pofx.core.float_width import float64
from pofx.core.written_numbers import array
from pofx.distributions.written import as_joint, number_variable
from pofx.joint.joint import Joint
from pofx.models.gaussian import Gaussian

SYMMETRY = 1e-9
"""How far from symmetric a written covariance may be, as a share of its largest entry."""


def gaussian(
    mean: Any,
    cov: Any = None,
    *,
    precision: Any = None,
    cholesky: Any = None,
    names: Sequence[str] | Mapping[str, int] | None = None,
) -> Joint:
    """The normal distribution N(mean, cov) of several columns, or of named blocks of them.

    log p(x) = -(x - μ)ᵀ Σ⁻¹ (x - μ) / 2 - log det(2 π Σ) / 2

    Args:
        mean: μ, of shape (d,), in the data's units.
        cov: Σ, of shape (d, d).
        precision: Σ⁻¹, in its place.
        cholesky: a lower triangular L with L Lᵀ = Σ, in its place.
        names: of the columns, by default x1, x2, ...; or the size of each block by its name. A
            block is one column of arrays.

    Returns a `Joint`. Raises PofxError for a matrix that is not symmetric or not positive definite.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 2.3.

    >>> import pofx
    >>> p = pofx.gaussian([0, 1], [[2, 1], [1, 4]], names=["a", "b"])
    >>> print(p.given(b=3).ask("E[a]"))
    E[a] = 0.5 units of a   exact, closed form
    """
    centre = array("mean", mean, 1)
    covariance = _covariance(len(centre), cov, precision, cholesky)
    if names is None:
        names = [f"x{i + 1}" for i in range(len(centre))]
    if not isinstance(names, Mapping):
        variables = [number_variable(name, "real") for name in names]
    else:
        variables = [number_variable(name, "real", (size,)) for name, size in names.items()]
    size = sum(variable.size for variable in variables)
    if size != len(centre):
        raise PofxError(f"names: expected {len(centre)} columns, as mean has, got {size}")
    return as_joint(_model(centre, covariance), variables)


def _model(mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    with float64(True):
        return Gaussian.from_moments(jnp.asarray(mean), jnp.asarray(covariance))


def _covariance(d: int, cov: Any, precision: Any, cholesky: Any) -> np.ndarray:
    matrices = {"cov": cov, "precision": precision, "cholesky": cholesky}
    [argument, *others] = [k for k, v in matrices.items() if v is not None] or [""]
    if others or not argument:
        raise PofxError("cov: expected exactly one of cov, precision and cholesky")
    matrix = array(argument, matrices[argument], 2)
    if matrix.shape != (d, d):
        raise PofxError(f"{argument}: expected the shape {(d, d)}, got {matrix.shape}")
    if argument == "cholesky":
        if np.triu(matrix, 1).any() or (np.diag(matrix) == 0).any():
            raise PofxError("cholesky: expected a lower triangular matrix, its diagonal not zero")
        return matrix @ matrix.T
    matrix = symmetric(argument, matrix)
    return symmetric("cov", np.linalg.inv(matrix)) if argument == "precision" else matrix


def symmetric(argument: str, matrix: np.ndarray) -> np.ndarray:
    """A symmetric positive definite matrix; PofxError otherwise.

    >>> symmetric("cov", np.array([[1.0, 2.0], [2.0, 1.0]]))
    Traceback (most recent call last):
    ...
    pofx.core.errors.PofxError: cov: expected a positive definite matrix, got the eigenvalue -1
    """
    gap = np.abs(matrix - matrix.T)
    if gap.max() > SYMMETRY * np.abs(matrix).max():
        i, j = np.unravel_index(gap.argmax(), gap.shape)
        raise PofxError(
            f"{argument}: expected a symmetric matrix, got {matrix[i, j]:g} at ({i}, {j}) and "
            f"{matrix[j, i]:g} at ({j}, {i})"
        )
    symmetric_part = (matrix + matrix.T) / 2
    least = np.linalg.eigvalsh(symmetric_part)[0]
    if not least > 0:
        raise PofxError(
            f"{argument}: expected a positive definite matrix, got the eigenvalue {least:.6g}"
        )
    return symmetric_part


def linear_gaussian(
    p: Joint,
    coefficients: Mapping[str, Any],
    intercept: Any = 0.0,
    cov: Any = 1.0,
    *,
    name: str = "y",
) -> Joint:
    """The joint distribution p(z) p(y | z) with p(z) normal and y | z ~ N(A z + b, S).

    μ_y = A μ_z + b,  Cov(y, z) = A Σ_z,  Σ_y = A Σ_z Aᵀ + S

    Args:
        p: the distribution of z, a Gaussian; also that of other columns.
        coefficients: by the name of each column in z its columns of A: a number, or a matrix of
            shape (size of y, size of the column). Columns that are not named have none.
        intercept: b, a number or a list.
        cov: S, the variance of y given z, or a covariance matrix.
        name: of the new column, an array if b is a list.

    Returns a `Joint` of the columns of p and y. Raises PofxError if p is not a Gaussian.

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 2.3.3.

    >>> import pofx
    >>> p = pofx.linear_gaussian(pofx.normal(0, 1, name="z"), {"z": 2}, cov=1, name="y")
    >>> print(p.ask("Var[y]"))
    Var[y] = 5 squared units of y   exact, closed form
    """
    if not isinstance(p, Joint):
        raise PofxError(f"p: expected a distribution, got {p!r}")
    with float64(True):
        rule = closed_forms.as_gaussian.find(p.model)
        moments = rule and rule(p.model)
    if moments is None or not p.entries.free.all():
        raise PofxError("p: expected a Gaussian without given entries of arrays")
    learned = [v.name for v in p.schema.variables if (v.shift, v.scale) != (0, 1)]
    if learned:
        raise PofxError(f"p: expected a written Gaussian; {learned[0]} has learned units")
    mean, covariance = (np.asarray(a, np.float64) for a in moments)
    shift = array("intercept", intercept, np.ndim(intercept))
    of_y = number_variable(name, "real", shift.shape)
    matrix = np.zeros((of_y.size, p.schema.size))
    for column, block in coefficients.items():
        place = p.schema.slices[p.schema.variable(column).name]
        matrix[:, place] = _block(column, block, (of_y.size, place.stop - place.start))
    noise = array("cov", cov, np.ndim(cov))
    noise = symmetric("cov", noise if noise.ndim == 2 else np.diag(np.full(of_y.size, noise)))
    if noise.shape != (of_y.size, of_y.size):
        raise PofxError(f"cov: expected {of_y.size} rows and columns, got {noise.shape}")
    across = matrix @ covariance
    covariance = np.block([[covariance, across.T], [across, across @ matrix.T + noise]])
    mean = np.concatenate([mean, np.atleast_1d(shift) + matrix @ mean])
    scale = [
        variable for variable in p.schema.variables if (variable.shift, variable.scale) != (0, 1)
    ]
    if scale:
        raise PofxError(f"p: expected a written Gaussian, got learned units of {scale[0].name}")
    return as_joint(_model(mean, covariance), [*p.schema.variables, of_y])


def _block(column: str, block: Any, shape: tuple[int, int]) -> np.ndarray:
    """The columns of A that belong to one column, or to one block."""
    numbers = array(f"coefficients: {column}", block, np.ndim(block))
    if numbers.size != shape[0] * shape[1]:
        raise PofxError(f"coefficients: {column}: expected the shape {shape}, got {numbers.shape}")
    return numbers.reshape(shape)
